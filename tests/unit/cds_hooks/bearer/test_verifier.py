"""CH-60 … CH-68 at the one way in: a header and a path go in, a caller, a 401 or a 503 comes out."""

import base64
import hashlib
import hmac
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cds_hooks.bearer.conftest import Clock, MakeVerifier
from tests.unit.cds_hooks.bearer.issuer import (
    BASE,
    EC_KEY,
    ISS,
    LEFT_OUT,
    NOW,
    OURS,
    PATH,
    RSA_KEY,
    b64,
    bearer,
    claims,
    forged,
    headers,
    jwk,
    key_set,
)
from tests.unit.fhir_client.stub_server import Out, Stub

from cds_hooks.bearer import Caller, CannotVerify, Unauthorized, Verifier
from cds_hooks.ehrs import Ehr
from cds_hooks.refusals import operation_outcome
from screening.errors import SchemaError

PUBLIC_PEM = EC_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
RS = headers(alg="RS384", kid="rsa-1")


def reason(verifier: Verifier, authorization: str | None, path: str = PATH) -> str:
    """Return why a call is refused with 401."""
    with pytest.raises(Unauthorized) as caught:
        verifier.verify(authorization, path)
    return caught.value.reason


@pytest.mark.parametrize("authorization", [
    None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNzd29yZA==", "garbage", "Bearer a.b", "Bearer a.b.c.d", "Bearer a.b.ü",
    "Bearer a.b.c, Bearer a.b.c", "Bearer ..", "Bearer a.b.c\n", "Bearer \x00", "Bearer a.b.ⅷ", "Bearer " + "a" * 20000,
])  # fmt: skip
@pytest.mark.parametrize("path", ["/cds-services", PATH, PATH + "/feedback"])
def test_ch60_none_basic_and_garbage_are_401_on_every_endpoint(
    verifier: Verifier, authorization: str | None, path: str
) -> None:
    with pytest.raises(Unauthorized) as caught:
        verifier.verify(authorization, path)
    assert (caught.value.status, caught.value.headers) == (401, {"WWW-Authenticate": "Bearer"})


def test_ch60_a_header_that_is_too_long_is_not_even_taken_apart(verifier: Verifier) -> None:
    assert reason(verifier, bearer(claims(sub="x" * 16 * 1024))) == "the Authorization header is too long"
    assert verifier.verify(bearer(claims(sub="x" * 10 * 1024)), PATH).iss == ISS


def test_ch60_the_body_gives_no_reason(verifier: Verifier) -> None:
    bodies = set()
    for header in (
        None,
        bearer(claims(exp=5)),
        bearer(claims(aud="x")),
        bearer(claims(), ec.generate_private_key(ec.SECP384R1())),
    ):
        with pytest.raises(Unauthorized) as caught:
            verifier.verify(header, PATH)
        refusal = caught.value
        bodies.add(json.dumps(operation_outcome(refusal.status, refusal.text, refusal.diagnostics)))
        assert str(refusal) == refusal.text
    assert len(bodies) == 1


