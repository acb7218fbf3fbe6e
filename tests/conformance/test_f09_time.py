"""F9: the peer has no time: every value ever counts, and "last" is whatever stands last in the bundle."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from tests.charts import (
    T,
    at,
    by_reason,
    dropped,
    heart_rate_schema,
    matrix,
    observation,
    patient,
    result,
    row,
    sepsis,
    value,
)

from screening.outcome import Outcome

YEAR = 24 * 365.25


def test_f9_values_of_ten_years_are_not_averaged() -> None:
    """The peer averages creatinine 0.8 of 2170 with 6.0 of 2180 to 3.4."""
    content = [patient(), observation("creatinine", 0.8, hours=10 * YEAR), observation("creatinine", 6.0)]
    assert value(content, "creatinine") == 6.0
    assert dropped(content) == {("creatinine", "before_window"): 1}


@pytest.mark.parametrize("how", ["last", "first", "mean", "median", "delta"])
def test_f9_the_order_of_the_bundle_is_no_time(how: str) -> None:
    """The peer's "last" gives 0.8 for a bundle of the newest first, although its manual says "most recent"."""
    readings = [observation(value=v, hours=h) for v, h in ((60.0, 9), (90.0, 5), (120.0, 2), (75.0, 1))]
    expected = {"last": 75.0, "first": 60.0, "mean": 86.25, "median": 82.5, "delta": 15.0}[how]
    for order in permutations(readings):
        assert value([patient(), *order], schema=heart_rate_schema(how)) == expected


def test_f9_the_newest_by_its_own_time_and_not_by_its_record() -> None:
    """The peer knows neither `issued` nor `lastUpdated`, and neither makes a value newer."""
    older = observation(value=60.0, hours=9, issued=at(1), meta={"lastUpdated": at(0)})
    newer = observation(value=90.0, hours=2, issued=at(1.5), meta={"lastUpdated": at(1.5)})
    for order in ([older, newer], [newer, older]):
        assert value([patient(), *order], schema=heart_rate_schema("last")) == 90.0


def test_f9_offsets_are_heeded_when_values_are_put_in_order() -> None:
    """As texts 11:30+02:00 stands after 11:00Z, and it is earlier."""
    early = observation(value=60.0, effectiveDateTime="2026-03-10T11:30:00+02:00")
    late = observation(value=90.0, effectiveDateTime="2026-03-10T11:00:00Z")
    assert value([patient(), late, early], schema=heart_rate_schema("last")) == 90.0


def test_f9_the_future_of_a_backfill_is_not_seen() -> None:
    """The peer has no prediction time: a backfill sees what came after it."""
    content = [patient(), observation(value=60.0, hours=30), observation(value=120.0, hours=1)]
    yesterday = T - timedelta(hours=24)
    assert value(content, t=yesterday) == 60.0
    assert value(content, t=T) == 120.0
    assert dropped(content, t=yesterday) == {("heart_rate", "after_prediction_time"): 1}


def test_f9_the_window_has_exact_bounds() -> None:
    """The peer has none."""
    tick = 1 / 3_600_000_000
    for hours, counts in ((24, False), (24 - tick, True), (0, True), (-tick, False)):
        assert (value([patient(), observation(hours=hours)]) == 80.0) is counts, hours


@pytest.mark.parametrize(
    ("day", "counts"), [("2026-03-09", True), ("2026-03-08", False), ("2026-03-10", False), ("2026-03", False)]
)
def test_f9_a_day_counts_only_as_a_whole(day: str, counts: bool) -> None:
    """The peer takes a date for its midnight, and a month for its first day."""
    schema = heart_rate_schema(more="window: {lookback: 40h}")
    content = [patient(), observation(effectiveDateTime=day)]
    found = value(content, schema=schema, t=datetime(2026, 3, 10, 12, tzinfo=UTC), zone=UTC)
    assert (found == 80.0) is counts


def test_f9_what_was_not_yet_reported_is_not_seen() -> None:
    """A culture of Monday that is reported on Wednesday was not known on Tuesday."""
    content = [patient(), observation("wbc", 28.5, hours=30, issued=at(1))]
    assert value(content, "wbc", t=T - timedelta(hours=24)) != 28.5
    assert dropped(content, t=T - timedelta(hours=24)) == {("wbc", "not_yet_available"): 1}


@pytest.mark.parametrize(
    "broken", [{"effectiveDateTime": None}, {"effectiveDateTime": "soon"}, {"effectiveDateTime": "2026-03-10T11:00:00"}]
)
def test_f9_a_value_without_a_certain_time_is_none(broken: dict[str, str | None]) -> None:
    """The peer counts it."""
    content = [patient(), observation(issued=at(1), **broken)]
    assert value(content) != value(content)
    assert sum(dropped(content).values()) == 1


def test_f9_labs_of_four_years_before_the_vitals_do_not_make_one_patient(tutorial: Path) -> None:
    """The peer's own high-risk bundle mixes vital signs of 2192 with laboratory values of 2188."""
    content = json.loads((tutorial / "high_risk_bundle.json").read_text())
    found = matrix([content], t="latest")
    reasons = by_reason(found.drops)
    assert found.rows.loc[0, ["wbc", "creatinine"]].isna().all()
    assert found.rows.loc[0, ["heart_rate", "temperature", "respiratory_rate"]].notna().all()
    assert {name for name, reason in reasons if reason == "before_window"} == {"wbc", "creatinine"}


def test_f9_latest_is_each_patients_own_time() -> None:
    """The peer's shifted years are taken for one common time, or for none."""
    early = datetime(2131, 5, 1, tzinfo=UTC).isoformat()
    late = datetime(2195, 5, 1, tzinfo=UTC).isoformat()
    content = [
        patient("a", birthDate="2080-05-01"), observation(who="a", effectiveDateTime=early),
        patient("b", birthDate="2140-05-02"), observation(who="b", effectiveDateTime=late),
    ]  # fmt: skip
    rows = matrix(content, t="latest").rows.set_index("patient_id")
    assert rows["heart_rate"].tolist() == [80.0, 80.0]
    assert rows["age"].tolist() == [51.0, 54.0]


def test_f9_everything_too_old_is_no_score() -> None:
    """The peer scores a patient last seen twenty years ago as of today."""
    content = [patient(), *[observation(name, 100.0, hours=20 * YEAR) for name in ("heart_rate", "wbc", "creatinine")]]
    one = result(content)
    assert one.outcome is Outcome.INSUFFICIENT_DATA
    assert row(content)["age"] == 60.0
    assert sepsis().lookback == timedelta(hours=24)
