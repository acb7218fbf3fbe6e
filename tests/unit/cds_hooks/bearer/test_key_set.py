"""CH-62, CH-66: which keys of a JWK Set can verify a token, and what is said of the others."""

import json
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cds_hooks.bearer.issuer import EC_KEY, OURS, RSA_KEY, jwk, key_set

from cds_hooks.bearer.key_set import KeySetError, parse_key_set, plain

P256 = ec.generate_private_key(ec.SECP256R1())
HUGE = SimpleNamespace(public_key=rsa.RSAPublicNumbers(65537, 2**8200 + 1).public_key)
PRIVATE = {**jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY, as_dict=True), "kid": "a"}


def test_ch66_keys_are_found_by_name_and_algorithm() -> None:
    found = parse_key_set(OURS, 7)
    assert (set(found.keys), found.left_out, found.fresh) == ({("ec-1", "ES384"), ("rsa-1", "RS384")}, (), 7)
    assert found.keys["ec-1", "ES384"] == EC_KEY.public_key()
    assert found.keys["rsa-1", "RS384"] == RSA_KEY.public_key()


def test_ch66_one_name_may_stand_for_a_key_of_each_type() -> None:
    found = parse_key_set(key_set(jwk(EC_KEY, "a"), jwk(RSA_KEY, "a")), 0)
    assert set(found.keys) == {("a", "ES384"), ("a", "RS384")}


@pytest.mark.parametrize("members", [
    {}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"alg": "ES384"},
    {"x5c": ["x"], "other": 1},
])  # fmt: skip
def test_ch66_members_that_fit(members: dict[str, Any]) -> None:
    assert len(parse_key_set(key_set(jwk(EC_KEY, "a", **members)), 0).keys) == 1


@pytest.mark.parametrize(("key", "words"), [
    (jwk(P256, "a"), "key a: for ES256, and algorithms are ES384, RS384"),
    (jwk(ec.generate_private_key(ec.SECP521R1()), "a"), "key a: EC, but neither P-384 nor P-256"),
    (jwk(P256, "a", crv="P-384"), "broken"),
    (jwk(rsa.generate_private_key(65537, 1024), "a"), "2048 to 8192 bits"),  # noqa: S505 - what is refused
    (jwk(HUGE, "a"), "2048 to 8192 bits"),
    (jwk(EC_KEY, "a", alg="ES256"), "key a: its alg is not ES384"),
    (jwk(RSA_KEY, "a", alg="RS256"), "key a: for RS256, and algorithms are ES384, RS384"),
    (jwk(RSA_KEY, "a", alg="ES384"), "key a: its alg is not RS384 or RS256"),
    (jwk(EC_KEY, "a", use="enc"), "not for signatures"),
    (jwk(EC_KEY, "a", use=["sig"]), "not for signatures"),
    (jwk(EC_KEY, "a", key_ops=["sign"]), "not for verifying"),
    (jwk(EC_KEY, "a", key_ops="verify"), "not for verifying"),
    (jwk(EC_KEY, None), "key 0: no usable kid"),
    (jwk(EC_KEY, ""), "key 0: no usable kid"),
    (jwk(EC_KEY, "a\nb"), "key 0: no usable kid"),
    (jwk(EC_KEY, "a b", use="enc"), "key 0: not for signatures"),
    (PRIVATE, "key a: a private key, which must never be published"),
    ({"kty": "oct", "k": "c2VjcmV0", "kid": "a"}, "neither EC nor RSA"),
    ({"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "a"}, "neither EC nor RSA"),
    ({"kty": ["EC"], "kid": "a"}, "neither EC nor RSA"),
    ({"kid": "a"}, "neither EC nor RSA"),
    ({"kty": "EC", "kid": "a"}, "broken"),
    ({"kty": "EC", "kid": "a", "crv": "P-384", "x": 1, "y": None}, "broken"),
    ({"kty": "EC", "kid": "a", "crv": [], "x": "AAAA", "y": "AAAA"}, "broken"),
    ({"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}, "broken"),
    ({"kty": "RSA", "kid": "a", "n": {}, "e": True}, "broken"),
    ("text", "key 0: no object"), (None, "key 0: no object"), ([], "key 0: no object"),
])  # fmt: skip
def test_ch62_a_key_that_cannot_verify_is_left_out_and_the_others_serve(key: Any, words: str) -> None:
    found = parse_key_set(key_set(key, jwk(RSA_KEY, "rsa-1")), 0)
    assert set(found.keys) == {("rsa-1", "RS384")}
    assert words in found.left_out[0]
    assert not any(str(value) in found.left_out[0] for value in (PRIVATE["d"], PRIVATE["x"]))


@pytest.mark.parametrize(("body", "words"), [
    (b"", "no JSON"), (b"<html>", "no JSON"), (b"\xff", "no JSON"), (b"[" * 100_000, "no JSON"), (b"[]", "no JWK Set"),
    (b"{}", "no JWK Set"), (b'{"keys": {}}', "no JWK Set"), (json.dumps(PRIVATE).encode(), "no JWK Set"),
    (key_set(*[{}] * 101), "more than 100 keys"), (key_set(jwk(EC_KEY, "a"), jwk(EC_KEY, "a")), "two keys of the name a"),
])  # fmt: skip
def test_ch66_what_is_no_key_set_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(KeySetError, match=words):
        parse_key_set(body, 0)


def test_ch62_keys_serve_the_algorithms_that_are_wanted_and_fit_them() -> None:
    body = key_set(jwk(P256, "p"), jwk(RSA_KEY, "r"), jwk(RSA_KEY, "only", alg="RS384"), jwk(EC_KEY, "e"))
    found = parse_key_set(body, 0, ("ES256", "RS256", "RS384"))
    assert set(found.keys) == {("p", "ES256"), ("r", "RS256"), ("r", "RS384"), ("only", "RS384")}
    assert found.left_out == ("key e: for ES384, and algorithms are ES256, RS256, RS384",)


@given(
    st.dictionaries(
        st.sampled_from(["kty", "kid", "crv", "x", "y", "n", "e", "use", "alg", "key_ops"]),
        st.none() | st.booleans() | st.integers() | st.sampled_from(["EC", "RSA", "P-384", "AQAB", "sig", "é", "="])
        | st.text() | st.lists(st.text(), max_size=2),
    )
)  # fmt: skip
def test_ch66_no_key_breaks_the_set(key: dict[str, Any]) -> None:
    found = parse_key_set(key_set(key, jwk(EC_KEY, "ours")), 0)
    assert set(found.keys) == {("ours", "ES384")}


@pytest.mark.parametrize(("text", "expected"), [
    ("https://ehr.example.org/a-b_c.d~e@f+g=h|i", True), ("a b", False), ("a\n", False), ("", False),
    ("a" * 129, False), (5, False),
])  # fmt: skip
def test_ch84_only_plain_text_is_for_the_log(text: object, expected: bool) -> None:
    assert (plain(text) == text) is expected
