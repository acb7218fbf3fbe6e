"""Where an EHR's keys are read: a file of ours, or the EHR's own URL, which our settings name and no token."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from cds_hooks.bearer.key_set import KeySet, KeySetError, parse_key_set
from cds_hooks.ehrs import RECOMMENDED, Algorithm
from screening.fhir_client.wire_log import no_urls_logged

FILE_FRESH = 5.0
"""Seconds after which a file is looked at again."""
URL_FRESH = (60.0, 300.0, 3600.0)
"""Seconds for which a URL's keys are good: at least, where the answer does not say, and at most."""
FETCH_SECONDS = 3.0
"""What asking a URL may take in all."""
LONGEST_SET = 256 * 1024

_TIMEOUTS = (1.5, 1.5)  # to connect, and between two packets
_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,9})', re.IGNORECASE)
_NO_CACHE = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.IGNORECASE)
_HEADERS = {"Accept": "application/jwk-set+json, application/json", "User-Agent": "airflow-risk-screening"}
_WIRE_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class KeyFile:
    """A JWK Set in a file; parsed again when the file is another.

    Parameters
    ----------
    algorithms
        What its keys are wanted for.
    """

    def __init__(self, path: Path, algorithms: Sequence[Algorithm] = RECOMMENDED) -> None:
        self.path, self.algorithms = path, tuple(algorithms)
        self._seen: tuple[int, int, int] | None = None
        self._read = KeySet({})

    def __call__(self) -> KeySet:
        """Read the keys.

        Raises
        ------
        KeySetError
            The file is not there, or holds no JWK Set.
        """
        try:
            status = self.path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._read = parse_key_set(self.path.read_bytes(), FILE_FRESH, self.algorithms)
                self._seen = seen
        except OSError as error:
            raise KeySetError(f"the file cannot be read: {os.strerror(error.errno or 0)}") from None
        return self._read


class KeyUrl:
    """A JWK Set behind a URL.

    Parameters
    ----------
    algorithms
        What its keys are wanted for.
    verify
        Whom to believe its certificate: True, certifi's authorities; a path, that CA bundle.
    """

    def __init__(
        self,
        url: str,
        algorithms: Sequence[Algorithm] = RECOMMENDED,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        verify: bool | str = True,
    ) -> None:
        self._url, self._algorithms = url, tuple(algorithms)
        self._verify = verify
        self._monotonic = monotonic

    def __call__(self) -> KeySet:
        """Ask for the keys: no redirect, no proxy and no certificates of the environment, no more bytes than a set has.

        Raises
        ------
        KeySetError
            No answer in time, another status than 200, or no JWK Set.
        """
        request = requests.Request("GET", self._url, headers=_HEADERS)
        adapter = HTTPAdapter(
            max_retries=0
        )  # the adapter alone: a session would look at the environment and at redirects
        try:
            with no_urls_logged():
                return self._ask(adapter, request.prepare())
        except _WIRE_ERRORS as error:
            raise KeySetError(f"no answer: {type(error).__name__}") from None
        finally:
            adapter.close()

    def _ask(self, adapter: HTTPAdapter, request: requests.PreparedRequest) -> KeySet:
        end = self._monotonic() + FETCH_SECONDS
        response = adapter.send(request, stream=True, timeout=_TIMEOUTS, verify=self._verify)
        with response:
            if response.status_code != 200:
                raise KeySetError(f"the answer is {response.status_code}")
            body = b""
            while parcel := response.raw.read1(64 * 1024, decode_content=False):
                body += parcel
                if len(body) > LONGEST_SET:
                    raise KeySetError(f"more than {LONGEST_SET} bytes")
                if self._monotonic() > end:
                    raise KeySetError(f"not within {FETCH_SECONDS:.0f} s")
        return parse_key_set(body, fresh_seconds(response.headers), self._algorithms)


def fresh_seconds(headers: Mapping[str, str]) -> float:
    """Read for how long an answer may be used (RFC 9111, section 4.2), within `URL_FRESH`."""
    shortest, usual, longest = URL_FRESH
    control = headers.get("Cache-Control", "")
    if _NO_CACHE.search(control):
        return shortest
    found = _MAX_AGE.search(control)
    if found is None:
        return usual
    age = headers.get("Age", "").strip()
    spent = int(age) if age.isdecimal() and len(age) < 10 else 0
    return min(max(float(int(found[1]) - spent), shortest), longest)


def first_read(source: KeyFile) -> KeySet:
    """Read a file of keys at the start, when one that is of no use is still mended easily.

    Raises
    ------
    KeySetError
        As above, or there is no key in it that can verify a token.
    """
    read = source()
    if not read.keys:
        raise KeySetError("; ".join((f"no key that can verify {' or '.join(source.algorithms)}", *read.left_out)))
    return read