def test_ch60_ch84_the_reason_is_in_our_log_with_iss_and_jti(
    verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    assert (
        reason(verifier, bearer(claims(jti="call-7", aud="https://other.example.org")))
        == "aud is not the endpoint invoked"
    )
    (record,) = caplog.records
    assert record.getMessage() == f"call not authorized: aud is not the endpoint invoked (iss {ISS}, jti call-7)"
    assert (record.levelname, vars(record)["iss"], vars(record)["jti"]) == ("WARNING", ISS, "call-7")


@pytest.mark.parametrize(
    "text", ["a\nb", "a b", 'a"b', "a\x1b[31m", "ü", "a" * 129, "", 7, None, ["a"], {"a": 1}, "\ud800"]
)
def test_ch84_a_text_that_could_forge_a_log_line_is_not_logged(
    verifier: Verifier, caplog: pytest.LogCaptureFixture, text: object
) -> None:
    reason(verifier, forged(claims(iss=text, jti=text), headers()))
    (record,) = caplog.records
    assert (vars(record)["iss"], vars(record)["jti"]) == (None, None)


def test_ch53_the_token_is_neither_logged_nor_in_an_exception(
    verifier: Verifier, make_verifier: MakeVerifier, stub: Stub, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stub.script(Out(500))
    tokens = [bearer(claims(sub="MARKER", jti=f"call-{number}", **changes)) for number, changes in enumerate(
        ({}, {"exp": 5}, {"aud": "x"}, {"iss": "https://unknown.example.org"})
    )]  # fmt: skip
    tokens.append(tokens[0])
    told = []
    for one in (verifier, make_verifier(jku=stub.origin + "/keys")):
        for token in tokens:
            try:
                one.verify(token, PATH)
            except (Unauthorized, CannotVerify) as refusal:
                told += [repr(refusal), str(refusal), repr(vars(refusal))]
    told += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert len(told) > 20
    for token in tokens:
        for part in [*token.removeprefix("Bearer ").split("."), "MARKER"]:
            assert not [line for line in told if part in line]


@pytest.mark.parametrize("changes", [
    {"kid": LEFT_OUT}, {"kid": 7}, {"kid": ""}, {"kid": ["ec-1"]}, {"kid": "a" * 257}, {"kid": "a\n"}, {"kid": "ec-2"},
    {"typ": LEFT_OUT}, {"typ": "jose"}, {"typ": None}, {"alg": LEFT_OUT}, {"alg": None}, {"alg": ["ES384"]}, {"alg": {}},
    {"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"jku": None}, {"jku": 7}, {"kid": "rsa-1"}, {"alg": "RS384"},
])  # fmt: skip
def test_ch61_a_header_that_is_not_as_it_must_be(verifier: Verifier, changes: dict[str, Any]) -> None:
    payload = claims()
    head = headers(**changes)
    signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(payload).encode())}"
    signature = jwt.get_algorithm_by_name("ES384").sign(signed.encode(), EC_KEY)
    reason(verifier, f"Bearer {signed}.{b64(signature)}")
    assert verifier.verify(bearer(payload), PATH).jti == payload["jti"]


def test_ch61_an_unknown_kid_is_one_look_for_keys_in_a_while(
    make_verifier: MakeVerifier, stub: Stub, clock: Clock
) -> None:
    verifier = make_verifier(jku=stub.origin + "/keys")
    verifier.verify(bearer(claims()), PATH)
    assert stub.targets() == ["/keys"]
    clock.now += 31
    for _ in range(20):
        assert reason(verifier, bearer(claims(clock.now), head=headers(kid="new"))) == "no such key"
    assert stub.targets() == ["/keys"] * 2


@pytest.mark.parametrize(("key", "head"), [(EC_KEY, headers()), (RSA_KEY, RS)], ids=["ES384", "RS384"])
def test_ch62_es384_and_rs384_are_verified(verifier: Verifier, key: Any, head: dict[str, Any]) -> None:
    assert verifier.verify(bearer(claims(jti="one"), key, head), PATH) == Caller(ISS, "one", None)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("kid", ["ec-1", "rsa-1"])
def test_ch62_a_mac_made_with_the_public_key_is_refused(verifier: Verifier, alg: str, kid: str) -> None:
    head = b64(json.dumps(headers(alg=alg, kid=kid)).encode())
    signed = f"{head}.{b64(json.dumps(claims()).encode())}"
    mac = hmac.new(PUBLIC_PEM, signed.encode(), getattr(hashlib, f"sha{alg[2:]}")).digest()
    assert reason(verifier, f"Bearer {signed}.{b64(mac)}") == "alg is not allowed"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "PS384", "PS256", "ES512", "EdDSA", "es384"])
def test_ch62_any_other_algorithm_is_refused(verifier: Verifier, alg: str) -> None:
    for signature in (b"", b"x" * 96):
        token = forged(claims(), headers(alg=alg), signature)
        assert reason(verifier, token) in ("alg is not allowed", "not a bearer JWT")


