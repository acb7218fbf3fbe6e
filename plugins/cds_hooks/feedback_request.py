"""The body of `POST /cds-services/{id}/feedback`, by the letter of CDS Hooks 2.0.1 (Feedback) and cds-fb-1 to cds-fb-3.

What the standard leaves open is taken as it comes: unknown members, `extension`, suggestions on an overridden card, a reason
on an accepted one, `null` for what may be absent. What it asks for is asked for: an accepted card must say which of its
suggestions were ("one or more … required for accepted outcomes"), so one without any is refused; a card that has none
cannot be accepted, only overridden.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cds_hooks.json_body import read_object
from cds_hooks.refusals import Refusal
from screening.feedback.entries import FeedbackEntry, Outcome, Reason

MAX_ENTRIES = 1_000
MAX_SUGGESTIONS = 100
MAX_COMMENT = 10_000
"""Characters. A longer comment is refused, for one cut off might say the opposite."""

_MAX_CODE, _MAX_TEXT = 255, 1_024
_SHOWN = 10  # problems told at once
_UUID = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII | re.IGNORECASE)
# https://www.rfc-editor.org/rfc/rfc3339#section-5.6, in UTC; T and Z may be lower case there
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?(?:Z|[+-]00:00)", re.ASCII | re.IGNORECASE
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # https://hl7.org/fhir/R4/datatypes.html#string


class _Problem(Exception):  # noqa: N818 - becomes a Refusal
    """A field, by its path, and what it must be."""

    def __init__(self, field: str, words: str) -> None:
        self.field, self.words = field, words
        super().__init__(field)


def parse_feedback(body: bytes) -> list[FeedbackEntry]:
    """Return the entries of a feedback call, in their order.

    Raises
    ------
    Refusal
        400: the body is no JSON object with an array `feedback`, or an entry lacks or breaks a field; the text names up to
        ten of them, and repeats no value. 413: more than `MAX_ENTRIES` entries.
    """
    entries = read_object(body).get("feedback")
    if not isinstance(entries, list):
        raise Refusal(400, "The body must be an object with an array `feedback`.", diagnostics="feedback")
    if len(entries) > MAX_ENTRIES:
        raise Refusal(
            413, f"One call takes up to {MAX_ENTRIES} entries: send the rest in another.", diagnostics="feedback"
        )
    parsed: list[FeedbackEntry] = []
    problems: list[_Problem] = []
    for number, entry in enumerate(entries):
        try:
            parsed.append(_entry(entry, f"feedback[{number}]"))
        except _Problem as problem:
            problems.append(problem)
    if problems:
        raise _refusal(problems)
    return parsed


def _refusal(problems: list[_Problem]) -> Refusal:
    shown = problems[:_SHOWN]
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Refusal(
        400,
        f"No entry was kept: {'; '.join(f'{one.field} {one.words}' for one in shown)}{more}.",
        diagnostics=", ".join(one.field for one in shown),
    )


def _entry(entry: Any, path: str) -> FeedbackEntry:
    fields = _object(entry, path)
    outcome = _outcome(fields.get("outcome"), f"{path}.outcome")
    suggestions = _suggestions(fields.get("acceptedSuggestions"), f"{path}.acceptedSuggestions")
    if outcome == "accepted" and not suggestions:  # cds-fb-2
        raise _Problem(f"{path}.acceptedSuggestions", "is required with the outcome accepted, and names one or more")
    reason, comment = _override_reason(fields.get("overrideReason"), f"{path}.overrideReason")
    return FeedbackEntry(
        card=_uuid(fields.get("card"), f"{path}.card"),
        outcome=outcome,
        outcome_at=_moment(fields.get("outcomeTimestamp"), f"{path}.outcomeTimestamp"),
        accepted_suggestions=suggestions,
        reason=reason,
        comment=comment,
    )


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Problem(path, "must be an object")
    return value


def _outcome(value: Any, path: str) -> Outcome:
    if value == "accepted":
        return "accepted"
    if value == "overridden":
        return "overridden"
    raise _Problem(path, "must be accepted or overridden")  # cds-fb-1


def _uuid(value: Any, path: str) -> str:
    match = _UUID.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise _Problem(path, "must be the UUID that we gave")
    return match[1].lower()


def _suggestions(value: Any, path: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_SUGGESTIONS:
        raise _Problem(path, f"must be an array of up to {MAX_SUGGESTIONS} objects")
    ids = [
        _uuid(_object(one, f"{path}[{number}]").get("id"), f"{path}[{number}].id") for number, one in enumerate(value)
    ]
    return tuple(dict.fromkeys(ids))


def _override_reason(value: Any, path: str) -> tuple[Reason | None, str | None]:
    if value is None:
        return None, None
    fields = _object(value, path)
    comment = _text(fields.get("userComment"), f"{path}.userComment", MAX_COMMENT)
    reason = _reason(fields.get("reason"), f"{path}.reason")
    if reason is None and comment is None:  # cds-fb-3
        raise _Problem(path, "must have a reason, a userComment or both")
    return reason, comment


def _reason(value: Any, path: str) -> Reason | None:
    if value is None:
        return None
    fields = _object(value, path)
    code = _text(fields.get("code"), f"{path}.code", _MAX_CODE)
    system = _text(fields.get("system"), f"{path}.system", _MAX_TEXT)
    if code is None or system is None:
        raise _Problem(f"{path}.{'system' if code else 'code'}", "is required: a Coding has code and system")
    return Reason(code, system, _text(fields.get("display"), f"{path}.display", _MAX_TEXT))


def _text(value: Any, path: str, longest: int) -> str | None:
    """Return a text; None where it is absent or blank."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest or _UNPRINTABLE.search(value):
        raise _Problem(path, f"must be text of up to {longest} characters, none of them a control character")
    return value.strip() or None


def _moment(value: Any, path: str) -> datetime:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    try:
        if match:
            day, hour, minute, second, fraction = match.groups()
            start = datetime.fromisoformat(f"{day}T{hour}:{minute}:00").replace(tzinfo=UTC)
            # A leap second becomes the next minute's first; what is finer than a microsecond is cut off.
            return start + timedelta(seconds=int(second), microseconds=int((fraction or "0").ljust(6, "0")[:6]))
    except (ValueError, OverflowError):
        pass  # no such day
    raise _Problem(path, "must be an RFC 3339 time in UTC, such as 2026-03-01T10:05:31Z")
