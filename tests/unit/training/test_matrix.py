"""Each stay is asked at its own time, by the engine of screening: nothing of another stay or of the future is in its row."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.mimic import CLOCK, PLAN, SCHEMA, Held, Row, chart, stay

from screening.features import featurize
from screening.observations import Reading
from screening.readers.mimic import MimicReader, observations
from screening.readers.mimic_windows import Windows
from screening.schema import Schema
from screening.training.data import TrainingSet
from screening.training.matrix import by_row, later_values_change_nothing, stay_matrix, training_set
from screening.training.stays import Stays, all_stays

NOW = "2150-06-02 12:00"  # the prediction time of the usual stay


def enough(who: int, when: str = "2150-06-02 08:00") -> list[Row]:
    """Return what screening asks for: three measurements, heart and respiratory rate among them."""
    values = {"heart_rate": 80.0, "respiratory_rate": 16.0, "wbc": 9.0}
    return [chart(name, when, value, subject=who) for name, value in values.items()]


def read(stays: list[Row], events: list[Row], schema: Schema = SCHEMA) -> tuple[pa.Table, Stays]:
    """Return all values of the events, in no window yet, and the stays."""
    far = np.iinfo("int64").max
    subjects = np.array(sorted({one["subject_id"] for one in stays}))
    windows = Windows(subjects, np.full(len(subjects), -far), np.full(len(subjects), far - 10**15))
    values = pa.concat_tables(MimicReader(Held([], events), schema, CLOCK).values(windows))
    return values, all_stays(Held(stays), schema, PLAN)


def learned(stays: list[Row], events: list[Row], schema: Schema = SCHEMA) -> tuple[TrainingSet, Stays, Counter]:
    values, cohort = read(stays, events, schema)
    data, drops = training_set(iter([(values, cohort.frame)]), cohort, schema, CLOCK)
    return data, cohort, drops


def cell(data: TrainingSet, stay_id: int, name: str) -> float:
    (row,) = np.flatnonzero(data.stays == stay_id)
    return float(data.values[row, data.feature_names.index(name)])


# The window


@pytest.mark.parametrize(
    ("when", "counts"),
    [
        ("2150-06-01 11:59", False), ("2150-06-01 12:00", False), ("2150-06-01 12:01", True),
        ("2150-06-02 12:00", True), ("2150-06-02 12:01", False), ("2150-06-02 13:00", False),
    ],
)  # fmt: skip
def test_the_window_of_a_day(when: str, counts: bool) -> None:
    """T7."""
    data, _, _ = learned([stay(1)], [*enough(1), chart("lactate", when, 3.0)])
    assert (cell(data, 100, "lactate") == 3.0) is counts


@pytest.mark.parametrize(("when", "counts"), [("2150-06-01 20:00", True), ("2150-06-01 20:01", False)])
def test_the_window_of_a_stay_that_ended_earlier(when: str, counts: bool) -> None:
    events = [*enough(1, "2150-06-01 15:00"), chart("lactate", when, 3.0)]
    data, _, _ = learned([stay(1, outtime="2150-06-01 20:00")], events)
    assert (cell(data, 100, "lactate") == 3.0) is counts


def test_what_was_stored_later_was_not_known() -> None:
    late = chart("lactate", "2150-06-02 11:00", 3.0, storetime=datetime.fromisoformat("2150-06-02 12:01"))
    data, _, drops = learned([stay(1)], [*enough(1), late])
    assert np.isnan(cell(data, 100, "lactate"))
    assert drops == {("lactate", "not_yet_available"): 1}


def test_rows_at_25_hours_change_nothing() -> None:
    """T10."""
    stays = [stay(1), stay(2, outtime="2150-06-01 20:00"), stay(3, subject=1, intime="2150-06-20 12:00")]
    events = [
        *enough(1), *enough(2, "2150-06-01 15:00"), *enough(1, "2150-06-20 15:00"), chart("wbc", "2150-06-02 01:00", 20.0),
    ]  # fmt: skip
    later = [
        chart(name, f"2150-06-{day} 13:00", 200.0 if name == "heart_rate" else 40.0, subject=who)
        for who in (1, 2)
        for day in ("02", "21")
        for name in ("heart_rate", "temperature", "respiratory_rate", "wbc", "lactate", "creatinine")
    ]
    before, after = learned(stays, events)[0], learned(stays, events + later)[0]
    assert len(before) == 3
    assert before.values.tobytes() == after.values.tobytes()
    values, cohort = read(stays, events)
    assert later_values_change_nothing(values, cohort.frame, SCHEMA, CLOCK)


def test_a_leak_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from screening.training import matrix

    def leaking(observed: pd.DataFrame, rows: pd.DataFrame, schema: Schema, clock: Any) -> Any:
        return honest(observed, rows.assign(last=rows["last"] + 2 * 3_600_000_000), schema, clock)

    honest = matrix.matrix_of
    values, cohort = read([stay(1)], enough(1))
    monkeypatch.setattr(matrix, "matrix_of", leaking)
    assert not later_values_change_nothing(values, cohort.frame, SCHEMA, CLOCK)


def test_a_stay_that_follows_within_the_day_is_no_leak() -> None:
    """An hour behind the first stay's time lies in the window of the second."""
    stays = [stay(1, outtime="2150-06-02 13:00"), stay(2, subject=1, intime="2150-06-02 13:00"), stay(3)]
    values, cohort = read(stays, [*enough(1), *enough(1, "2150-06-03 08:00"), *enough(3)])
    assert later_values_change_nothing(values, cohort.frame, SCHEMA, CLOCK)


