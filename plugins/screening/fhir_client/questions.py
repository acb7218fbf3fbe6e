"""What can be asked with GET: a read or a search, as a URL relative to the base."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, urlencode

from screening.errors import FhirFatalError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.exchange import Reply, Request, Resource

# Longer URLs are cut or refused by proxies and servers on the way.
LONGEST_URL = 2000
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
# R4 says [A-Za-z0-9\-.]{1,64}; servers are known that use more characters and longer ids.
_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,256}")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~$*-]{1,256}")
_QUERY = re.compile(r"[!-~]*")
_COUNT = re.compile(r"(?:^|&)_count=")
_HISTORY = "_history"


class Kind(StrEnum):
    """Which answer is expected: one resource, or a searchset."""

    READ = "reads"
    SEARCH = "searches"


@dataclass(frozen=True, slots=True)
class Question:
    """A read (`Patient/x`) or a search (`Observation?patient=x`).

    Attributes
    ----------
    path, query
        Without the base URL and without the question mark.
    """

    path: str
    query: str = field(repr=False)
    kind: Kind

    @property
    def relative(self) -> str:
        """The URL as a batch entry holds it."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def type(self) -> str:
        """The resource type asked for; of an operation or a compartment, the one at the beginning."""
        return self.path.split("/")[0]

    def page_url(self, address: ServerAddress) -> str:
        """Give the URL against which the first page's links are resolved."""
        return address.url(self.relative)

    def request(self, address: ServerAddress) -> Request:
        """Make the HTTP request: GET, or POST `_search` where the URL would be too long."""
        url = address.url(self.relative)
        if len(url) <= LONGEST_URL or "/" in self.path:
            return Request("GET", url, repeatable=True)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", address.url(f"{self.path}/_search"), self.query.encode("ascii"), form, repeatable=True)

    def is_answered_by(self, resource: Resource | None) -> bool:
        """Tell whether this resource is the one that a read asked for."""
        if resource is None or resource["resourceType"] != self.type:
            return False
        return bool(resource.get("id") == self.path.split("/")[1])


def check_id(text: object) -> bool:
    """Tell whether a text can be a logical id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def read_question(resource_type: str, resource_id: str) -> Question:
    """Make the question for one resource.

    Raises
    ------
    FhirFatalError
        What is given is no type or no id; it is not repeated in the message.
    """
    if not _TYPE.fullmatch(resource_type) or not check_id(resource_id):
        raise FhirFatalError("not a resource type and a logical id")
    return Question(f"{resource_type}/{resource_id}", "", Kind.READ)


def search_question(resource_type: str, params: Sequence[tuple[str, str]], page_size: int) -> Question:
    """Make the question for a search, with `_count` unless the parameters bring it.

    Raises
    ------
    FhirFatalError
        The type is none.
    """
    if not _TYPE.fullmatch(resource_type):
        raise FhirFatalError("search: not a resource type")
    return Question(
        resource_type, _counted(urlencode(list(params), quote_via=quote, safe="/:,"), page_size), Kind.SEARCH
    )


def parse_question(url: str, page_size: int) -> Question:
    """Read a relative URL, already percent-encoded.

    Raises
    ------
    FhirFatalError
        Not relative to the base, or with characters that belong percent-encoded. The URL is not in the message.
    """
    path, _, query = url.partition("?")
    segments = path.split("/")
    fit = _TYPE.fullmatch(segments[0]) and all(_SEGMENT.fullmatch(segment) for segment in segments[1:])
    if not fit or not _QUERY.fullmatch(query) or "#" in query:
        raise FhirFatalError(
            "not a URL relative to the base, percent-encoded, like Patient/ID or Observation?patient=ID"
        )
    if _is_read(segments):
        return Question(path, query, Kind.READ)
    return Question(path, query if "$" in path else _counted(query, page_size), Kind.SEARCH)


def _is_read(segments: list[str]) -> bool:
    if len(segments) == 4:
        return segments[2] == _HISTORY
    return len(segments) == 2 and segments[1][0] not in "$_"


def _counted(query: str, page_size: int) -> str:
    if _COUNT.search(query):
        return query
    return f"{query}&_count={page_size}" if query else f"_count={page_size}"


def etag_of(reply: Reply) -> str | None:
    """Give the version as `If-Match` wants it: from the header, else from `meta.versionId`."""
    if reply.headers.get("ETag"):
        return reply.headers["ETag"]
    meta = (reply.resource or {}).get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return f'W/"{version}"' if isinstance(version, str) else None