@pytest.mark.parametrize("alg", [["ES384"], {"a": 1}, 384, None, True])
def test_ch62_an_algorithm_is_a_text(verifier: Verifier, alg: object) -> None:
    assert reason(verifier, forged(claims(), headers(alg=alg))) == "alg is not allowed"


P256 = ec.generate_private_key(ec.SECP256R1())
SIGNED = {
    "ES384": (EC_KEY, headers()), "RS384": (RSA_KEY, RS), "ES256": (P256, headers(alg="ES256", kid="p256-1")),
    "RS256": (RSA_KEY, headers(alg="RS256", kid="rsa-1")),
}  # fmt: skip


@pytest.mark.parametrize("allowed", [("ES384", "RS384"), ("ES256",), ("RS256",), ("ES256", "RS256", "ES384", "RS384")])
def test_ch62_each_ehr_s_algorithms_are_its_own(
    make_verifier: MakeVerifier, key_file: Path, allowed: tuple[str, ...]
) -> None:
    key_file.write_bytes(key_set(jwk(EC_KEY, "ec-1"), jwk(RSA_KEY, "rsa-1"), jwk(P256, "p256-1")))
    verifier = make_verifier(algorithms=allowed)
    for alg, (key, head) in SIGNED.items():
        token = bearer(claims(), key, head)
        if alg in allowed:
            assert verifier.verify(token, PATH).iss == ISS
        else:
            assert reason(verifier, token) == "alg is not the EHR's"


def test_ch62_the_key_must_be_of_the_algorithm_s_kind_and_curve(make_verifier: MakeVerifier, key_file: Path) -> None:
    key_file.write_bytes(key_set(jwk(EC_KEY, "ec-1"), jwk(RSA_KEY, "rsa-1"), jwk(P256, "p256-1")))
    verifier = make_verifier(algorithms=tuple(SIGNED))
    for alg, kid in (
        ("ES384", "p256-1"),
        ("ES256", "ec-1"),
        ("RS256", "ec-1"),
        ("ES256", "rsa-1"),
        ("RS384", "p256-1"),
    ):
        assert reason(verifier, forged(claims(), headers(alg=alg, kid=kid))) == "no such key"


def test_ch62_an_rsa_key_that_names_its_algorithm_serves_that_one_alone(
    make_verifier: MakeVerifier, key_file: Path
) -> None:
    key_file.write_bytes(key_set(jwk(RSA_KEY, "rsa-1", alg="RS384")))
    verifier = make_verifier(algorithms=("RS384", "RS256"))
    assert verifier.verify(bearer(claims(), RSA_KEY, RS), PATH).iss == ISS
    assert reason(verifier, bearer(claims(), RSA_KEY, SIGNED["RS256"][1])) == "no such key"


def test_ch62_another_s_signature_a_cut_one_and_a_changed_payload_are_refused(verifier: Verifier) -> None:
    stranger = ec.generate_private_key(ec.SECP384R1())
    right = bearer(claims())
    head, _, signature = right.split(".")
    other = b64(json.dumps(claims()).encode())
    for token in (bearer(claims(), stranger), f"{head}.{other}.{signature}", right[:-8], forged(claims(), headers())):
        assert reason(verifier, token) == "the signature is not the EHR's"


def test_ch62_a_zero_signature_is_refused(verifier: Verifier) -> None:
    for signature in (bytes(96), bytes(48) + b"\x01" * 48, b"\xff" * 96, b"\x30\x06\x02\x01\x01\x02\x01\x01"):
        assert reason(verifier, forged(claims(), headers(), signature)) == "the signature is not the EHR's"


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "jti"])
@pytest.mark.parametrize("value", [LEFT_OUT, None, True, [], {}, ""])
def test_ch63_every_claim_is_needed_and_of_its_type(verifier: Verifier, name: str, value: object) -> None:
    assert reason(verifier, bearer_of_any(claims(**{name: value}))).startswith((f"{name} ", "aud is not"))