# Whose values


def test_stays_of_one_patient_do_not_mix() -> None:
    stays = [
        stay(1, outtime="2150-06-02 18:00", codes=[("A419", 10)]),
        stay(2, subject=1, intime="2150-06-02 18:00", outtime="2150-06-08 12:00"),
        stay(3, subject=1, intime="2150-09-01 12:00"),
        stay(4),
    ]
    rates = {
        "2150-06-01 14:00": 60.0, "2150-06-02 08:00": 70.0, "2150-06-02 17:00": 80.0, "2150-06-02 19:00": 90.0,
        "2150-06-03 18:00": 110.0, "2150-09-01 13:00": 130.0,
    }  # fmt: skip
    events = [*enough(4), chart("heart_rate", "2150-06-02 09:00", 250.0, subject=4)]
    for when in ("2150-06-02 11:00", "2150-06-03 11:00", "2150-09-01 15:00"):
        events += [row for row in enough(1, when) if row["itemid"] != 220045]
    events += [chart("heart_rate", when, value) for when, value in rates.items()]
    data, _, _ = learned(stays, events)
    assert data.stays.tolist() == [100, 200, 300, 400]
    assert data.labels.tolist() == [1, 0, 0, 0]
    assert [cell(data, number, "heart_rate") for number in (100, 200, 300, 400)] == [65.0, 100.0, 130.0, 165.0]


def test_one_value_may_count_for_two_stays() -> None:
    stays = [
        stay(1, outtime="2150-06-01 22:00"),
        stay(2, subject=1, intime="2150-06-01 23:00", outtime="2150-06-02 07:00"),
    ]
    data, _, _ = learned(stays, [*enough(1, "2150-06-01 20:00"), chart("lactate", "2150-06-01 21:00", 2.5)])
    assert [cell(data, number, "lactate") for number in (100, 200)] == [2.5, 2.5]


def test_the_same_value_twice_counts_once_and_is_counted() -> None:
    twice = [chart("lactate", "2150-06-02 08:00", 2.0), chart("lactate", "2150-06-02 08:00", 2.0)]
    data, _, drops = learned([stay(1)], [*enough(1), *twice, chart("lactate", "2150-06-02 09:00", 5.0)])
    assert cell(data, 100, "lactate") == 3.5
    assert drops == {("lactate", "duplicate"): 1}


def test_a_row_is_what_screening_computes_of_that_patient_at_that_time() -> None:
    events = [*enough(1), chart("temperature", "2150-06-01 20:00", 38.0), chart("wbc", "2150-06-02 11:00", 12.0)]
    values, cohort = read([stay(1)], events)
    row = cohort.frame.iloc[[0]]
    alone = Reading(observations(values, SCHEMA), row.assign(patient_id="1").reset_index(drop=True))
    moment = datetime.fromisoformat(NOW).replace(tzinfo=CLOCK).astimezone(UTC)
    screened = featurize(alone, SCHEMA, moment, zone=CLOCK).rows
    trained = stay_matrix(values, cohort.frame, SCHEMA, CLOCK).rows
    names = list(SCHEMA.feature_names)
    assert screened[names].to_numpy("float64").tobytes() == trained[names].to_numpy("float64").tobytes()


