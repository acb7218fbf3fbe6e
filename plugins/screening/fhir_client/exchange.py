"""One question to the server and what came back, apart from what that means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from screening.errors import ScreeningError
from screening.fhir_client.address import path_of

Resource: TypeAlias = dict[str, Any]

FHIR_JSON = "application/fhir+json"
# 501 and 505 are 5xx by number, but say that the server will never do it.
_FINAL_5XX = frozenset({501, 505})
_TEMPORARY_4XX = frozenset({408, 429})


class Fault(StrEnum):
    """Why an answer is of no use whatever its status; the value is the words of the message."""

    UNREACHABLE = "cannot be reached"
    TLS = "offers no TLS that can be trusted"
    TIMEOUT = "no answer in time"
    DROPPED = "the connection broke before the answer was complete"
    TRUNCATED = "the answer ends too early"
    NOT_FHIR = "the answer is not a FHIR resource in JSON"
    TOO_LARGE = "the answer is larger than max_response_bytes"
    NOT_JSON = "the answer is not declared as FHIR in JSON"
    NOT_BEGUN = "the time for this call was used up before"


_TEMPORARY_FAULTS = frozenset({Fault.UNREACHABLE, Fault.TIMEOUT, Fault.DROPPED, Fault.TRUNCATED, Fault.NOT_BEGUN})


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be sent.

    Attributes
    ----------
    repeatable
        True where the server may see it twice without harm; that a plain POST may not is what RA-21 asks.
    wants_body
        False for writes, which a server may answer without a body.
    label
        What a message adds to the path: "batch of 50".
    """

    method: str
    url: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeatable: bool = False
    wants_body: bool = True
    label: str = ""

    @property
    def name(self) -> str:
        """Method and path without the query, for messages and logs."""
        label = f" ({self.label})" if self.label else ""
        return f"{self.method} {path_of(self.url)}{label}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, over HTTP of its own or as an entry of a batch.

    Attributes
    ----------
    status
        None where there was no HTTP answer.
    resource
        The FHIR resource of a 2xx answer; None where there was no body, or none of use.
    codes
        The issue codes of an OperationOutcome, R4's own codes only.
    attempts
        How often the request was sent.
    doubtful
        True where an earlier attempt may have been carried out although its answer was lost.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    resource: Resource | None = field(default=None, repr=False)
    fault: Fault | None = None
    codes: tuple[str, ...] = ()
    attempts: int = 1
    doubtful: bool = False

    @property
    def ok(self) -> bool:
        """2xx and of use."""
        return self.fault is None and self.status is not None and 200 <= self.status < 300

    @property
    def summary(self) -> str:
        """What is wrong, in few words, for logs."""
        return self.fault.value if self.fault else str(self.status)

    @property
    def temporary(self) -> bool:
        """A repeat may help."""
        if self.fault is not None:
            return self.fault in _TEMPORARY_FAULTS
        if self.status is None or self.status < 500:
            return self.status in _TEMPORARY_4XX
        return self.status not in _FINAL_5XX

    @property
    def maybe_done(self) -> bool:
        """The server may have carried the request out although it did not say so in a usable way."""
        if self.fault is Fault.UNREACHABLE or self.status == 429:
            return False
        return self.temporary

    @property
    def for_all(self) -> bool:
        """Every other request would end the same way: the server is away, or does not know us."""
        return self.fault in (Fault.UNREACHABLE, Fault.TLS) or self.status == 401


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one of several questions.

    Attributes
    ----------
    status
        The HTTP status, of the entry where it went in a batch; 0 where there was none. A create that found several
        resources with its identifier has 412, whichever way it found out.
    resources
        The resource read or written, or all of a search, every page of it; empty where `error` is set.
    error
        None if all is well; FhirNotFound (404), FhirGone (410), FhirTemporaryError when the retries ran out,
        FhirNotFhir or another FhirFatalError otherwise.
    etag
        The version as `If-Match` wants it, if the server told.
    location
        `Type/id` on the server, of a create or update.
    """

    status: int
    resources: list[Resource] = field(default_factory=list, repr=False)
    error: ScreeningError | None = None
    etag: str | None = None
    location: str | None = None
