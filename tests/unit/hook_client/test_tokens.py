"""The EHR's JWTs, and the keys that they are signed with, against PyJWT as an independent reader."""

import base64
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from screening.errors import DataFileError
from screening.hook_client.key_files import make_keys
from screening.hook_client.tokens import SigningKey, Tokens, signing_key

AUDIENCE = "https://cds.example.org/cds-services/sepsis-risk"
EC = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)


def pem(key: Any, encryption: Any = None) -> bytes:
    """Return a key as PKCS #8."""
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return made


def jwk(key: Any) -> dict[str, Any]:
    """Return a private key as JWK."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    made: dict[str, Any] = kind.to_jwk(key, as_dict=True)
    return made


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES384"), (RSA, "RS384")], ids=["ES384", "RS384"])
def test_ch61_ch62_ch63_a_token_has_what_is_required_and_a_fitting_algorithm(key: Any, algorithm: str) -> None:
    tokens = Tokens(SigningKey(key, "k1"), "https://ehr.example.org")
    made = tokens.token(AUDIENCE)
    assert jwt.get_unverified_header(made) == {"alg": algorithm, "kid": "k1", "typ": "JWT"}
    claims = jwt.decode(
        made, key.public_key(), algorithms=[algorithm], audience=AUDIENCE, issuer="https://ehr.example.org",
        options={"require": ["iss", "aud", "exp", "iat", "jti"]},
    )  # fmt: skip
    assert claims.keys() == {"iss", "aud", "exp", "iat", "jti"}
    assert claims["exp"] - claims["iat"] == 300


def test_ch63_times_are_whole_seconds_of_the_clock_and_a_tenant_is_named_if_there_is_one() -> None:
    tokens = Tokens(SigningKey(EC, "k1"), "ehr", "ward-7", clock=lambda: 1_750_000_000.9, new_id=lambda: "j")
    claims = jwt.decode(tokens.token(AUDIENCE), options={"verify_signature": False})
    assert claims == {
        "iss": "ehr", "aud": AUDIENCE, "iat": 1_750_000_000, "exp": 1_750_000_300, "jti": "j", "tenant": "ward-7",
    }  # fmt: skip


def test_ch64_a_token_is_for_one_endpoint() -> None:
    made = Tokens(SigningKey(EC, "k1"), "ehr").token(AUDIENCE)
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(made, EC.public_key(), algorithms=["ES384"], audience="https://cds.example.org/cds-services")


def test_ch67_each_token_has_a_jti_of_its_own() -> None:
    tokens = Tokens(SigningKey(EC, "k1"), "ehr")
    made = {jwt.decode(tokens.token(AUDIENCE), options={"verify_signature": False})["jti"] for _ in range(50)}
    assert len(made) == 50


def test_ch53_no_key_is_in_a_repr() -> None:
    shown = repr(Tokens(SigningKey(EC, "k1"), "ehr"))
    assert "k1" in shown
    assert "PrivateKey" not in shown


@pytest.mark.parametrize("key", [EC, RSA], ids=["EC", "RSA"])
def test_ch61_a_key_is_read_from_pem_and_from_jwk(tmp_path: Path, key: Any) -> None:
    (tmp_path / "key.pem").write_bytes(pem(key))
    (tmp_path / "key.json").write_text(json.dumps(jwk(key) | {"kid": "own"}))
    (tmp_path / "bare.json").write_text(json.dumps(jwk(key)))
    public = key.public_key().public_numbers()
    found = [signing_key(tmp_path / name) for name in ("key.pem", "key.json", "bare.json")]
    assert [one.key.public_key().public_numbers() for one in found] == [public] * 3
    assert found[1].kid == "own"
    assert found[0].kid == found[2].kid != "own"
    assert signing_key(tmp_path / "key.json", "chosen").kid == "chosen"


def test_ch61_the_kid_is_the_thumbprint_of_rfc_7638(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(EC))
    numbers = EC.public_key().public_numbers()

    def encoded(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes(48, "big")).decode().rstrip("=")

    members = f'{{"crv":"P-384","kty":"EC","x":"{encoded(numbers.x)}","y":"{encoded(numbers.y)}"}}'
    digest = hashlib.sha256(members.encode()).digest()
    assert signing_key(tmp_path / "key.pem").kid == base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize("content", [
    b"", b"{", b"{}", b"[]", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\nMARKER\n-----END PRIVATE KEY-----\n",
    pem(ec.generate_private_key(ec.SECP256R1())),
    pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - it is to be refused
    pem(EC, BestAvailableEncryption(b"secret")),
    EC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    json.dumps({"kty": "oct", "k": "TUFSS0VS"}).encode(),
    json.dumps({name: part for name, part in jwk(EC).items() if name != "d"}).encode(),
    json.dumps(jwk(EC) | {"x": "MARKER"}).encode(),
], ids=range(13))  # fmt: skip
def test_ch62_what_no_service_may_accept_signs_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(DataFileError, match=r"must hold a private key, unencrypted.*cds-keys") as refused:
        signing_key(tmp_path / "key")
    assert "MARKER" not in str(refused.value)


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="the key cannot be read: No such file"):
        signing_key(tmp_path / "none")


def test_ch61_ch66_a_made_pair_signs_what_its_jwk_set_verifies(tmp_path: Path) -> None:
    made = make_keys(tmp_path / "keys")
    assert stat.S_IMODE(made.private.stat().st_mode) == 0o600
    (public,) = json.loads(made.public.read_text())["keys"]
    assert public.keys() == {"alg", "crv", "kid", "kty", "use", "x", "y"}
    assert (public["alg"], public["crv"], public["kid"], public["use"]) == ("ES384", "P-384", made.kid, "sig")
    token = Tokens(signing_key(made.private), "ehr").token(AUDIENCE)
    assert jwt.get_unverified_header(token)["kid"] == made.kid
    assert jwt.decode(token, jwt.PyJWK(public).key, algorithms=["ES384"], audience=AUDIENCE)["iss"] == "ehr"


@pytest.mark.parametrize("taken", ["private.pem", "jwks.json"])
def test_a_key_is_never_written_over(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(DataFileError, match=f"{taken}: is there already"):
        make_keys(tmp_path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(taken, "mine")]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFileError, match="the keys cannot be written"):
        make_keys(tmp_path / "file" / "keys")
