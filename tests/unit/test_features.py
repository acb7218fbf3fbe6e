"""The feature engine: window, availability, aggregates, ages, who stands outside, and what a matrix rests on."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from tests.charts import (
    LOINC,
    SICK,
    T,
    at,
    by_reason,
    chart,
    dropped,
    heart_rate_schema,
    matrix,
    observation,
    patient,
    row,
    schema_of,
    sepsis,
    value,
)

from screening.columns import NOT_A_TIME
from screening.errors import FatalError
from screening.features import absence_is_zero, featurize, observed
from screening.observations import Reading
from screening.patient_features import ages
from screening.readers.fhir import read

NEW_YORK = ZoneInfo("America/New_York")
MICROSECOND = 1 / 3_600_000_000  # in hours
HR = "heart_rate"


def nan(number: float) -> bool:
    return math.isnan(number)


class TestWindow:
    """Values with prediction_time - lookback < effective <= prediction_time count."""

    @pytest.mark.parametrize(
        ("hours", "reason"),
        [
            (0, None),
            (MICROSECOND, None),
            (-MICROSECOND, "after_prediction_time"),
            (-1, "after_prediction_time"),
            (12, None),
            (24 - MICROSECOND, None),
            (24, "before_window"),
            (24 + MICROSECOND, "before_window"),
            (24 * 365, "before_window"),
        ],
    )
    def test_bounds_to_the_microsecond(self, hours: float, reason: str | None) -> None:
        content = [patient(), observation(hours=hours)]
        assert nan(value(content)) is (reason is not None)
        assert dropped(content) == ({(HR, reason): 1} if reason else {})

    def test_without_a_window_everything_up_to_the_prediction_time_counts(self) -> None:
        schema = heart_rate_schema(more="")
        content = [patient(), observation(value=60, hours=24 * 3650), observation(value=80), observation(hours=-1)]
        assert value(content, schema=schema) == 70.0
        assert dropped(content, schema=schema) == {(HR, "after_prediction_time"): 1}

    @pytest.mark.parametrize(
        ("zone", "t", "day", "reason"),
        [
            # Without a zone a day begins at 10:00 UTC of the day before and ends at 12:00 UTC of the day after.
            (None, "2026-03-11T11:59:59.999999", "2026-03-10", None),
            (None, "2026-03-11T11:59:59.999998", "2026-03-10", "after_prediction_time"),
            (None, "2026-03-12T09:59:59.999999", "2026-03-10", None),
            (None, "2026-03-12T10:00:00", "2026-03-10", "before_window"),
            # In New York it is the day there.
            (NEW_YORK, "2026-03-11T03:59:59.999999", "2026-03-10", None),
            (NEW_YORK, "2026-03-11T03:59:59.999998", "2026-03-10", "after_prediction_time"),
            (NEW_YORK, "2026-03-13T03:59:59.999999", "2026-03-10", None),
            (NEW_YORK, "2026-03-13T04:00:00", "2026-03-10", "before_window"),
        ],
    )
    def test_a_date_counts_only_if_the_whole_day_lies_inside(
        self, zone: Any, t: str, day: str, reason: str | None
    ) -> None:
        schema = heart_rate_schema(more="window: {lookback: 72h}")
        content = [patient(), observation(effectiveDateTime=day)]
        moment = datetime.fromisoformat(t).replace(tzinfo=UTC)
        found = dropped(content, schema=schema, t=moment, zone=zone)
        assert found == ({(HR, reason): 1} if reason else {})
        assert nan(value(content, schema=schema, t=moment, zone=zone)) is (reason is not None)

    def test_a_day_never_fits_into_a_window_of_a_day_without_a_zone(self) -> None:
        for hour in range(0, 72, 5):
            t = datetime(2026, 3, 9, tzinfo=UTC) + timedelta(hours=hour)
            assert nan(value([patient(), observation(effectiveDateTime="2026-03-10")], t=t))

    def test_the_offset_of_a_time_is_heeded_and_not_its_digits(self) -> None:
        inside = observation(effectiveDateTime="2026-03-10T21:59:00+10:00")
        outside = observation(effectiveDateTime="2026-03-10T11:59:00-01:00")
        assert value([patient(), inside]) == 80.0
        assert dropped([patient(), outside]) == {(HR, "after_prediction_time"): 1}

    def test_the_prediction_time_may_be_told_in_any_zone(self) -> None:
        content = [patient(), observation(hours=0), observation("wbc", 9.0, hours=24 - MICROSECOND)]
        for zone in (UTC, NEW_YORK, ZoneInfo("Pacific/Kiritimati")):
            found = row(content, t=T.astimezone(zone))
            assert (found[HR], found["wbc"]) == (80.0, 9.0)

    def test_a_prediction_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(FatalError, match="prediction_time has no zone"):
            matrix([patient()], t=T.replace(tzinfo=None))


class TestAvailability:
    """A value that could not be known at the prediction time does not count."""

    @pytest.mark.parametrize(
        ("issued", "reason"),
        [
            (None, None),
            (at(0), None),
            (at(MICROSECOND), None),
            (at(-MICROSECOND), "not_yet_available"),
            ("2026-03-12", "not_yet_available"),
            ("2026-03-09T11:59:59Z", None),  # issued before the fact, by a clock that is off
        ],
    )
    def test_issued(self, issued: str | None, reason: str | None) -> None:
        content = [patient(), observation(hours=2, issued=issued)]
        assert dropped(content) == ({(HR, reason): 1} if reason else {})
        assert nan(value(content)) is (reason is not None)

    def test_a_backfill_sees_what_was_known_then(self) -> None:
        content = [
            patient(),
            observation("lactate", 1.0, hours=20, issued=at(19)),
            observation("lactate", 5.0, hours=3, issued=at(1)),
        ]
        assert value(content, "lactate", t=T - timedelta(hours=2)) == 1.0
        assert value(content, "lactate", t=T) == 3.0

    def test_last_updated_does_not_matter(self) -> None:
        assert value([patient(), observation(meta={"lastUpdated": "2031-01-01T00:00:00Z"})]) == 80.0

    def test_each_value_is_dropped_for_one_reason(self) -> None:
        both = observation(hours=-1, issued=at(-2))
        late_and_old = observation("wbc", 9.0, hours=30, issued=at(-2))
        assert dropped([patient(), both, late_and_old]) == {
            (HR, "after_prediction_time"): 1,
            ("wbc", "not_yet_available"): 1,
        }


class TestLatest:
    """Each patient's newest effective time; `issued` is left out of account."""

    def test_each_patient_has_a_time_of_its_own(self) -> None:
        content = [
            *chart("p"),
            patient("q"),
            observation(who="q", hours=24 * 9),
            observation("wbc", 9.0, who="q", hours=24 * 9.5),
        ]
        found = matrix(content, t="latest").rows.set_index("patient_id")
        assert found.loc["p", "prediction_time"] == pd.Timestamp(T) - pd.Timedelta(hours=1)
        assert found.loc["q", "prediction_time"] == pd.Timestamp(T) - pd.Timedelta(days=9)
        assert found.loc["q", ["heart_rate", "wbc"]].tolist() == [80.0, 9.0]

    def test_the_window_runs_back_from_it(self) -> None:
        content = [
            patient(),
            observation(value=60, hours=48),
            observation(value=80, hours=24 + MICROSECOND),
            observation(value=90, hours=24),
        ]
        assert value(content, t="latest") == 85.0
        assert dropped(content, t="latest") == {(HR, "before_window"): 1}

    def test_issued_is_left_out_of_account(self) -> None:
        content = [patient(), observation(issued="2030-01-01T00:00:00Z")]
        assert value(content, t="latest") == 80.0
        assert dropped(content, t="latest") == {}

    def test_only_values_that_count_set_it(self) -> None:
        content = [
            patient(),
            observation(hours=5),
            observation(hours=1, status="cancelled"),
            observation("wbc", -1.0, hours=0),
        ]
        assert row(content, t="latest")["prediction_time"] == pd.Timestamp(at(5))

    def test_a_patient_without_values_has_none_and_no_age(self) -> None:
        found = row([patient()], t="latest")
        assert found["prediction_time"] is pd.NaT
        assert nan(found["age"])
        assert found["standing"] == ""

    def test_the_end_of_a_day_is_the_newest_that_a_date_can_mean(self) -> None:
        found = row([patient(), observation(effectiveDateTime="2026-03-10")], t="latest")
        assert found["prediction_time"] == pd.Timestamp("2026-03-11T11:59:59.999999Z")

    def test_placeholders_at_the_end_of_the_calendar_fail_nobody(self) -> None:
        content = [*chart("p"), patient("q"), observation(who="q", effectiveDateTime="9999-12-31")]
        found = matrix(content, t="latest")
        assert found.rows["prediction_time"].notna().tolist() == [True, False]
        assert by_reason(found.drops) == {(HR, "bad_time"): 1}
        last = [patient(), observation(effectiveDateTime="9999-12-31T23:59:59Z")]
        found = row(last, t="latest", site=NEW_YORK)
        assert found["prediction_time"] == pd.Timestamp("9999-12-31T23:59:59Z")
        assert nan(found["age"])

    def test_an_open_stay_alone_sets_no_time(self) -> None:
        schema = schema_of("stay: {fhir_resource: Encounter, field: period, transform: hours_since_admission}")
        stay = {
            "resourceType": "Encounter", "id": "e", "status": "in-progress", "subject": {"reference": "Patient/p"},
            "period": {"start": at(5)},
        }  # fmt: skip
        assert row([patient(), stay], schema=schema, t="latest")["prediction_time"] is pd.NaT


