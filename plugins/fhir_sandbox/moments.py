"""FHIR dates as spans of time: what a date of limited precision covers, in microseconds since 1970 (UTC).

A span is half-open: `[low, high)`. A time without zone is read as UTC; FHIR forbids it in a resource, but real records
have it and the sandbox must be able to hand them out.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

Span = tuple[int, int]

EARLIEST = -(2**62)
LATEST = 2**62

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def micros(moment: datetime) -> int:
    """Give microseconds since 1970 (UTC) of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def span(text: str) -> Span:
    """Read a FHIR date, dateTime or instant as the time that it covers.

    Raises
    ------
    ValueError
        If the text is no FHIR date.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date")
    part = match.groupdict()
    year, month, day = int(part["year"]), int(part["month"] or 1), int(part["day"] or 1)
    if part["hour"] is None:
        return _calendar_span(year, month, day, part)
    fraction = part["fraction"] or ""
    local = datetime(year, month, day, int(part["hour"]), int(part["minute"]), int(part["second"] or 0), tzinfo=UTC)
    low = micros(local) - _offset(part["zone"]) + int(fraction[:6].ljust(6, "0"))
    return low, low + _width(part["second"], fraction)


def _calendar_span(year: int, month: int, day: int, part: dict[str, str | None]) -> Span:
    low = datetime(year, month, day, tzinfo=UTC)
    if part["day"] is not None:
        return micros(low), micros(low) + 86_400_000_000
    if part["month"] is not None:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    else:
        year, month = year + 1, 1
    return micros(low), LATEST if year > 9999 else micros(datetime(year, month, 1, tzinfo=UTC))


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("no such zone")
    offset = (hours * 60 + minutes) * 60_000_000
    return -offset if zone[0] == "-" else offset


def _width(second: str | None, fraction: str) -> int:
    if second is None:
        return 60_000_000
    return int(10 ** (6 - min(len(fraction), 6)))


def instant(moment: int) -> str:
    """Write microseconds since 1970 as a FHIR instant of millisecond precision."""
    return (_EPOCH + moment * _MICROSECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(moment: int) -> str:
    """Write microseconds since 1970 as the date of an HTTP header."""
    return format_datetime(_EPOCH + moment * _MICROSECOND, usegmt=True)
