"""A JWK Set (RFC 7517) as the keys that can verify a token of ours; what cannot is left out, with a word why."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cds_hooks.bearer.token import is_name
from cds_hooks.ehrs import RECOMMENDED, Algorithm

PublicKey = EllipticCurvePublicKey | RSAPublicKey

_READ: dict[str, Callable[[dict[str, Any]], object]] = {"EC": ECAlgorithm.from_jwk, "RSA": RSAAlgorithm.from_jwk}
_OF_CURVE: dict[str, tuple[Algorithm, ...]] = {"secp384r1": ("ES384",), "secp256r1": ("ES256",)}  # RFC 7518, 3.4
_OF_RSA: tuple[Algorithm, ...] = ("RS384", "RS256")
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
        (kid, alg) → key: the key and our settings decide which algorithms it is good for, never the token.
    left_out
        A line for each key that cannot verify a token of ours.
    fresh
        Seconds for which the set may be used before it is looked for again.
    """

    keys: Mapping[tuple[str, str], PublicKey] = field(repr=False)
    left_out: tuple[str, ...] = ()
    fresh: float = 0.0


def parse_key_set(body: bytes, fresh: float, algorithms: Sequence[Algorithm] = RECOMMENDED) -> KeySet:
    """Read a JWK Set.

    Parameters
    ----------
    fresh
        See `KeySet`.
    algorithms
        What keys are wanted for.

    Raises
    ------
    KeySetError
        It is no JSON object with a list `keys`, has too many of them, or one name for two keys.
    """
    keys: dict[tuple[str, str], PublicKey] = {}
    left_out = []
    for at, jwk in enumerate(_listed(body)):
        read = _unfit(jwk) or _public_key(jwk)
        good_for = read if isinstance(read, str) else _good_for(read, jwk.get("alg"), algorithms)
        name = plain(jwk.get("kid")) or at if isinstance(jwk, dict) else at
        if isinstance(read, str) or isinstance(good_for, str):
            left_out.append(f"key {name}: {good_for}")
            continue
        for alg in good_for:
            if keys.setdefault((jwk["kid"], alg), read) is not read:
                raise KeySetError(f"two keys of the name {name}")
    return KeySet(keys, tuple(left_out), fresh)


def _listed(body: bytes) -> list[Any]:
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise KeySetError("no JSON") from None
    listed = data.get("keys") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise KeySetError("no JWK Set: an object with a list `keys`")
    if len(listed) > _MOST_KEYS:
        raise KeySetError(f"more than {_MOST_KEYS} keys")
    return listed


def plain(text: object) -> str | None:
    """Give a text that a log line can hold without being led astray by it; None for any other."""
    return text if isinstance(text, str) and _PLAIN.fullmatch(text) else None


def _unfit(jwk: Any) -> str | None:
    """Say why a key is left out, as far as its members other than the key itself tell."""
    if not isinstance(jwk, dict):
        return "no object"
    operations = jwk.get("key_ops", ["verify"])
    problems = {
        "neither EC nor RSA": jwk.get("kty") not in ("EC", "RSA"),
        "a private key, which must never be published": "d" in jwk,
        "no usable kid": not is_name(jwk.get("kid")),
        "not for signatures": jwk.get("use", "sig") != "sig",
        "not for verifying": not isinstance(operations, list) or "verify" not in operations,
    }
    return next((problem for problem, holds in problems.items() if holds), None)


def _public_key(jwk: dict[str, Any]) -> PublicKey | str:
    """Read the key itself, or say why it is left out."""
    try:
        key = _READ[jwk["kty"]](jwk)
    except (PyJWTError, ValueError, TypeError, AttributeError):  # whatever a member of a wrong kind leads to
        return "broken"
    if isinstance(key, EllipticCurvePublicKey):
        return key if key.curve.name in _OF_CURVE else "EC, but neither P-384 nor P-256"
    if isinstance(key, RSAPublicKey):
        return key if _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1] else "RSA, but not of 2048 to 8192 bits"
    return "no public key"


def _good_for(key: PublicKey, alg: object, wanted: Sequence[Algorithm]) -> list[Algorithm] | str:
    """Return the wanted algorithms that a key serves, or say why it serves none; `alg` is what the key says itself."""
    of_kind = _OF_CURVE[key.curve.name] if isinstance(key, EllipticCurvePublicKey) else _OF_RSA
    possible = [one for one in of_kind if alg in (None, one)]
    if not possible:
        return f"its alg is not {' or '.join(of_kind)}"
    found = [one for one in possible if one in wanted]
    return found or f"for {' or '.join(possible)}, and algorithms are {', '.join(wanted)}"
