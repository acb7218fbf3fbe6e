"""FHIR dates and times as spans of UTC microseconds.

A dateTime with a time of day is an instant: its span is one point, but for the hour that a site's clocks show twice a year.
A date without a time is a whole day (a month, a year): its span is every instant that the date can mean. Where neither the
value nor the site names a zone, a day stretches from its beginning in UTC+14 to its end in UTC-12, so that a rule "the whole
day lies inside the window" cannot be fooled.
"""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

# https://hl7.org/fhir/R4/datatypes.html#dateTime, a seconds-less time tolerated because servers send it
_DATETIME = re.compile(
    r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01])(?:T(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EAST, _WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
_FIRST, _LAST = ((edge.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND for edge in (datetime.min, datetime.max))  # noqa: DTZ901


def micros(moment: datetime) -> int:
    """Return UTC microseconds since 1970 of a timezone-aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """Return the UTC datetime of microseconds since 1970."""
    return _EPOCH + value * _MICROSECOND


_LONGEST_KEPT = 64
"""Characters of a text that is kept with its span; whoever sends millions of them must not fill the memory with them."""


def span(text: str, zone: tzinfo | None) -> tuple[int, int] | str:
    """Return the first and the last UTC microsecond that a FHIR dateTime, instant or date can mean.

    Parameters
    ----------
    text
        The value as sent.
    zone
        The site's zone, for values without one; None where the connection names none.

    Returns
    -------
    tuple or str
        The span, or the reason it cannot be used: `bad_time` or `time_without_zone`.
    """
    return _span(text, zone) if len(text) <= _LONGEST_KEPT else _span.__wrapped__(text, zone)


@lru_cache(maxsize=65536)
def _span(text: str, zone: tzinfo | None) -> tuple[int, int] | str:
    match = _DATETIME.fullmatch(text.strip())
    if not match:
        return "bad_time"
    year, month, day, clock, offset = match.groups()
    try:
        if clock is None:
            start, end = _date_span(int(year), int(month or 0), int(day or 0), zone)
        elif offset is None and zone is None:
            return "time_without_zone"
        else:
            value = datetime.fromisoformat(f"{year}-{month}-{day}T{clock}{offset or ''}")
            start, end = _clock_span(value if offset else value.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return "bad_time"
    # Year 9999 is often written for "open", and its last day ends in the year 10000 somewhere, which no datetime can hold.
    return (start, end) if start >= _FIRST and end <= _LAST else "bad_time"


def _clock_span(value: datetime) -> tuple[int, int]:
    """Return the moments that a time can mean: two where clocks were put back and nobody says which hour it was."""
    one, other = micros(value), micros(value.replace(fold=1))
    return min(one, other), max(one, other)


def _date_span(year: int, month: int, day: int, zone: tzinfo | None) -> tuple[int, int]:
    first, last = date_bounds(year, month, day)
    start = datetime(first.year, first.month, first.day, tzinfo=zone or _EAST)
    end = datetime(last.year, last.month, last.day, 23, 59, 59, 999999, tzinfo=zone or _WEST)
    return micros(start), micros(end)


def date_bounds(year: int, month: int, day: int) -> tuple[date, date]:
    """Return the first and the last day of a date; month and day are 0 where not told. ValueError where there is none."""
    first = date(year, month or 1, day or 1)
    if day:
        return first, first
    last_month = month or 12
    return first, date(year, last_month, monthrange(year, last_month)[1])


def birth(text: str) -> tuple[date, str] | None:
    """Return a birth date and its precision (`day`, `month`, `year`), or None where it is no FHIR date.

    A date of month or year precision stands for the middle of its span.
    """
    match = _DATETIME.fullmatch(text.strip())
    if not match or match[4]:
        return None
    year, month, day = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    try:
        first, last = date_bounds(year, month, day)
    except ValueError:
        return None
    return first + (last - first) // 2, "day" if day else "month" if month else "year"
