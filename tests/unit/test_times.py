"""FHIR dates and times: what each text can mean, and what none can."""

import sys
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from screening.times import birth, date_bounds, micros, moment, span

NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_micros_and_moment_are_each_others_inverse_to_the_microsecond() -> None:
    for text in ("1066-10-14T09:00:00.000001", "1969-12-31T23:59:59.999999", "2026-03-10T12:00:00.123456"):
        assert moment(utc(text)) == datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_micros_of_a_moment_in_another_zone() -> None:
    assert micros(datetime(2026, 3, 10, 8, tzinfo=timezone(timedelta(hours=-4)))) == utc("2026-03-10T12:00:00")


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("2026-03-10T12:00:00Z", "2026-03-10T12:00:00"),
        ("2026-03-10T12:00:00+00:00", "2026-03-10T12:00:00"),
        ("2026-03-10T12:00:00-04:00", "2026-03-10T16:00:00"),
        ("2026-03-10T12:00:00+14:00", "2026-03-09T22:00:00"),
        ("2026-03-10T12:00:00.5Z", "2026-03-10T12:00:00.500000"),
        ("2026-03-10T12:00:00.000001Z", "2026-03-10T12:00:00.000001"),
        ("2026-03-10T12:00:00.123456789Z", "2026-03-10T12:00:00.123456"),
        ("2026-03-10T12:00Z", "2026-03-10T12:00:00"),
        (" 2026-03-10T12:00:00Z ", "2026-03-10T12:00:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00"),
        ("2180-07-23T14:00:00-04:00", "2180-07-23T18:00:00"),
    ],
)
@pytest.mark.parametrize("zone", [None, NEW_YORK])
def test_an_instant_is_a_point_whatever_the_site(text: str, point: str, zone: tzinfo | None) -> None:
    assert span(text, zone) == (utc(point), utc(point))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-01T00:59:59", "2026-11-01T04:59:59", "2026-11-01T04:59:59"),
        ("2026-11-01T01:30:00", "2026-11-01T05:30:00", "2026-11-01T06:30:00"),  # shown twice
        ("2026-11-01T02:00:00", "2026-11-01T07:00:00", "2026-11-01T07:00:00"),
        ("2026-03-08T02:30:00", "2026-03-08T06:30:00", "2026-03-08T07:30:00"),  # never shown
        ("2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00", "2026-11-01T06:30:00"),
    ],
)
def test_an_hour_that_the_sites_clocks_show_twice_can_be_either(text: str, start: str, end: str) -> None:
    assert span(text, NEW_YORK) == (utc(start), utc(end))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-03-10", "2026-03-09T10:00:00", "2026-03-11T11:59:59.999999"),
        ("2026-02", "2026-01-31T10:00:00", "2026-03-01T11:59:59.999999"),
        ("2024-02", "2024-01-31T10:00:00", "2024-03-01T11:59:59.999999"),
        ("2026", "2025-12-31T10:00:00", "2027-01-01T11:59:59.999999"),
    ],
)
def test_without_a_zone_a_date_is_every_instant_that_it_can_be_on_earth(text: str, start: str, end: str) -> None:
    assert span(text, None) == (utc(start), utc(end))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-01-10", "2026-01-10T05:00:00", "2026-01-11T04:59:59.999999"),
        ("2026-03-08", "2026-03-08T05:00:00", "2026-03-09T03:59:59.999999"),  # the clock leaps: 23 hours
        ("2026-11-01", "2026-11-01T04:00:00", "2026-11-02T04:59:59.999999"),  # the clock falls back: 25 hours
        ("2026", "2026-01-01T05:00:00", "2027-01-01T04:59:59.999999"),
    ],
)
def test_with_the_sites_zone_a_date_is_that_day_there(text: str, start: str, end: str) -> None:
    assert span(text, NEW_YORK) == (utc(start), utc(end))


