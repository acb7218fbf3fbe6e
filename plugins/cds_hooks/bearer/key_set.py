"""A JWK Set (RFC 7517) as the keys that can verify a token of ours; what cannot is left out, with a word why."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cds_hooks.bearer.token import is_name

PublicKey = EllipticCurvePublicKey | RSAPublicKey

_ALG_OF_TYPE = {"EC": "ES384", "RSA": "RS384"}
_RSA_BITS = (2048, 8192)  # NIST SP 800-131A; above, one verification takes milliseconds
_MOST_KEYS = 100
_PLAIN = re.compile(r"[A-Za-z0-9._~:/@+=|-]{1,128}")


class KeySetError(Exception):
    """The keys cannot be had: no answer, no file, or no JWK Set. The words repeat nothing that was read."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one EHR.

    Attributes
    ----------
    keys
        (kid, alg) → key: the key decides which algorithm it is good for, never the token.
    left_out
        A line for each key that cannot verify a token of ours.
    fresh
        Seconds for which the set may be used before it is looked for again.
    """

    keys: Mapping[tuple[str, str], PublicKey] = field(repr=False)
    left_out: tuple[str, ...] = ()
    fresh: float = 0.0


def parse_key_set(body: bytes, fresh: float) -> KeySet:
    """Read a JWK Set.

    Raises
    ------
    KeySetError
        It is no JSON object with a list `keys`, has too many of them, or one name for two keys.
    """
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise KeySetError("no JSON") from None
    listed = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise KeySetError("no JWK Set: an object with a list `keys`")
    if len(listed) > _MOST_KEYS:
        raise KeySetError(f"more than {_MOST_KEYS} keys")
    keys: dict[tuple[str, str], PublicKey] = {}
    left_out = []
    for at, jwk in enumerate(listed):
        if problem := _unfit(jwk):
            left_out.append(
                f"key {plain(jwk.get('kid')) or at}: {problem}" if isinstance(jwk, dict) else f"key {at}: no object"
            )
            continue
        name = (jwk["kid"], _ALG_OF_TYPE[jwk["kty"]])
        key = _public_key(jwk, name[1])
        if key is None:
            left_out.append(f"key {plain(jwk['kid']) or at}: broken, or neither EC P-384 nor RSA of 2048 to 8192 bits")
        elif name in keys:
            raise KeySetError(f"two keys of the name {plain(jwk['kid']) or at}")
        else:
            keys[name] = key
    return KeySet(keys, tuple(left_out), fresh)


def plain(text: object) -> str | None:
    """Give a text that a log line can hold without being led astray by it; None for any other."""
    return text if isinstance(text, str) and _PLAIN.fullmatch(text) else None


def _unfit(jwk: Any) -> str | None:
    """Say why a key is left out, as far as its members other than the key itself tell."""
    if not isinstance(jwk, dict):
        return "no object"
    alg = _ALG_OF_TYPE.get(jwk["kty"]) if isinstance(jwk.get("kty"), str) else None
    operations = jwk.get("key_ops", ["verify"])
    problems = {
        "neither EC nor RSA": alg is None,
        "a private key, which must never be published": "d" in jwk,
        "no usable kid": not is_name(jwk.get("kid")),
        "not for signatures": jwk.get("use", "sig") != "sig",
        "not for verifying": not isinstance(operations, list) or "verify" not in operations,
        f"for another algorithm than {alg}": jwk.get("alg", alg) != alg,
    }
    return next((problem for problem, holds in problems.items() if holds), None)


def _public_key(jwk: dict[str, Any], alg: str) -> PublicKey | None:
    try:
        key = jwt.PyJWK(jwk, alg).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):  # whatever a member of a wrong kind leads to
        return None
    if isinstance(key, EllipticCurvePublicKey):
        return key if alg == "ES384" and isinstance(key.curve, SECP384R1) else None
    if isinstance(key, RSAPublicKey):
        return key if _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1] else None
    return None
