"""Where the server is, and which URLs belong to it.

The scheme is taken as it is written: `http` is never turned into `https`, nor the other way round. A `next` link is
followed only inside the base URL, so that neither credentials nor a search go to another place.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urldefrag, urljoin, urlsplit

from screening.errors import FhirFatalError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRINTABLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9a-fA-F:.]+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")


def path_of(url: str) -> str:
    """Give the path of a URL: all of it that a message or a log line may show."""
    return urlsplit(url).path or "/"


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(text: str, *, allow_http: bool) -> str:
    """Check a base URL and give it without its trailing slash.

    Raises
    ------
    FhirFatalError
        Not an absolute http(s) URL, or one with credentials, a query, a fragment or dot segments; plain http to
        another machine without `allow_http`.
    """
    parts = _parts(text)
    if parts is None:
        raise FhirFatalError("base URL: cannot be read as a URL")
    host = parts.hostname or ""
    problem = _base_problem(text, parts, host)
    if problem:
        raise FhirFatalError(f"base URL: {problem}")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise FhirFatalError(
            f"base URL: plain http to {host} would send patient data and credentials unencrypted; "
            "use https, or set allow_http=True where the network itself is trusted"
        )
    return text.rstrip("/")


def _parts(text: str) -> SplitResult | None:
    """Split a URL; None where it cannot be read. urllib's own errors quote what they could not read."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # is read, and refused, only when asked for
    except ValueError:
        return None
    return parts


def _base_problem(text: str, parts: SplitResult, host: str) -> str | None:
    """Say what is wrong with the base URL; never echo it, for it may carry a password."""
    if not _PRINTABLE.fullmatch(text) or "\\" in text:
        return "has spaces, control or non-ASCII characters"
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
        return "must be http://HOST/PATH or https://HOST/PATH"
    if "@" in parts.netloc:
        return "must not carry credentials; give them to the connection's user and password fields"
    if "?" in text or "#" in text:
        return "must have neither a query nor a fragment"
    if _has_dot_segments(parts.path):
        return "must not have '.' or '..' segments"
    return None


def _has_dot_segments(path: str) -> bool:
    return any(segment in (".", "..") for segment in unquote(path).split("/"))


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def _joined(page_url: str, link: str) -> str:
    """Resolve a link; "" where that cannot be done."""
    try:
        return "" if _UNSAFE.search(link) else urldefrag(urljoin(page_url, link)).url
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The server's checked base URL, without trailing slash."""

    base: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, for messages."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    def url(self, relative: str) -> str:
        """Give the absolute URL of `Type/id`, `Type?query` or `metadata`."""
        return f"{self.base}/{relative}"

    def next_page(self, link: str, page_url: str) -> str:
        """Resolve a `next` link against the URL of its page; the link itself stays as the server wrote it.

        Raises
        ------
        FhirFatalError
            The link leaves the origin or the base path of this server.
        """
        url = _joined(page_url, link)
        parts = _parts(url)
        if parts is None or not url:
            raise FhirFatalError(f"GET {path_of(page_url)}: the next link of this page cannot be read as a URL")
        if not self._contains(parts):
            raise FhirFatalError(
                f"GET {path_of(page_url)}: the next link of this page leads to {parts.scheme}://{parts.hostname}"
                f"{parts.path}, outside the base URL {self.base}; set the server's own public base URL, or the "
                "connection's, so that both agree"
            )
        return url

    def _contains(self, parts: SplitResult) -> bool:
        base = urlsplit(self.base)
        if "@" in parts.netloc or _origin(parts) != _origin(base) or _has_dot_segments(parts.path):
            return False
        return parts.path == base.path or parts.path.startswith(base.path + "/")
