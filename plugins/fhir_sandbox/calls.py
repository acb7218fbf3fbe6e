"""One FHIR interaction: what is asked, what is answered, and what it is asked of; no HTTP in it.

A request and an entry of a Bundle are both a `Call`, so that a batch does exactly what its entries would do alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.cursors import Cursors
from fhir_sandbox.query import Pairs
from fhir_sandbox.refusals import Refusal
from fhir_sandbox.routes import Route
from fhir_sandbox.session import Stored


@dataclass(frozen=True, slots=True)
class Interruption:
    """A fault within a Bundle: the answer of one entry, and whether the entry is carried out all the same."""

    refusal: Refusal
    commit: bool


@dataclass(frozen=True, slots=True)
class Context:
    """What an interaction needs beside the store.

    Attributes
    ----------
    base
        The FHIR base URL as the client wrote it, without a slash at the end.
    root
        What links begin with: the base, or its path alone if `next_link_style` is relative.
    on_entry
        Called with each entry of a Bundle before it is carried out: counts it, and may interrupt it.
    """

    behaviour: Behaviour
    cursors: Cursors
    base: str
    root: str
    on_entry: "Callable[[Call, Route], Interruption | None]"


@dataclass(frozen=True, slots=True)
class Call:
    """One interaction as it is asked for.

    Attributes
    ----------
    path
        Below the base, without a slash before it: `Patient/x`, or "" for the base itself.
    query
        The query string, not decoded.
    form
        The parameters of a search by POST.
    body
        The JSON of the body, None if there is none.
    if_match, if_none_exist
        As in the headers of these names; None where absent.
    prefer
        `minimal` or `representation`; "" where the client says neither.
    """

    method: str
    path: str
    query: str = ""
    form: Pairs = ()
    body: Any = None
    if_match: str | None = None
    if_none_exist: str | None = None
    prefer: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an interaction came to.

    Attributes
    ----------
    body
        JSON, or None for an empty body.
    version
        The version that was read or written, or None; it fills ETag, Last-Modified and the location.
    written
        True if a write was asked for, carried out or not (the resource was there already, or is unchanged).
    headers
        Further HTTP headers.
    """

    status: int
    body: bytes | None
    version: Stored | None = None
    written: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def etag(version: Stored) -> str:
    """Write a version as a weak ETag."""
    return f'W/"{version.version}"'


def check_if_match(if_match: str | None, before: Stored | None) -> None:
    """Check If-Match against the newest version.

    Raises
    ------
    Refusal
        412 if it names another version, or the resource does not exist; 400 if it is no ETag.
    """
    if if_match is None:
        return
    wanted = if_match.strip().removeprefix("W/")
    if len(wanted) < 3 or wanted[0] != '"' or wanted[-1] != '"':
        raise Refusal(400, "invalid", 'If-Match must be an ETag of the form W/"1"')
    if before is None or before.body is None or wanted[1:-1] != str(before.version):
        raise Refusal(412, "conflict", "If-Match does not name the current version")