@pytest.mark.parametrize("text", ["2026-03-10T12:00:00", "2026-03-10T12:00:00.25", "2026-03-10T12:00"])
def test_a_time_without_a_zone_means_nothing_unless_the_site_has_one(text: str) -> None:
    assert span(text, None) == "time_without_zone"
    assert isinstance(span(text, NEW_YORK), tuple)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("2026-01-10T12:00:00", "2026-01-10T17:00:00"),
        ("2026-07-10T12:00:00", "2026-07-10T16:00:00"),
    ],
)
def test_the_sites_zone_gives_a_naive_time_its_place(text: str, point: str) -> None:
    assert span(text, NEW_YORK) == (utc(point), utc(point))


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "10/03/2026", "2026-3-10", "20260310", "2026-03-10T", "2026-03-10 12:00:00Z", "2026-13-01",
        "2026-02-29", "2026-00-10", "2026-03-00", "2026-03-32", "0000-01-01", "2026-03-10T24:00:00Z",
        "2026-03-10T12:60:00Z", "2026-03-10T12:00:61Z", "2026-03-10T12:00:00z", "2026-03-10T12:00:00+0400",
        "2026-03-10T12:00:00+24:00", "2026-03-10T12Z", "2026-W10", "1773144000", "２０２６-03-10", "2026-03-10T12:00:00.Z",
        "9999-12-31", "9999-12-31T23:59:59-01:00", "0001-01-01", "0001-01-01T00:00:00+01:00",
    ],
)  # fmt: skip
def test_what_is_no_time_of_this_calendar_is_a_bad_time(text: str) -> None:
    assert span(text, None) == "bad_time"


def test_a_placeholder_on_the_last_day_counts_only_where_it_stays_within_the_calendar() -> None:
    assert span("9999-12-31T23:59:59.999999Z", None) == (micros(datetime.max.replace(tzinfo=UTC)),) * 2
    assert span("9999-12-31", UTC) == (
        micros(datetime(9999, 12, 31, tzinfo=UTC)),
        micros(datetime.max.replace(tzinfo=UTC)),
    )
    assert span("9999-12-31", NEW_YORK) == "bad_time"


@pytest.mark.parametrize(
    ("text", "born", "precision"),
    [
        ("1966-03-10", date(1966, 3, 10), "day"),
        ("2024-02-29", date(2024, 2, 29), "day"),
        (" 1966-03-10 ", date(1966, 3, 10), "day"),
        ("1966-03", date(1966, 3, 16), "month"),
        ("1966-02", date(1966, 2, 14), "month"),
        ("1966-12", date(1966, 12, 16), "month"),
        ("1966", date(1966, 7, 2), "year"),
        ("2024", date(2024, 7, 1), "year"),
    ],
)
def test_a_birth_date_and_its_precision(text: str, born: date, precision: str) -> None:
    assert birth(text) == (born, precision)


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "1966-13", "1966-02-29", "1966-03-10T00:00:00Z", "66-03-10", "0000", "1966-00-10", "1966-03-00"],
)
def test_what_is_no_birth_date_is_missing(text: str) -> None:
    assert birth(text) is None


def test_the_bounds_of_a_date() -> None:
    assert date_bounds(2024, 2, 29) == (date(2024, 2, 29), date(2024, 2, 29))
    assert date_bounds(2024, 2, 0) == (date(2024, 2, 1), date(2024, 2, 29))
    assert date_bounds(2024, 0, 0) == (date(2024, 1, 1), date(2024, 12, 31))
    with pytest.raises(ValueError, match="day is out of range"):
        date_bounds(2026, 2, 29)


def test_a_long_text_is_not_kept() -> None:
    """A cache of 65,536 texts of megabytes each would fill the memory of whoever reads what strangers send."""
    text = "x" * 5000
    known = sys.getrefcount(text)
    assert span(text, None) == "bad_time"
    assert span(f"2026-03-10T11:00:00.{'0' * 200}Z", None) == span("2026-03-10T11:00:00Z", None)
    assert sys.getrefcount(text) == known