def test_by_row_names_each_value_by_its_row() -> None:
    edges = [chart("lactate", f"2150-06-{edge} 12:00", 2.0) for edge in ("01", "02")]  # of the first one's window
    values, cohort = read([stay(1), stay(2, subject=1, intime="2150-06-01 18:00")], [*enough(1), *edges])
    rows = cohort.frame.assign(whose="1")
    reading = by_row(observations(values, SCHEMA), rows)
    assert Counter(reading.observations["patient_id"]) == {"100": 4, "200": 4}
    assert reading.patients["patient_id"].tolist() == ["100", "200"]


# Who is learned from


def test_whom_screening_would_not_score_is_left_out() -> None:
    lone = [chart("heart_rate", "2150-06-02 08:00", 80.0, subject=2), chart("wbc", "2150-06-02 08:00", 9.0, subject=2)]
    lone += [chart("lactate", "2150-06-02 08:00", 2.0, subject=2)]  # three values, but no respiratory rate
    stays = [stay(1), stay(2), stay(3), stay(4, dod="2150-06-01"), stay(5, dod="2150-06-02"), stay(6, anchor_age=None)]
    events = [*enough(1), *lone, *enough(3)[:2], *enough(4), *enough(5), *enough(6)]
    data, cohort, _ = learned(stays, events)
    assert data.stays.tolist() == cohort.frame["stay_id"].tolist() == [100, 500]
    assert [(one["step"], one["stays"]) for one in cohort.attrition[-2:]] == [
        ("not excluded by screening", 5),
        ("with the data that screening asks for", 2),
    ]


def test_the_set_has_age_and_sex_also_where_the_model_has_not() -> None:
    features = {name: one for name, one in SCHEMA.features.items() if name not in ("age", "gender_encoded")}
    schema = SCHEMA.model_copy(update={"features": features})
    stays = [stay(1, gender="F", anchor_age=61), stay(2, gender=None), stay(3, anchor_age=None)]
    data, _, _ = learned(stays, [*enough(1), *enough(2), *enough(3)], schema)
    assert data.feature_names == tuple(features)
    assert data.sex.tolist() == ["female", "", "male"]
    assert data.age[:2].tolist() == [61.0, 60.0]
    assert np.isnan(data.age[2])


def test_parts_change_nothing_and_may_be_empty() -> None:
    """E4: a patient's stays are in one part, and the rows come back in the order of stay_id."""
    stays = [stay(number, codes=[("A419", 10)] if number % 2 else [("I10", 10)]) for number in range(1, 8)]
    stays.append(stay(9, subject=1, intime="2150-06-03 12:00"))
    stays[1]["dod"] = "2150-05-01"  # left out by screening, and so is the fourth, for its lack of data
    events = [row for who in (1, 2, 3, 5, 6, 7) for row in enough(who)] + enough(1, "2150-06-04 08:00")
    values, _ = read(stays, events)

    def cut(parts: int) -> TrainingSet:
        cohort = all_stays(Held(stays), SCHEMA, PLAN)
        belongs, subject = cohort.frame["subject_id"] % parts, values.column("subject_id").to_numpy() % parts
        pieces = [(values.filter(pa.array(subject == i)), cohort.frame[belongs == i]) for i in range(parts)]
        mine = ((table, frame.reset_index(drop=True)) for table, frame in pieces)
        return training_set(mine, cohort, SCHEMA, CLOCK)[0]

    whole = cut(1)
    assert whole.stays.tolist() == [100, 300, 500, 600, 700, 900]
    for parts in (2, 3, 20):
        found = cut(parts)
        assert found.values.tobytes() == whole.values.tobytes()
        for name in ("labels", "subjects", "stays"):
            assert getattr(found, name).tolist() == getattr(whole, name).tolist()


def test_the_order_of_rows_changes_no_bit() -> None:
    stays = [stay(1), stay(2)]
    events = [*enough(1), *enough(2)]
    events += [chart("heart_rate", f"2150-06-02 0{i % 9}:{i:02d}", 60 + i / 7, subject=1 + i % 2) for i in range(50)]
    whole = learned(stays, events)[0].values.tobytes()
    for order in (events[::-1], events[17:] + events[:17]):
        assert learned(stays[::-1], order)[0].values.tobytes() == whole