@pytest.mark.parametrize("value", ["1790000000", -1, 0, 1e300, 2**80, 1j.imag - 1, [1790000000]])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_ch63_a_time_is_a_number_of_seconds(verifier: Verifier, name: str, value: object) -> None:
    assert reason(verifier, bearer_of_any(claims(**{name: value}))) in (
        f"{name} is missing or unusable", "exp is not within the hour after iat",
    )  # fmt: skip


def bearer_of_any(payload: dict[str, Any]) -> str:
    """Return a signed token with claims that PyJWT would not sign."""
    signed = f"{b64(json.dumps(headers()).encode())}.{b64(json.dumps(payload).encode())}"
    return f"Bearer {signed}.{b64(jwt.get_algorithm_by_name('ES384').sign(signed.encode(), EC_KEY))}"


@pytest.mark.parametrize(("changes", "expected"), [
    ({"exp": NOW - 59.9, "iat": NOW - 300}, None),
    ({"exp": NOW - 60, "iat": NOW - 300}, "expired"),
    ({"iat": NOW + 60, "exp": NOW + 300}, None),
    ({"iat": NOW + 60.1, "exp": NOW + 300}, "iat is in the future"),
    ({"iat": NOW, "exp": NOW + 3600}, None),
    ({"iat": NOW, "exp": NOW + 3600.5}, "exp is not within the hour after iat"),
    ({"iat": NOW, "exp": NOW}, "exp is not within the hour after iat"),
    ({"iat": NOW + 50, "exp": NOW + 20}, "exp is not within the hour after iat"),
    ({"nbf": NOW + 60}, None),
    ({"nbf": NOW + 61}, "nbf is in the future"),
])  # fmt: skip
def test_ch63_the_times_and_their_leeway(verifier: Verifier, changes: dict[str, Any], expected: str | None) -> None:
    token = bearer_of_any(claims(**changes))
    if expected is None:
        assert verifier.verify(token, PATH).iss == ISS
    else:
        assert reason(verifier, token) == expected


@pytest.mark.parametrize("path", ["/cds-services", PATH, PATH + "/feedback"])
def test_ch64_a_token_is_good_for_the_endpoint_it_was_made_for_alone(verifier: Verifier, path: str) -> None:
    assert verifier.verify(bearer(claims(aud=BASE + path)), path).iss == ISS
    assert verifier.verify(bearer(claims(aud=["https://other.example.org", BASE + path])), path).iss == ISS
    for other in {"/cds-services", PATH, PATH + "/feedback", path + "/", path.upper()} - {path}:
        assert reason(verifier, bearer(claims(aud=BASE + path)), other) == "aud is not the endpoint invoked"


@pytest.mark.parametrize("aud", [
    "https://cds.example.org" + PATH, "http://cds.example.org/hospital" + PATH, "https://evil.example" + PATH, BASE, PATH,
    BASE + PATH + "?", [], [BASE], [[BASE + PATH]], [BASE + PATH, 7], {"url": BASE + PATH},
])  # fmt: skip
def test_ch64_the_audience_is_compared_with_our_public_url(verifier: Verifier, aud: object) -> None:
    assert reason(verifier, bearer_of_any(claims(aud=aud))).startswith("aud is ")


def test_ch65_an_unknown_iss_is_refused(verifier: Verifier) -> None:
    for iss in ("https://unknown.example.org", ISS + "/", ISS.upper()):
        assert reason(verifier, bearer(claims(iss=iss))) == "iss is missing or unknown"


