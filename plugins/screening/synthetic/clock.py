"""Time of the synthetic hospital: UTC inside, its local clock (America/New_York, as MIMIC's hospital) on paper.

A naive local time cannot tell the two passes of the hour that the clock repeats in autumn. Nothing is charted in the
second pass and no stay begins or ends in it, so every naive time of the CSV names one instant (zoneinfo's `fold=0`).
In spring the clock leaps from 02:00 to 03:00; a ward clock that did not leap charts 02:xx, a time that does not exist.
zoneinfo with `fold=0` and PostgreSQL (kind-lab's MIMIC-on-FHIR conversion) both read 02:xx as 03:xx of the new time.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)


def whole_minute(moment: datetime) -> datetime:
    """Return the moment in UTC, cut to the minute: charts carry no seconds."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def is_repeated(moment: datetime) -> bool:
    """Tell whether the local clock shows this time for the second time."""
    return moment.astimezone(ZONE).fold == 1


def unambiguous(moment: datetime) -> datetime:
    """Return the moment, or one hour earlier where the local clock repeats itself."""
    return moment - HOUR if is_repeated(moment) else moment


def has_change(first: datetime, last: datetime) -> bool:
    """Tell whether the local clock changes within a span of less than a season."""
    return first.astimezone(ZONE).utcoffset() != last.astimezone(ZONE).utcoffset()


def is_after_leap(moment: datetime) -> bool:
    """Tell whether the local clock leapt forward within the last hour."""
    now, before = moment.astimezone(ZONE).utcoffset(), (moment - HOUR).astimezone(ZONE).utcoffset()
    return now is not None and before is not None and now > before


def utc_text(moment: datetime) -> str:
    """Return FHIR text in UTC: `2026-03-08T07:30:00Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def local_text(moment: datetime) -> str:
    """Return FHIR text with the local offset: `2026-03-08T03:30:00-04:00`."""
    return moment.astimezone(ZONE).isoformat(timespec="seconds")


def naive_text(moment: datetime, *, unleapt: bool = False) -> str:
    """Return MIMIC's text without offset: `2026-03-08 03:30:00`; by the clock that did not leap if `unleapt`."""
    if unleapt:
        local = (moment - HOUR).astimezone(ZONE).replace(tzinfo=None) + HOUR
    else:
        local = moment.astimezone(ZONE).replace(tzinfo=None)
    return local.isoformat(" ", timespec="seconds")
