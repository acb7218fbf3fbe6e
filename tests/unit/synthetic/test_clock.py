from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from screening.synthetic import clock

NEW_YORK = ZoneInfo("America/New_York")
BEFORE_LEAP = datetime(2026, 3, 8, 6, 59, tzinfo=UTC)  # 01:59 EST
AFTER_LEAP = datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # 03:30 EDT
LONG_AFTER_LEAP = datetime(2026, 3, 8, 8, 0, tzinfo=UTC)  # 04:00 EDT
FIRST_PASS = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30 EDT
SECOND_PASS = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)  # 01:30 EST


def test_fhir_texts_name_the_same_instant() -> None:
    assert clock.utc_text(AFTER_LEAP) == "2026-03-08T07:30:00Z"
    assert clock.local_text(AFTER_LEAP) == "2026-03-08T03:30:00-04:00"
    assert clock.local_text(BEFORE_LEAP) == "2026-03-08T01:59:00-05:00"


def test_utc_text_of_a_moment_in_another_zone() -> None:
    assert clock.utc_text(AFTER_LEAP.astimezone(NEW_YORK)) == "2026-03-08T07:30:00Z"


def test_the_clock_that_did_not_leap_shows_a_time_that_does_not_exist() -> None:
    text = clock.naive_text(AFTER_LEAP, unleapt=True)
    assert text == "2026-03-08 02:30:00"
    assert clock.naive_text(AFTER_LEAP) == "2026-03-08 03:30:00"
    assert datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC) == AFTER_LEAP


@pytest.mark.parametrize(
    ("moment", "expected"), [(BEFORE_LEAP, False), (AFTER_LEAP, True), (LONG_AFTER_LEAP, False), (SECOND_PASS, False)]
)
def test_only_the_hour_after_the_leap_is_after_the_leap(moment: datetime, expected: bool) -> None:
    assert clock.is_after_leap(moment) is expected


def test_the_second_pass_of_the_repeated_hour_is_told_and_left() -> None:
    assert clock.is_repeated(SECOND_PASS)
    assert not clock.is_repeated(FIRST_PASS)
    assert clock.unambiguous(SECOND_PASS) == FIRST_PASS
    assert clock.unambiguous(FIRST_PASS) == FIRST_PASS


def test_a_change_of_the_clock_within_a_span() -> None:
    assert clock.has_change(BEFORE_LEAP, AFTER_LEAP)
    assert not clock.has_change(AFTER_LEAP, LONG_AFTER_LEAP)


def test_charts_carry_whole_minutes_in_utc() -> None:
    moment = datetime(2026, 3, 8, 3, 30, 59, 999, tzinfo=NEW_YORK)
    assert clock.whole_minute(moment) == AFTER_LEAP
    assert clock.whole_minute(moment).tzinfo is UTC