def test_ch65_one_ehr_cannot_speak_for_another(tmp_path: Path, clock: Clock, key_file: Path) -> None:
    stranger = ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "other.json").write_bytes(key_set(jwk(stranger, "ec-1")))
    other = Ehr(iss="https://other.example.org", jwks=tmp_path / "other.json")
    verifier = Verifier((Ehr(iss=ISS, jwks=key_file), other), BASE, tmp_path / "state", clock)
    assert verifier.verify(bearer(claims(iss=other.iss, jti="same"), stranger), PATH).iss == other.iss
    assert verifier.verify(bearer(claims(jti="same")), PATH).iss == ISS  # a jti is one EHR's, not everybody's
    assert reason(verifier, bearer(claims(), stranger)) == "the signature is not the EHR's"
    verifier.close()


def test_ch65_a_jku_that_is_not_the_ehr_s_is_never_asked(make_verifier: MakeVerifier, stub: Stub) -> None:
    canary = Stub()
    canary.script(Out(200, OURS))
    try:
        by_url = make_verifier(jku=stub.origin + "/keys")
        by_file = make_verifier()
        for jku in (canary.origin + "/keys", stub.origin + "/keys2", stub.origin + "/keys?x", "", "file:///etc/passwd"):
            for verifier in (by_url, by_file):
                assert reason(verifier, bearer(claims(), head=headers(jku=jku))) == "jku is not the EHR's"
        assert (canary.connections, stub.connections) == (0, 0)
        assert by_url.verify(bearer(claims(), head=headers(jku=stub.origin + "/keys")), PATH).iss == ISS
    finally:
        canary.close()


def test_ch65_a_jku_beside_a_file_of_keys_may_be_named_and_is_never_asked(
    make_verifier: MakeVerifier, key_file: Path, stub: Stub
) -> None:
    verifier = make_verifier(jwks=key_file, jku=stub.origin + "/keys")
    verifier.warm()
    assert verifier.verify(bearer(claims(), head=headers(jku=stub.origin + "/keys")), PATH).iss == ISS
    assert verifier.verify(bearer(claims()), PATH).iss == ISS
    assert reason(verifier, bearer(claims(), head=headers(jku=stub.origin + "/other"))) == "jku is not the EHR's"
    assert reason(verifier, bearer(claims(), head=headers(kid="new"))) == "no such key"
    assert stub.connections == 0


def test_ch65_a_tenant_must_be_allowed_where_tenants_are_configured(make_verifier: MakeVerifier) -> None:
    verifier = make_verifier(tenants=("north", "south"))
    assert verifier.verify(bearer(claims(tenant="north")), PATH).tenant == "north"
    for tenant in ("west", LEFT_OUT, "North"):
        assert reason(verifier, bearer(claims(tenant=tenant))) == "tenant is not allowed"


@pytest.mark.parametrize("tenant", [None, 7, "", ["north"], "a\nb", "a" * 257])
def test_ch65_a_tenant_is_text(make_verifier: MakeVerifier, tenant: object) -> None:
    for verifier in (make_verifier(), make_verifier(tenants=("north",))):
        assert reason(verifier, bearer(claims(tenant=tenant))) == "tenant is unusable"


def test_ch65_any_tenant_or_none_will_do_where_none_is_configured(verifier: Verifier) -> None:
    assert verifier.verify(bearer(claims(tenant="west")), PATH).tenant == "west"
    assert verifier.verify(bearer(claims()), PATH).tenant is None


def test_ch66_a_file_of_keys_is_read_anew_when_it_changes(verifier: Verifier, key_file: Path, clock: Clock) -> None:
    fresh = ec.generate_private_key(ec.SECP384R1())
    assert verifier.verify(bearer(claims()), PATH).iss == ISS
    key_file.write_bytes(key_set(jwk(fresh, "ec-2")))
    clock.now += 6
    assert verifier.verify(bearer(claims(clock.now), fresh, headers(kid="ec-2")), PATH).iss == ISS
    assert reason(verifier, bearer(claims(clock.now))) == "no such key"


