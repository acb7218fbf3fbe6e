"""Verify a call's bearer JWT, in the order of what it costs: cheap checks, key, signature, used tokens."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt

from cds_hooks.bearer.claims import check_audience, check_times, tenant_of
from cds_hooks.bearer.key_set import KeySetError, plain
from cds_hooks.bearer.key_sources import FILE_FRESH, KeyFile, KeyUrl, first_read
from cds_hooks.bearer.keys import Keys
from cds_hooks.bearer.rejections import CannotVerify, Unauthorized
from cds_hooks.bearer.token import ALGORITHMS, Token, is_name, read_token
from cds_hooks.bearer.used_tokens import UsedTokens
from cds_hooks.ehrs import Ehr, by_iss
from screening.errors import SchemaError

logger = logging.getLogger(__name__)

URL_PAUSE = 30.0
"""Seconds between two requests for an EHR's keys, whatever keys the callers name."""

_ALGORITHMS = {name: jwt.get_algorithm_by_name(name) for name in ALGORITHMS}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, verified.

    Attributes
    ----------
    iss
        The EHR.
    jti
        This token's own name.
    tenant
        The organisation within the EHR; None where the token names none.
    """

    iss: str
    jti: str
    tenant: str | None = None


class Verifier:
    """Verifies the JWTs of all EHRs; made once, used by all threads, and by all workers that are forked from here.

    Parameters
    ----------
    ehrs
        Who may call.
    base_url
        The public address, without a trailing slash; `aud` is compared with it and the path.
    state
        Folder that the workers share.
    clock
        Gives Unix time in seconds.
    verify
        Whom to believe the certificates of key URLs: True, certifi's authorities; a path, that CA bundle.

    Raises
    ------
    SchemaError
        An EHR has no `iss`, or its file no key that can verify a token; all of them at once.
    OSError or sqlite3.Error
        The store of used tokens cannot be made.
    """

    def __init__(
        self,
        ehrs: Sequence[Ehr],
        base_url: str,
        state: Path,
        clock: Callable[[], float] = time.time,
        *,
        verify: bool | str = True,
    ) -> None:
        self._ehrs = by_iss(ehrs)
        self._base_url, self._clock = base_url.rstrip("/"), clock
        self._keys = _keys(self._ehrs, clock, verify)
        self._used = UsedTokens(state / "used_tokens.db")

    def verify(self, authorization: str | None, path: str) -> Caller:
        """Verify the token of one call, and use it up.

        Parameters
        ----------
        authorization
            The Authorization header; None where there is none.
        path
            The path of the endpoint invoked as our routes know it, such as `/cds-services/sepsis-risk`.

        Raises
        ------
        Unauthorized
            It is missing, not good, or was used before. Why stands in our log with `iss` and `jti`, and nowhere else.
        CannotVerify
            That cannot be found out: the EHR's keys cannot be had, or the token cannot be recorded as used.
        """
        token: Token | None = None
        try:
            token = read_token(authorization)
            return self._caller(token, path)
        except Unauthorized as refusal:
            named = _named(token)
            logger.warning("call not authorized: %s%s", refusal.reason, _told(named), extra=named)
            raise
        except CannotVerify as refusal:
            named = _named(token)
            logger.error("call cannot be verified: %s%s", refusal.reason, _told(named), extra=named)  # noqa: TRY400 - words of ours
            raise

    def warm(self) -> None:
        """Begin to fetch the keys of every URL, so that the first call need not wait; a worker does so once it runs."""
        for keys in self._keys.values():
            keys.warm()

    def close(self) -> None:
        """Close this process' connection to the store of used tokens."""
        self._used.close()

    def _caller(self, token: Token, path: str) -> Caller:
        now = self._clock()
        iss, jti = token.claims.get("iss"), token.claims.get("jti")
        ehr = self._ehrs.get(iss) if isinstance(iss, str) else None
        if ehr is None or ehr.iss is None:
            raise Unauthorized("iss is missing or unknown")
        if token.alg not in ehr.algorithms:
            raise Unauthorized("alg is not the EHR's")
        if token.jku is not None and token.jku != ehr.jku:
            raise Unauthorized("jku is not the EHR's")
        if not is_name(jti):
            raise Unauthorized("jti is missing or unusable")
        check_audience(token.claims, self._base_url + path)
        until = check_times(token.claims, now)
        caller = Caller(ehr.iss, jti, tenant_of(token.claims, ehr.tenants))
        key = self._keys[caller.iss].find(token.kid, token.alg)
        if not _ALGORITHMS[token.alg].verify(token.signed, key, token.signature):
            raise Unauthorized("the signature is not the EHR's")
        if not self._used.use(caller.iss, jti, until=until, now=now):
            raise Unauthorized("used before")
        return caller


def _keys(ehrs: dict[str, Ehr], clock: Callable[[], float], verify: bool | str) -> dict[str, Keys]:
    found: dict[str, Keys] = {}
    problems = []
    for iss, ehr in ehrs.items():
        if ehr.jwks is not None:
            source = KeyFile(ehr.jwks, ehr.algorithms)
            found[iss] = Keys(iss, source, clock, pause=FILE_FRESH, aside=False)
            try:
                first_read(source)
            except KeySetError as error:
                problems.append(f"{ehr.jwks.name}: {error}")
        elif ehr.jku is not None:
            url = KeyUrl(ehr.jku, ehr.algorithms, verify=verify)
            found[iss] = Keys(iss, url, clock, pause=URL_PAUSE, aside=True)
        else:
            problems.append(f"{iss}: has neither jwks nor jku")
    if problems:
        raise SchemaError("CDS_EHRS", problems)
    return found


def _named(token: Token | None) -> dict[str, str | None]:
    """Name the token for the log: only by text that cannot be taken for something else there."""
    claims = token.claims if token else {}
    return {"iss": plain(claims.get("iss")), "jti": plain(claims.get("jti"))}


def _told(named: dict[str, str | None]) -> str:
    """Say the names in the line itself, for a formatter shows no `extra` unless it knows of it."""
    known = [f"{name} {text}" for name, text in named.items() if text]
    return f" ({', '.join(known)})" if known else ""