READINGS = [(70.0, 9), (100.0, 5), (85.0, 1)]  # value, hours before


class TestAggregates:
    @pytest.mark.parametrize(
        ("how", "expected"),
        [
            ("mean", 85.0), ("median", 85.0), ("min", 70.0), ("max", 100.0), ("first", 70.0), ("last", 85.0),
            ("count", 3.0), ("delta", 15.0),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("turn", [1, -1])
    def test_by_time_and_not_by_the_order_of_the_bundle(self, how: str, expected: float, turn: int) -> None:
        content = [patient(), *[observation(value=v, hours=h) for v, h in READINGS[::turn]]]
        assert value(content, schema=heart_rate_schema(how)) == expected

    @pytest.mark.parametrize("how", ["mean", "median", "min", "max", "first", "last"])
    def test_of_one_value_is_that_value(self, how: str) -> None:
        assert value([patient(), observation(value=81.3)], schema=heart_rate_schema(how)) == 81.3

    @pytest.mark.parametrize("how", ["mean", "median", "min", "max", "first", "last", "delta"])
    def test_of_nothing_is_missing(self, how: str) -> None:
        assert nan(value([patient()], schema=heart_rate_schema(how)))

    def test_count_of_nothing_is_zero(self) -> None:
        assert value([patient()], schema=heart_rate_schema("count")) == 0.0

    def test_median_of_an_even_number(self) -> None:
        content = [patient(), *[observation(value=v, hours=h) for h, v in enumerate((60, 70, 80, 200), 1)]]
        assert value(content, schema=heart_rate_schema("median")) == 75.0

    def test_only_the_window_is_aggregated(self) -> None:
        content = [patient(), observation(value=40, hours=30), observation(value=80), observation(value=120, hours=-1)]
        for how, expected in (
            ("mean", 80.0),
            ("min", 80.0),
            ("max", 80.0),
            ("first", 80.0),
            ("last", 80.0),
            ("count", 1.0),
        ):
            assert value(content, schema=heart_rate_schema(how)) == expected

    @pytest.mark.parametrize(("how", "expected"), [("last", 90.0), ("first", 70.0)])
    def test_values_of_one_moment_have_one_order(self, how: str, expected: float) -> None:
        pair = [observation(value=70, id="b"), observation(value=90, id="a")]
        for order in (pair, pair[::-1]):
            assert value([patient(), *order], schema=heart_rate_schema(how)) == expected

    def test_of_two_results_of_one_moment_the_one_issued_later_is_the_last(self) -> None:
        pair = [observation(value=90, hours=3, issued=at(2)), observation(value=70, hours=3, issued=at(1))]
        assert value([patient(), *pair], schema=heart_rate_schema("last")) == 70.0

    def test_a_lone_value_of_a_change_is_no_observation(self) -> None:
        schema = heart_rate_schema("delta")
        found = matrix([patient(), observation()], schema)
        assert nan(found.rows.loc[0, HR])
        assert by_reason(found.drops) == {(HR, "lone_value"): 1}
        assert found.cells.empty
        assert found.basis.empty

    def test_a_change_is_each_patients_own(self) -> None:
        content = [patient("p"), patient("q"), observation(value=70, hours=3), observation(value=90, who="q")]
        found = matrix(content, heart_rate_schema("delta"))
        assert found.rows[HR].isna().all()
        assert by_reason(found.drops) == {(HR, "lone_value"): 2}

    def test_a_duplicate_does_not_weigh_twice(self) -> None:
        content = [
            patient(),
            observation(value=60, id="a"),
            observation(value=60, id="b"),
            observation(value=90, hours=2),
        ]
        assert value(content) == 75.0
        assert dropped(content) == {(HR, "duplicate"): 1}

    def test_features_of_one_code_are_aggregated_each_in_its_way(self) -> None:
        code = f"fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min"
        schema = schema_of(
            f"low: {{{code}, aggregate: min}}\nhigh: {{{code}, aggregate: max}}\nturn: {{{code}, aggregate: delta}}"
        )
        found = row([patient(), *[observation(value=v, hours=h) for v, h in READINGS]], schema)
        assert (found["low"], found["high"], found["turn"]) == (70.0, 100.0, 15.0)


class TestAge:
    """Completed years at the prediction time, in the site's zone."""

    @pytest.mark.parametrize(
        ("birth_date", "t", "age"),
        [
            ("1966-03-10", "2026-03-10T00:00:00", 60),
            ("1966-03-10", "2026-03-09T23:59:59", 59),
            ("1966-03-11", "2026-03-10T12:00:00", 59),
            ("2120-12-31", "2180-01-01T00:00:00", 59),
            ("1964-02-29", "2026-02-28T12:00:00", 61),
            ("1964-02-29", "2026-03-01T00:00:00", 62),
            ("1964-02-29", "2024-02-28T12:00:00", 59),
            ("1964-02-29", "2024-02-29T00:00:00", 60),
            ("2026-03-10", "2026-03-10T00:00:00", 0),
            ("1895-03-11", "2026-03-10T12:00:00", 130),
            ("1895-03-10", "2026-03-10T12:00:00", None),
            ("1066-10-14", "2026-03-10T12:00:00", None),
            ("0001-01-01", "2026-03-10T12:00:00", None),
            ("1966-03", "2026-03-15T12:00:00", 59),
            ("1966-03", "2026-03-16T12:00:00", 60),
            ("1966", "2026-07-01T12:00:00", 59),
            ("1966", "2026-07-02T12:00:00", 60),
            ("2026-03-11", "2026-03-10T12:00:00", None),
            ("2026-03", "2026-03-10T12:00:00", None),
            ("2030-01-01", "2026-03-10T12:00:00", None),
            ("9999-12-31", "2026-03-10T12:00:00", None),
            ("unknown", "2026-03-10T12:00:00", None),
            (None, "2026-03-10T12:00:00", None),
        ],
    )
    def test_completed_years(self, birth_date: str | None, t: str, age: int | None) -> None:
        found = value([patient(birthDate=birth_date)], "age", t=datetime.fromisoformat(t).replace(tzinfo=UTC))
        assert nan(found) if age is None else found == age

    @pytest.mark.parametrize(("site", "age"), [(None, 60), (UTC, 60), (NEW_YORK, 59), (ZoneInfo("Asia/Tokyo"), 60)])
    def test_the_day_is_the_one_at_the_site(self, site: Any, age: int) -> None:
        t = datetime(2026, 3, 10, 2, tzinfo=UTC)  # still 9 March in New York
        assert value([patient()], "age", t=t, site=site) == age

    def test_no_observation_moves_it(self) -> None:
        assert value([patient(), observation(hours=24 * 365 * 20)], "age") == 60

    @pytest.mark.parametrize(
        ("birth_date", "note"),
        [
            ("1966-03-10", None),
            ("1966-03", "age from a birth date of month precision"),
            ("1966", "age from a birth date of year precision"),
            ("2027", None),
        ],
    )
    def test_a_rough_birth_date_is_told(self, birth_date: str, note: str | None) -> None:
        cells = matrix([patient(birthDate=birth_date)]).cells
        assert cells[["feature", "count", "note"]].to_dict("records") == (
            [{"feature": "age", "count": 0, "note": note}] if note else []
        )


@pytest.mark.parametrize(
    ("gender", "number"),
    [
        ("male", 1.0), ("Male", 1.0), ("M", 1.0), ("female", 0.0), ("f", 0.0), ("other", None), ("unknown", None),
        (None, None), ("", None),
    ],
)  # fmt: skip
def test_gender_is_one_zero_or_missing_and_never_a_third_number(gender: str | None, number: float | None) -> None:
    found = value([patient(gender=gender)], "gender_encoded")
    assert nan(found) if number is None else found == number


class TestStanding:
    """Who is settled before any score."""

    @pytest.mark.parametrize(
        ("change", "standing", "reason"),
        [
            ({}, "", ""),
            ({"deceasedBoolean": True}, "excluded", "deceased before the prediction time"),
            ({"deceasedBoolean": False}, "", ""),
            ({"deceasedDateTime": at(1)}, "excluded", "deceased before the prediction time"),
            ({"deceasedDateTime": at(0)}, "excluded", "deceased before the prediction time"),
            ({"deceasedDateTime": at(-MICROSECOND)}, "", ""),
            ({"deceasedDateTime": at(-24)}, "", ""),
            ({"deceasedDateTime": "2026-03-10"}, "", ""),
            ({"deceasedDateTime": "2026-03-08"}, "excluded", "deceased before the prediction time"),
            ({"deceasedDateTime": "long ago"}, "excluded", "deceased before the prediction time"),
            ({"link": [{"type": "replaced-by"}]}, "excluded", "merged into another Patient"),
            ({"link": [{"type": "replaced-by"}], "deceasedBoolean": True}, "excluded", "merged into another Patient"),
            ({"implicitRules": "u"}, "failed", "the Patient carries implicitRules or an unknown modifierExtension"),
        ],
    )
    def test_standing(self, change: dict[str, Any], standing: str, reason: str) -> None:
        found = row([*chart()[1:], patient(**change)])
        assert (found["standing"], found["reason"]) == (standing, reason)

    def test_a_patient_asked_for_and_not_found(self) -> None:
        found = matrix(chart("p"), cohort=["ghost", "p"]).rows
        assert found["standing"].tolist() == ["not_found", ""]
        assert found["reason"].tolist() == ["no Patient resource of this id", ""]

    def test_contradicting_patient_resources_fail_that_patient_alone(self) -> None:
        found = matrix([*chart("p"), *chart("q"), patient("q", gender="female")]).rows
        assert found["standing"].tolist() == ["", "failed"]

    def test_a_backfill_to_before_the_death_scores_the_living(self) -> None:
        content = [*chart()[1:], patient(deceasedDateTime=at(1))]
        assert row(content, t=T)["standing"] == "excluded"
        assert row(content, t=T - timedelta(hours=1, microseconds=1))["standing"] == ""


class TestTheMatrix:
    def test_columns_types_and_order(self) -> None:
        found = matrix([*chart("b"), *chart("a")], cohort=["b", "ghost", "a"]).rows
        head = ["patient_id", "prediction_time", "standing", "reason", "encounter"]
        assert found.columns.tolist() == [*head, *sepsis().feature_names]
        assert found["patient_id"].tolist() == ["b", "ghost", "a"]
        assert set(found.dtypes[list(sepsis().feature_names)]) == {np.dtype("float64")}
        assert str(found["prediction_time"].dtype) == "datetime64[us, UTC]"

    def test_a_row_of_values_in_canonical_units(self) -> None:
        found = row(chart())
        assert {name: found[name] for name in sepsis().feature_names} == {**SICK, "age": 60.0, "gender_encoded": 1.0}

    def test_the_matrix_of_nobody(self) -> None:
        for t in (T, "latest"):
            found = matrix([], t=t)
            assert len(found.rows) == len(found.cells) == len(found.basis) == 0
            assert found.rows.columns.tolist()[5:] == list(sepsis().feature_names)

    def test_the_matrix_of_patients_without_any_value(self) -> None:
        found = matrix([patient("a", gender="unknown", birthDate=None), patient("b", gender=None, birthDate=None)])
        assert found.rows[list(sepsis().feature_names)].isna().all(axis=None)
        assert found.cells.empty

    def test_a_cohort_that_names_a_patient_twice_is_refused(self) -> None:
        with pytest.raises(FatalError, match="names a patient twice"):
            matrix(chart("p"), cohort=["p", "p"])

    def test_values_of_patients_outside_the_cohort_and_of_unknown_features_are_left_out(self) -> None:
        reading = read([*chart("p"), *chart("q")], sepsis())
        found = featurize(reading, heart_rate_schema(), T, patient_ids=["p"])
        assert found.rows["patient_id"].tolist() == ["p"]
        assert found.basis["source"].tolist() == ["Observation/p-heart-rate-1.0-113.0"]
        assert found.drops == {}

    def test_values_of_somebody_whose_patient_was_not_read_do_not_vanish_unseen(self) -> None:
        found = matrix([*chart("p"), observation(who="q"), observation(who="q", hours=2), observation("wbc", who="r")])
        assert found.rows["patient_id"].tolist() == ["p"]
        assert found.drops == {("", HR, "foreign_subject"): 2, ("", "wbc", "foreign_subject"): 1}

    def test_the_readers_drops_are_kept_and_its_reading_is_left_as_it_was(self) -> None:
        reading = read([patient(), observation(status="cancelled"), observation(hours=30)], sepsis())
        for _ in range(2):
            assert by_reason(featurize(reading, sepsis(), T).drops) == {(HR, "status"): 1, (HR, "before_window"): 1}
        assert by_reason(reading.drops) == {(HR, "status"): 1}

    def test_drops_are_counted_by_patient(self) -> None:
        content = [patient("p"), patient("q"), observation(who="p", hours=30), observation(who="q", hours=-1)]
        assert matrix(content).drops == {("p", HR, "before_window"): 1, ("q", HR, "after_prediction_time"): 1}


class TestWhatItRestsOn:
    def test_cells_count_the_values_used_and_tell_the_newest_time(self) -> None:
        content = [patient(), observation(value=70, hours=5), observation(value=80, hours=2), observation(hours=30)]
        (cell,) = matrix(content).cells.to_dict("records")
        assert (cell["patient_id"], cell["feature"], cell["count"], cell["note"]) == ("p", HR, 2, "")
        assert cell["time"] == pd.Timestamp(at(2))

    def test_basis_is_what_was_used_and_nothing_else(self) -> None:
        content = [
            patient(meta={"versionId": "4"}, gender="unknown"),
            observation(id="used", meta={"versionId": "2"}),
            observation(id="old", hours=30),
            observation(id="late", hours=-1),
            observation(id="void", status="cancelled"),
            observation(id="zed"),
            observation(id=None, value=90.0),
        ]
        found = matrix(content).basis
        assert found.to_dict("records") == [
            {"patient_id": "p", "feature": "age", "source": "Patient/p/_history/4"},
            {"patient_id": "p", "feature": "heart_rate", "source": "Observation/used/_history/2"},
        ]

    def test_a_patient_is_in_the_basis_only_where_a_field_of_it_gave_a_value(self) -> None:
        silent = matrix([patient(gender=None, birthDate=None), observation(id="o")]).basis
        assert silent["source"].tolist() == ["Observation/o"]

    def test_the_encounter_is_that_of_the_newest_value_that_names_one(self) -> None:
        def stay(name: str) -> dict[str, str]:
            return {"reference": f"Encounter/{name}"}

        content = [
            patient(),
            observation("wbc", 9.0, hours=20, encounter=stay("hospital")),
            observation(value=70, hours=3, encounter=stay("icu")),
            observation(value=80, hours=1),
            observation(value=90, hours=40, encounter=stay("earlier")),
        ]
        assert row(content)["encounter"] == "Encounter/icu"
        assert row([patient(), observation()])["encounter"] == ""
        tie = [patient(), observation("wbc", 9.0, encounter=stay("a")), observation(encounter=stay("b"))]
        assert row(tie)["encounter"] == row(tie[::-1])["encounter"] == "Encounter/b"


@pytest.mark.parametrize(
    ("line", "counts", "zero"),
    [
        (f"{{fhir_resource: Observation, code: c, code_system: {LOINC}, unit: /min}}", True, False),
        (f"{{fhir_resource: Observation, code: c, code_system: {LOINC}, aggregate: count}}", True, True),
        (f"{{fhir_resource: Condition, code: c, code_system: {LOINC}}}", True, True),
        (f"{{fhir_resource: MedicationRequest, code: c, code_system: {LOINC}}}", True, True),
        ("{fhir_resource: Encounter, field: period, transform: hours_since_admission}", True, False),
        ("{fhir_resource: Patient, field: gender, transform: encode_gender}", False, False),
    ],
)
def test_what_counts_as_observed_and_where_absence_is_a_value(line: str, counts: bool, zero: bool) -> None:
    other = f"other: {{fhir_resource: Condition, code: d, code_system: {LOINC}}}"
    feature = schema_of(f"it: {line}\n{other}").features["it"]
    assert (observed(feature), absence_is_zero(feature)) == (counts, zero)


class TestTheLastBit:
    """A patient's numbers rest on the patient's values alone, whoever else is in the cohort and wherever."""

    def test_a_mean_is_the_same_in_a_cohort_of_any_order(self) -> None:
        hours = [1 + n / 10 for n in range(12)]
        charts = {
            who: [patient(who), *(observation(value=80 + n / 7 + hour / 3, who=who, hours=hour) for hour in hours)]
            for n, who in enumerate(("a", "b", "c", "d"))
        }
        alone = {who: row(one)[HR] for who, one in charts.items()}
        for cohort in (["a", "b", "c", "d"], ["d", "c", "b", "a"], ["c", "a", "d"]):
            found = matrix([part for one in charts.values() for part in one], cohort=cohort).rows
            assert found[HR].tolist() == [alone[who] for who in cohort]

    def test_an_empty_matrix_has_the_types_of_a_full_one(self) -> None:
        full, empty = matrix([*chart("p", birthDate="1966")]), matrix([])
        for part in ("rows", "cells", "basis"):
            assert getattr(empty, part).dtypes.to_dict() == getattr(full, part).dtypes.to_dict()

    def test_two_records_of_one_patient_are_refused(self) -> None:
        found = read(chart(), sepsis())
        twice = Reading(found.values, [*found.records, *found.records])
        with pytest.raises(FatalError, match="two records of one patient"):
            featurize(twice, sepsis(), T, patient_ids=["p"])


@pytest.mark.parametrize("zone", [UTC, NEW_YORK, ZoneInfo("Pacific/Kiritimati")])
def test_ages_are_those_of_pandas_calendar(zone: Any) -> None:
    days = pd.to_datetime(["2024-02-28", "2024-03-10", "2025-12-31"], utc=True)
    moments = pd.DatetimeIndex([day + pd.Timedelta(hours=hour) for day in days for hour in range(30)])
    born = [
        "", "1896-02-29", "1924-02-29", "2000-02-29", "1966-03-10", "2024-02-28", "2025-12-31", "1893-01-01", "not-a-date",
    ]  # fmt: skip
    for birth_date in born:
        date = pd.to_datetime(birth_date, format="%Y-%m-%d", errors="coerce")
        on = moments.tz_convert(zone)
        years = on.year - date.year - ((on.month < date.month) | ((on.month == date.month) & (on.day < date.day)))
        expected = [float(y) if 0 <= y <= 130 else float("nan") for y in years]
        found = ages([birth_date] * len(moments), moments.as_unit("us").asi8, zone)
        np.testing.assert_array_equal(found, np.array(expected))


def test_an_age_beyond_every_calendar_is_none() -> None:
    last = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
    assert ages(["9990-01-01"], np.array([last]), UTC).tolist() == [9.0]
    for t, zone in ((last, ZoneInfo("Pacific/Kiritimati")), (last + 1, UTC), (NOT_A_TIME, UTC)):
        assert nan(ages(["9990-01-01"], np.array([t]), zone)[0])