def test_ch66_keys_of_a_url_are_asked_for_once_and_follow_a_rotation(
    make_verifier: MakeVerifier, stub: Stub, clock: Clock
) -> None:
    fresh = ec.generate_private_key(ec.SECP384R1())
    first, both, second = OURS, key_set(jwk(EC_KEY, "ec-1"), jwk(fresh, "ec-2")), key_set(jwk(fresh, "ec-2"))
    stub.script(*(Out(200, body, {"Cache-Control": "max-age=100"}) for body in (first, both, second)))
    verifier = make_verifier(jku=stub.origin + "/keys")
    for _ in range(5):
        assert verifier.verify(bearer(claims()), PATH).iss == ISS
    assert len(stub.calls) == 1
    clock.now += 50  # the EHR signs with a key that we have not seen: it is looked for at once
    assert verifier.verify(bearer(claims(clock.now), fresh, headers(kid="ec-2")), PATH).iss == ISS
    assert verifier.verify(bearer(claims(clock.now)), PATH).iss == ISS
    assert len(stub.calls) == 2
    clock.now += 100  # and the old one is gone when the set is no longer fresh
    assert reason(verifier, bearer(claims(clock.now))) == "no such key"
    assert len(stub.calls) == 3


def test_ch66_keys_of_a_url_that_is_down_serve_for_an_hour(
    make_verifier: MakeVerifier, stub: Stub, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    stub.script(Out(200, OURS, {"Cache-Control": "max-age=100"}), Out(500))
    verifier = make_verifier(jku=stub.origin + "/keys")
    verifier.verify(bearer(claims()), PATH)
    clock.now += 3699
    assert verifier.verify(bearer(claims(clock.now)), PATH).iss == ISS
    with pytest.raises(CannotVerify):
        verifier.verify(bearer(claims(clock.now), head=headers(kid="new")), PATH)
    clock.now += 1
    with pytest.raises(CannotVerify) as caught:
        verifier.verify(bearer(claims(clock.now, jti="late")), PATH)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "30"})
    assert f"keys of {ISS}: the answer is 500" in caplog.messages
    assert caplog.messages[-1] == f"call cannot be verified: the EHR's keys cannot be had (iss {ISS}, jti late)"
    assert vars(caplog.records[-1])["jti"] == "late"


def test_ch66_a_url_that_was_never_reached_is_503(make_verifier: MakeVerifier, stub: Stub) -> None:
    stub.script(Out(404))
    with pytest.raises(CannotVerify):
        make_verifier(jku=stub.origin + "/keys").verify(bearer(claims()), PATH)


def test_warm_fetches_the_keys_before_the_first_call(make_verifier: MakeVerifier, stub: Stub) -> None:
    verifier = make_verifier(jku=stub.origin + "/keys")
    verifier.warm()
    deadline = time.monotonic() + 5
    while not stub.calls and time.monotonic() < deadline:
        time.sleep(0.005)
    verifier.warm()
    assert verifier.verify(bearer(claims()), PATH).iss == ISS
    assert len(stub.calls) == 1


def test_ch67_the_same_token_twice_is_let_in_once(verifier: Verifier, clock: Clock) -> None:
    token = bearer(claims())
    assert verifier.verify(token, PATH).iss == ISS
    assert reason(verifier, token) == "used before"
    clock.now += 359.9
    assert reason(verifier, token) == "used before"
    clock.now += 0.1
    assert reason(verifier, token) == "expired"


def test_ch67_another_token_with_a_used_jti_is_refused_until_the_first_has_expired(
    verifier: Verifier, clock: Clock
) -> None:
    verifier.verify(bearer(claims(jti="one")), PATH)
    assert reason(verifier, bearer(claims(jti="one", exp=int(NOW) + 600))) == "used before"
    clock.now += 360
    assert reason(verifier, bearer(claims(clock.now, jti="one"))) == "used before"
    clock.now += 1
    assert verifier.verify(bearer(claims(clock.now, jti="one")), PATH).jti == "one"


