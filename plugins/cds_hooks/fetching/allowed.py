"""Which FHIR servers may be asked: a `fhirServer` counts only where it means one that this site has listed (CH-50).

What could be read in two ways is not normalised but refused: a user in front of the host, an encoded dot, a backslash, an
empty port. And what is called is never the text that came: it is the listed URL, with at most plain path segments below it.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from screening.errors import FatalError, FhirFatalError
from screening.fhir_client.address import checked_base_url

LONGEST = 1000
"""Characters of a base URL; no server has a longer one."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/[a-z0-9._~!$&'()*+,;=:%-]*)*)",
    re.ASCII | re.IGNORECASE,
)
# Below a listed URL: nothing encoded, no dot segments, no empty ones, and none of the signs that some servers strip.
_BELOW = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """A server as it is called.

    Attributes
    ----------
    listed
        The listed base URL in its normal form.
    below
        Path below it: "" or `/tenant-a/r4`.
    """

    listed: str
    below: str

    @property
    def base_url(self) -> str:
        """Where the FHIR server is."""
        return self.listed + self.below


@dataclass(frozen=True, slots=True)
class _Normal:
    origin: str
    path: str


class AllowedServers:
    """The allow-list: which base URLs, of which EHR.

    Parameters
    ----------
    servers
        Pairs of the EHR's JWT issuer (None where it has none) and a base URL.
    allow_http
        Permits plain http to another machine than this one (CH-26).

    Raises
    ------
    FatalError
        A URL that is no base URL, or plain http to another machine.
    """

    def __init__(self, servers: Iterable[tuple[str | None, str]], *, allow_http: bool = False) -> None:
        self._entries = [(iss, _listed(url, allow_http)) for iss, url in servers]

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Every listed base URL once, in its normal form."""
        return tuple(dict.fromkeys(entry.origin + entry.path for _, entry in self._entries))

    def find(self, url: str, iss: str | None) -> Place | None:
        """Return the place that a `fhirServer` means; None where it is not allowed.

        Parameters
        ----------
        url
            As sent.
        iss
            Whose JWT came with the call: only that EHR's servers count. None, where no JWT is asked for, counts all.
        """
        asked = _normal(url)
        if asked is None:
            return None
        found = [
            Place(entry.origin + entry.path, asked.path[len(entry.path) :])
            for issuer, entry in self._entries
            if (iss is None or issuer == iss) and entry.origin == asked.origin and _is_below(asked.path, entry.path)
        ]
        return max(found, key=lambda place: len(place.listed), default=None)


def _is_below(path: str, base: str) -> bool:
    return path.startswith(base) and _BELOW.fullmatch(path[len(base) :]) is not None


def _listed(url: str, allow_http: bool) -> _Normal:
    try:
        checked = checked_base_url(url, allow_http=allow_http)
    except FhirFatalError as error:
        raise FatalError(f"fhir_servers: {error}") from None
    found = _normal(checked)
    if found is None:
        raise FatalError(
            "fhir_servers: base URL: must be https://HOST/PATH, an international host name in its ASCII form (xn--…)"
        )
    return found


def _normal(url: str) -> _Normal | None:
    """Return origin and path in the form that is compared; None for what has no one meaning."""
    match = _URL.fullmatch(url) if len(url) <= LONGEST else None
    if match is None:
        return None
    scheme = match["scheme"].lower()
    host, port = _host(match["host"]), int(match["port"] or _DEFAULT_PORTS[scheme])
    if host is None or port > 65535:
        return None
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return _Normal(f"{scheme}://{host}{suffix}", match["path"].rstrip("/"))


def _host(text: str) -> str | None:
    if not text.startswith("["):
        return text.lower().removesuffix(".")
    try:
        return f"[{ipaddress.IPv6Address(text[1:-1])}]"
    except ValueError:
        return None
