"""An EHR's side: its keys, its JWK Set, and tokens that are right but for what a test changes."""

import base64
import json
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISS = "https://ehr.example.org"
BASE = "https://cds.example.org/hospital"
PATH = "/cds-services/sepsis-risk"
NOW = 1_790_000_000.0
EC_KEY = ec.generate_private_key(ec.SECP384R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
LEFT_OUT: Any = object()
"""The value of a header or claim that is not there."""


def jwk(key: Any, kid: str | None, **members: Any) -> dict[str, Any]:
    """Return the JWK of a private key's public half."""
    public = key.public_key()
    of = ECAlgorithm if isinstance(public, ec.EllipticCurvePublicKey) else RSAAlgorithm
    found = {**of.to_jwk(public, as_dict=True), "kid": kid, **members}
    found.pop("key_ops", None) if "key_ops" not in members else None
    return {name: value for name, value in found.items() if value is not None}


def key_set(*jwks: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(jwks)}).encode()


OURS = key_set(jwk(EC_KEY, "ec-1"), jwk(RSA_KEY, "rsa-1"))


def headers(**changes: Any) -> dict[str, Any]:
    return _changed({"alg": "ES384", "kid": "ec-1", "typ": "JWT"}, changes)


def claims(now: float = NOW, **changes: Any) -> dict[str, Any]:
    right = {"iss": ISS, "aud": BASE + PATH, "iat": int(now), "exp": int(now) + 300, "jti": str(uuid.uuid4())}
    return _changed(right, changes)


def bearer(payload: dict[str, Any], key: Any = EC_KEY, head: dict[str, Any] | None = None) -> str:
    """Return the Authorization header of a token that PyJWT signs."""
    head = headers() if head is None else head
    return "Bearer " + jwt.encode(payload, key, head["alg"], headers={**head, "typ": head.get("typ")})


def forged(payload: object, head: object, signature: bytes = b"x" * 96) -> str:
    """Return the Authorization header of a token that nobody signed; texts go in as they are."""
    parts = (part if isinstance(part, str) else json.dumps(part) for part in (head, payload))
    return "Bearer " + ".".join([*(b64(part.encode()) for part in parts), b64(signature)])


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _changed(right: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**right, **changes}.items() if value is not LEFT_OUT}
