"""The JWT by which an EHR says who calls (CDS Hooks 2.0, Trusting CDS Clients): one endpoint, five minutes, used once."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from screening.errors import DataFileError

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey

LIFETIME = 300
"""Seconds that a token is good for; an hour is the most that the best practices allow."""
_RSA_BITS = 2048
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}  # RFC 7638, section 3.2


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the algorithm that it signs by, ES384 or RS384, and the id under which the service knows it."""

    key: PrivateKey = field(repr=False)
    kid: str

    @property
    def algorithm(self) -> str:
        """The `alg` of its tokens."""
        return "ES384" if isinstance(self.key, EllipticCurvePrivateKey) else "RS384"

    def public_jwk(self) -> dict[str, Any]:
        """Return the public part as a JWK, for the service's JWK set."""
        public = _jwk_of(self.key)
        return public | {"alg": self.algorithm, "kid": self.kid, "use": "sig"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes tokens of one EHR.

    Attributes
    ----------
    iss
        Who the EHR is to the service.
    tenant
        The `tenant` claim, for an EHR that serves several organizations.
    """

    key: SigningKey
    iss: str
    tenant: str | None = None
    lifetime: int = LIFETIME
    clock: Callable[[], float] = time.time
    new_id: Callable[[], object] = uuid4

    def token(self, audience: str) -> str:
        """Make a fresh token for one endpoint: its URL is the audience, and no other endpoint takes it."""
        now = int(self.clock())
        claims = {"iss": self.iss, "aud": audience, "iat": now, "exp": now + self.lifetime, "jti": str(self.new_id())}
        if self.tenant is not None:
            claims["tenant"] = self.tenant
        return jwt.encode(claims, self.key.key, self.key.algorithm, {"kid": self.key.kid, "typ": "JWT"})


def signing_key(path: Path, kid: str | None = None) -> SigningKey:
    """Read a private key from a PEM or JWK file.

    Parameters
    ----------
    kid
        Its id; None takes the JWK's own, or the RFC 7638 thumbprint.

    Raises
    ------
    DataFileError
        The file is missing, or holds no unencrypted private key of P-384 or of RSA with 2048 bits or more. What it holds
        is not repeated.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataFileError(f"{path}: the key cannot be read: {error.strerror}") from None
    named: Any = None
    try:
        if content.lstrip()[:1] == b"{":
            found = json.loads(content)
            named = found.get("kid")
            key: Any = jwt.PyJWK(found, algorithm="RS384" if found.get("kty") == "RSA" else "ES384").key
        else:
            key = load_pem_private_key(content, None)
    except (ValueError, TypeError, LookupError, jwt.PyJWTError):  # their messages may quote the key
        key = None
    curve_fits = isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP384R1)
    if not curve_fits and not (isinstance(key, RSAPrivateKey) and key.key_size >= _RSA_BITS):
        raise DataFileError(
            f"{path}: must hold a private key, unencrypted, as PEM or JWK: of P-384 (ES384) or RSA of {_RSA_BITS} bits "
            "or more (RS384); `python -m screening cds-keys DIR` makes one"
        )
    return SigningKey(key, kid or (named if isinstance(named, str) and named else thumbprint(key)))


def thumbprint(key: PrivateKey) -> str:
    """Return the RFC 7638 thumbprint (SHA-256) of a key's public part."""
    public = _jwk_of(key)
    members = {name: public[name] for name in _MEMBERS[public["kty"]]}
    digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _jwk_of(key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, RSAPrivateKey):
        whole = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        whole = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {name: part for name, part in whole.items() if name in _MEMBERS[whole["kty"]]}