def test_ch67_the_other_signature_that_ecdsa_allows_is_the_same_token(verifier: Verifier) -> None:
    token = bearer(claims())
    head, payload, text = token.split(".")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    order = int("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)
    twin = raw[:48] + (order - int.from_bytes(raw[48:], "big")).to_bytes(48, "big")
    assert verifier.verify(f"{head}.{payload}.{b64(twin)}", PATH).iss == ISS
    assert reason(verifier, token) == "used before"


_REPLAY = """
import json, sys
from pathlib import Path
from cds_hooks.bearer import Unauthorized, Verifier
from cds_hooks.ehrs import Ehr
folder, iss, base, now, path = Path(sys.argv[1]), *sys.argv[2:]
verifier = Verifier((Ehr(iss=iss, jwks=folder / "ehr.jwks.json"),), base, folder / "state", lambda: float(now))
print("ready", flush=True)
for token in json.loads(sys.stdin.read()):
    try:
        print(verifier.verify(token, path).jti)
    except Unauthorized as refusal:
        assert refusal.reason == "used before"
"""


def test_ch67_of_20_concurrent_replays_over_several_processes_one_is_let_in(
    tmp_path: Path, key_file: Path, verifier: Verifier
) -> None:
    payloads = [claims(jti=f"token-{number}") for number in range(5)]
    tokens = json.dumps([bearer(payload) for payload in payloads for _ in range(5)])  # 4 processes x 5: 20 a token
    plugins = Path(__file__).resolve().parents[4] / "plugins"
    arguments = [str(tmp_path), ISS, BASE, str(NOW), PATH]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _REPLAY, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(plugins)},
        )
        for _ in range(4)
    ]  # fmt: skip
    assert [worker.stdout.readline() for worker in workers if worker.stdout] == ["ready\n"] * 4
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(tokens)
        worker.stdin.close()
    said = [worker.stdout.read().split() for worker in workers if worker.stdout]
    assert [worker.wait(60) for worker in workers] == [0] * 4
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.close()
    assert sorted(jti for lines in said for jti in lines) == sorted(payload["jti"] for payload in payloads)


def test_ch68_an_unsigned_token_with_the_victim_s_jti_does_not_block_the_victim(verifier: Verifier) -> None:
    payload = claims(jti="victims")
    stranger = ec.generate_private_key(ec.SECP384R1())
    for token in (forged(payload, headers()), bearer(payload, stranger), bearer({**payload, "aud": "x"})):
        reason(verifier, token)
    assert verifier.verify(bearer(payload), PATH).jti == "victims"


def test_ch68_what_is_cheap_is_checked_before_a_key_is_looked_for(make_verifier: MakeVerifier, stub: Stub) -> None:
    verifier = make_verifier(jku=stub.origin + "/keys", tenants=("north",))
    for changes in ({"exp": 5}, {"aud": "x"}, {"iss": "x"}, {"jti": ""}, {"iat": NOW + 90}, {"tenant": "west"}):
        reason(verifier, forged(claims(**changes), headers()))
    reason(verifier, forged(claims(), headers(alg="none")))
    assert stub.connections == 0


def test_a_store_that_fails_lets_nobody_in(
    verifier: Verifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert verifier.verify(bearer(claims()), PATH).iss == ISS
    (tmp_path / "state" / "used_tokens.db").unlink()
    for _ in range(2):
        with pytest.raises(CannotVerify) as caught:
            verifier.verify(bearer(claims()), PATH)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "30"})
    assert "removed or replaced; restart the sidecar" in caplog.messages[-1]


