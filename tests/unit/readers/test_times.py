"""When a value was true and when it could be known, as the reader takes it from each kind of element."""

from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from tests.charts import by_reason, observation, patient, sepsis

from screening.readers.fhir import read

NEW_YORK = ZoneInfo("America/New_York")


def outcome(zone: tzinfo | None, change: dict[str, Any]) -> Any:
    """Return (effective_start, effective_time, available_time) of one Observation, or the reason for its drop."""
    sent = observation(**({"effectiveDateTime": None} | change))
    reading = read([patient(), sent], sepsis(), zone=zone)
    if reading.observations.empty:
        ((_, reason),) = by_reason(reading.drops)
        return reason
    (found,) = reading.observations.to_dict("records")
    return found["effective_start"], found["effective_time"], found["available_time"]


def instant(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


NOON = instant("2026-03-10T12:00")
LATER = instant("2026-03-10T14:00")
NOON_TEXT, LATER_TEXT = "2026-03-10T12:00:00Z", "2026-03-10T14:00:00Z"
DAY = instant("2026-03-10T04:00"), instant("2026-03-11T03:59:59.999999")
ANYWHERE = instant("2026-03-09T10:00"), instant("2026-03-11T11:59:59.999999")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"effectiveDateTime": NOON_TEXT}, (NOON, NOON)),
        ({"effectiveInstant": NOON_TEXT}, (NOON, NOON)),
        ({"effectivePeriod": {"start": NOON_TEXT, "end": LATER_TEXT}}, (LATER, LATER)),
        ({"effectivePeriod": {"start": NOON_TEXT}}, (NOON, NOON)),
        ({"effectivePeriod": {"end": LATER_TEXT}}, (LATER, LATER)),
        ({"effectivePeriod": {"start": NOON_TEXT, "end": "2026-03-10"}}, ANYWHERE),
        ({"effectiveDateTime": "2026-03-10"}, ANYWHERE),
        ({}, "no_time"),
        ({"effectivePeriod": {}}, "no_time"),
        ({"effectiveTiming": {"event": [NOON_TEXT]}}, "no_time"),
        ({"issued": NOON_TEXT}, "no_time"),
        ({"effectiveDateTime": "yesterday"}, "bad_time"),
        ({"effectiveDateTime": 1773144000}, "bad_time"),
        ({"effectiveDateTime": ["2026-03-10"]}, "bad_time"),
        ({"effectivePeriod": {"start": NOON_TEXT, "end": "soon"}}, "bad_time"),
        ({"effectiveDateTime": "2026-03-10T12:00:00"}, "time_without_zone"),
        ({"effectivePeriod": {"end": "2026-03-10T12:00:00"}}, "time_without_zone"),
    ],
)
def test_effective_time_without_a_sites_zone(change: dict[str, Any], expected: Any) -> None:
    found = outcome(None, change)
    assert found == expected if isinstance(expected, str) else found[:2] == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"effectiveDateTime": "2026-03-10T08:00:00"}, (NOON, NOON)),
        ({"effectiveInstant": "2026-03-10T08:00:00"}, (NOON, NOON)),
        ({"effectiveDateTime": NOON_TEXT}, (NOON, NOON)),
        ({"effectiveDateTime": "2026-03-10"}, DAY),
        ({"effectivePeriod": {"start": NOON_TEXT, "end": "2026-03-10"}}, DAY),
    ],
)
def test_effective_time_with_the_sites_zone(change: dict[str, Any], expected: Any) -> None:
    assert outcome(NEW_YORK, change)[:2] == expected


@pytest.mark.parametrize(
    ("zone", "issued", "expected"),
    [
        (None, None, pd.NaT),
        (None, LATER_TEXT, LATER),
        (None, "2026-03-10", ANYWHERE[1]),
        (NEW_YORK, "2026-03-10", DAY[1]),
        (NEW_YORK, "2026-03-10T10:00:00", LATER),
        (None, "2026-03-10T10:00:00", "time_without_zone"),
        (UTC, "soon", "bad_time"),
        (UTC, 5, "bad_time"),
    ],
)
def test_what_issued_tells(zone: tzinfo | None, issued: Any, expected: Any) -> None:
    found = outcome(zone, {"effectiveDateTime": NOON_TEXT, "issued": issued})
    if isinstance(expected, str):
        assert found == expected
    elif expected is pd.NaT:
        assert found[2] is pd.NaT
    else:
        assert found[2] == expected


def test_last_updated_is_no_availability() -> None:
    loaded = {"effectiveDateTime": NOON_TEXT, "meta": {"lastUpdated": "2030-01-01T00:00:00Z"}}
    assert outcome(None, loaded)[2] is pd.NaT
