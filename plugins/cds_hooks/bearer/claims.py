"""What a token's payload must say (CDS Hooks 2.0.1, JWT payload): by whom, for whom, when and once.

`sub` and what else there is are not looked at.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cds_hooks.bearer.rejections import Unauthorized
from cds_hooks.bearer.token import is_name

LEEWAY = 60.0
"""Seconds by which the caller's clock and ours may differ."""
LONGEST_LIFE = 3600.0
"""Seconds from `iat` to `exp`: no more than an hour, say CDS Hooks' best practices."""

_LAST_SECOND = 2**53  # what a float tells apart


def check_audience(claims: Mapping[str, Any], endpoint: str) -> None:
    """Check that the token was made for the endpoint invoked.

    Parameters
    ----------
    endpoint
        Its public URL, from our settings: the Host header is the caller's word.

    Raises
    ------
    Unauthorized
        `aud` is missing, is neither text nor a list of texts, or does not name it.
    """
    aud = claims.get("aud")
    several = [aud] if isinstance(aud, str) else aud
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        raise Unauthorized("aud is missing or unusable")
    if endpoint not in several:
        raise Unauthorized("aud is not the endpoint invoked")


def check_times(claims: Mapping[str, Any], now: float) -> float:
    """Check that the token is valid now, and not for too long.

    Parameters
    ----------
    now
        Unix time in seconds.

    Returns
    -------
    float
        Unix time until which the token would be accepted.

    Raises
    ------
    Unauthorized
        `exp` or `iat` is missing, they are more than an hour apart, or now is not between them; `nbf`, where it is
        given, is still to come.
    """
    exp, iat = _seconds(claims, "exp"), _seconds(claims, "iat")
    if not 0 < exp - iat <= LONGEST_LIFE:
        raise Unauthorized("exp is not within the hour after iat")
    if iat > now + LEEWAY:
        raise Unauthorized("iat is in the future")
    if now >= exp + LEEWAY:
        raise Unauthorized("expired")
    if "nbf" in claims and _seconds(claims, "nbf") > now + LEEWAY:
        raise Unauthorized("nbf is in the future")
    return exp + LEEWAY


def tenant_of(claims: Mapping[str, Any], allowed: Sequence[str]) -> str | None:
    """Give the tenant that calls; None where the token names none.

    Raises
    ------
    Unauthorized
        It is no text, or tenants are configured and it is none of them.
    """
    tenant = claims.get("tenant")
    if "tenant" in claims and not is_name(tenant):
        raise Unauthorized("tenant is unusable")
    if allowed and tenant not in allowed:
        raise Unauthorized("tenant is not allowed")
    return tenant


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """Read a NumericDate (RFC 7519, section 2)."""
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < _LAST_SECOND:
        raise Unauthorized(f"{name} is missing or unusable")
    return float(value)