@given(header=st.one_of(
    st.none(), st.text(), st.text().map("Bearer ".__add__),
    st.from_regex(r"(?i)bearer [\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}"),
))  # fmt: skip
def test_ch60_no_header_leads_to_anything_but_401(shared_verifier: Verifier, header: str | None) -> None:
    reason(shared_verifier, header)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    head=st.fixed_dictionaries({}, optional=dict.fromkeys(("alg", "kid", "typ", "jku", "crit"), JSON)),
    payload=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("iss", "aud", "exp", "iat", "jti", "tenant", "nbf"), JSON)
    ),
    right=st.sets(st.sampled_from(["head", "iss", "aud", "exp", "iat", "jti"])),
    signature=st.binary(min_size=1, max_size=100),
)
def test_ch63_no_claims_lead_to_anything_but_401(
    shared_verifier: Verifier, head: dict[str, Any], payload: dict[str, Any], right: set[str], signature: bytes
) -> None:
    known = claims()
    mixed = {**payload, **{name: known[name] for name in right if name != "head"}}
    reason(shared_verifier, forged(mixed, {**head, **(headers() if "head" in right else {})}, signature))


@pytest.mark.parametrize("text", [
    '{"alg":"ES384","kid":"ec-1","typ":"JWT","alg":"none"}', "[" * 9000, '{"a":' * 2000, "NaN", '{"exp": NaN}', '"x"', "[]",
    '{"n": ' + "9" * 5000 + "}", "\ufeff{}", "", "{", '{"a": Infinity}',
])  # fmt: skip
def test_ch61_json_that_two_readers_may_read_differently_is_refused(verifier: Verifier, text: str) -> None:
    for token in (forged(claims(), text), forged(text, headers())):
        assert reason(verifier, token).startswith(("not ", "iss is missing"))


@pytest.mark.parametrize("spoil", [
    lambda part: part + "=", lambda part: part + "==", lambda part: part[:-1] + "!", lambda part: part + "A",
    lambda part: "+" + part, lambda part: part + " ",
])  # fmt: skip
@pytest.mark.parametrize("at", [0, 1, 2])
def test_ch61_base64url_has_one_spelling(verifier: Verifier, spoil: Any, at: int) -> None:
    parts = bearer(claims()).removeprefix("Bearer ").split(".")
    parts[at] = spoil(parts[at])
    reason(verifier, "Bearer " + ".".join(parts))


def test_ch61_the_last_letter_of_base64url_has_no_loose_bits(verifier: Verifier) -> None:
    payload = claims(jti="a")
    text = json.dumps(payload, separators=(",", ":")).encode()
    while len(text) % 3 != 1:
        payload["jti"] += "a"
        text = json.dumps(payload, separators=(",", ":")).encode()
    loose = b64(text)[:-1] + chr(ord(b64(text)[-1]) + 1)
    signed = f"{b64(json.dumps(headers()).encode())}.{loose}"
    signature = jwt.get_algorithm_by_name("ES384").sign(signed.encode(), EC_KEY)
    assert reason(verifier, f"Bearer {signed}.{b64(signature)}") == "not base64url"


def test_the_scheme_is_read_in_any_case(verifier: Verifier) -> None:
    assert verifier.verify("bEARER  " + bearer(claims()).removeprefix("Bearer "), PATH).iss == ISS


@pytest.mark.parametrize(("body", "words"), [
    (b"{", "ehr.jwks.json: no JSON"),
    (b'{"keys": []}', "ehr.jwks.json: no key that can verify"),
    (key_set(jwk(EC_KEY, "a", alg="ES512")), "no key that can verify ES384 or RS384; key a: its alg is not ES384"),
])  # fmt: skip
def test_a_file_without_a_usable_key_is_refused_at_the_start(
    make_verifier: MakeVerifier, key_file: Path, body: bytes, words: str
) -> None:
    key_file.write_bytes(body)
    with pytest.raises(SchemaError, match=words):
        make_verifier()


@pytest.mark.parametrize("ehrs", [(), (Ehr(fhir_servers=("https://ehr.example.org/fhir",)),)])
def test_an_ehr_without_iss_is_refused_where_calls_are_verified(tmp_path: Path, ehrs: tuple[Ehr, ...]) -> None:
    with pytest.raises(SchemaError, match="CDS_AUTH=required needs"):
        Verifier(ehrs, BASE, tmp_path)


def test_an_ehr_without_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="has neither jwks nor jku"):
        Verifier((Ehr(iss=ISS),), BASE, tmp_path)
