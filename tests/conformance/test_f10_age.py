"""F10: the peer takes the age from the years' numbers and from the earliest observation of any code."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.charts import T, at, observation, patient, value


def test_f10_an_observation_of_twenty_years_ago_makes_nobody_younger() -> None:
    """The peer's 60-year-old becomes 40 by one old observation of any code."""
    old = observation(hours=24 * 365 * 20, code={"coding": [{"system": "http://loinc.org", "code": "8302-2"}]})
    assert value([patient(), observation(), old], "age") == 60


def test_f10_years_are_completed() -> None:
    """The peer makes somebody born on 31 December 2120 sixty on 1 January 2180, who is 59."""
    assert value([patient(birthDate="2120-12-31")], "age", t=datetime(2180, 1, 1, tzinfo=UTC)) == 59


@pytest.mark.parametrize("when", [{"effectivePeriod": {"start": at(2), "end": at(1)}}, {"effectiveInstant": at(1)}])
def test_f10_age_needs_no_date_time(when: dict[str, Any]) -> None:
    """The peer has no age where observations have a Period or an Instant only."""
    content = [patient(), observation(effectiveDateTime=None, **when)]
    for t in (T, "latest"):
        assert value(content, "age", t=t) == 60
        assert value(content, t=t) == 80.0


def test_f10_shifted_dates_have_the_age_of_their_time_and_never_a_negative_one() -> None:
    """Without an event date the peer takes today, and a patient of MIMIC's 2120 is -94."""
    content = [patient(birthDate="2120-06-01"), observation(effectiveDateTime="2180-07-01T00:00:00Z")]
    assert value(content, "age", t="latest") == 60
    today = value(content, "age", t=T)
    assert today != today


def test_f10_without_a_birth_date_there_is_no_age() -> None:
    """The peer fills the median of whoever else is there."""
    content = [patient(birthDate=None), observation()]
    assert value(content, "age") != value(content, "age")
