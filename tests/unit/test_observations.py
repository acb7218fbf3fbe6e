"""The observations table: its columns, its one order, and what counts once."""

from collections import Counter
from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from screening.columns import NOT_A_TIME, times
from screening.observations import COLUMNS, Drop, Observations, Row
from screening.patient_records import PATIENT_COLUMNS, PatientRecord, patient_table
from screening.times import micros

NOON = micros(datetime(2026, 3, 10, 12, tzinfo=UTC))
HOUR = 3_600_000_000
NAN = float("nan")


def row(
    value: float = 80.0,
    *,
    who: str = "p",
    feature: str = "heart_rate",
    end: int = NOON,
    start: int | None = None,
    available: int = NOT_A_TIME,
    source: str = "Observation/a",
    encounter: str = "",
) -> Row:
    return (who, feature, end, end if start is None else start, available, value, "/min", source, encounter)


def table(rows: list[Row], drops: Counter[Drop]) -> pd.DataFrame:
    return Observations.of_rows(rows).distinct(drops).frame()


def test_the_columns_and_their_types_with_and_without_rows() -> None:
    for rows in ([row()], []):
        frame = table(rows, Counter())
        assert tuple(frame.columns) == COLUMNS
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
            "patient_id": "str", "feature": "str", "effective_time": "datetime64[us, UTC]",
            "effective_start": "datetime64[us, UTC]", "available_time": "datetime64[us, UTC]", "value": "float64",
            "unit": "str", "source": "str", "encounter": "str",
        }  # fmt: skip


def test_times_keep_the_microsecond_and_not_a_time_is_nat() -> None:
    found = times([NOON + 1, NOT_A_TIME])
    assert found[0] == pd.Timestamp("2026-03-10T12:00:00.000001Z")
    assert found[1] is pd.NaT


@pytest.mark.parametrize(
    ("other", "remain", "why"),
    [
        (row(source="Observation/b"), 1, "two ids"),
        (row(available=NOON), 1, "another availability"),
        (row(encounter="Encounter/e"), 1, "another encounter"),
        (row(81.0), 2, "another value"),
        (row(end=NOON + 1), 2, "a microsecond later"),
        (row(start=NOON - HOUR), 2, "a span and a point"),
        (row(who="q"), 2, "another patient"),
        (row(feature="pulse"), 2, "another feature"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_same_patient_feature_time_and_value_count_once(other: Row, remain: int, why: str) -> None:
    for rows in ([row(), other], [other, row()]):
        drops: Counter[Drop] = Counter()
        assert len(table(rows, drops)) == remain, why
        assert drops == ({("p", "heart_rate", "duplicate"): 1} if remain == 1 else {})


def test_each_further_copy_is_counted() -> None:
    drops: Counter[Drop] = Counter()
    table([row(source=f"Observation/{n}") for n in range(5)], drops)
    assert drops == {("p", "heart_rate", "duplicate"): 4}


def test_of_two_copies_the_one_that_was_available_first_stays() -> None:
    copies = [
        row(available=NOON + HOUR, source="Observation/a"),
        row(available=NOON, source="Observation/b"),
        row(available=NOON + 2 * HOUR, source="Observation/c"),
    ]
    for rows in permutations(copies):
        assert table(list(rows), Counter())["source"].tolist() == ["Observation/b"]
    whenever = row(source="Observation/z")
    for rows in permutations([*copies, whenever]):
        assert table(list(rows), Counter())["source"].tolist() == ["Observation/z"]


def test_an_open_stay_charted_twice_counts_once() -> None:
    drops: Counter[Drop] = Counter()
    frame = table([row(NAN, source="Encounter/a"), row(NAN, source="Encounter/b")], drops)
    assert frame["source"].tolist() == ["Encounter/a"]
    assert drops.total() == 1


def test_one_order_whatever_the_order_of_the_input() -> None:
    rows = [
        row(80.0, who="q"),
        row(80.0, end=NOON - HOUR),
        row(80.0, available=NOON),
        row(80.0, feature="age"),
        row(79.0, source="Observation/b"),
        row(81.0, encounter="Encounter/e"),
    ]
    first = table(rows, Counter())
    for other in list(permutations(rows))[::23]:
        pd.testing.assert_frame_equal(table(list(other), Counter()), first)
    assert first["feature"].tolist() == ["age", *["heart_rate"] * 5]
    assert first["patient_id"].tolist() == ["p"] * 5 + ["q"]


def test_two_resources_without_an_id_that_differ_only_in_their_encounter_keep_one_order() -> None:
    pair = [row(source="", encounter="Encounter/b"), row(source="", encounter="Encounter/a")]
    assert table(pair, Counter())["encounter"].tolist() == ["Encounter/a"]
    assert table(pair[::-1], Counter())["encounter"].tolist() == ["Encounter/a"]


def test_last_among_equal_times_is_the_one_known_last_and_then_the_greater() -> None:
    rows = [row(90.0, available=NOON), row(70.0, available=NOON + 1), row(99.0), row(60.0, available=NOON + 1)]
    assert table(rows, Counter())["value"].tolist() == [99.0, 90.0, 60.0, 70.0]


def test_the_patients_table() -> None:
    records = [
        PatientRecord("q", "1966-03-10", "day", "male", True, NOON, True, "", "Patient/q"),
        PatientRecord("p"),
    ]
    frame = patient_table(records)
    assert tuple(frame.columns) == PATIENT_COLUMNS
    assert frame["patient_id"].tolist() == ["p", "q"]
    assert frame["deceased"].tolist() == [False, True]
    assert frame["deceased_time"].tolist() == [pd.NaT, pd.Timestamp("2026-03-10T12:00:00Z")]
    assert frame.loc[0, ["birth_date", "gender", "problem", "source"]].tolist() == ["", "", "", ""]
    pd.testing.assert_frame_equal(frame, patient_table(records[::-1]))


def test_an_empty_patients_table_has_its_types() -> None:
    frame = patient_table([])
    assert str(frame["deceased_time"].dtype) == "datetime64[us, UTC]"
    assert frame["merged"].dtype == np.bool_
    assert str(frame["source"].dtype) == "str"


def test_rows_come_out_as_they_went_in() -> None:
    rows = [row(81.0, source="Observation/b"), row(80.0, who="o", encounter="Encounter/e"), row(NAN, feature="stay")]
    found = Observations.of_rows(rows).rows()
    assert found[:2] == rows[:2]
    assert repr(found[2]) == repr(rows[2])
    assert Observations.of_rows([]).rows() == []


def test_only_a_table_in_order_says_so_and_a_part_of_it_still_does() -> None:
    rows = [
        row(value, end=NOON + hour, source=f"Observation/{hour}") for hour, value in ((2, 80.0), (1, 81.0), (3, 82.0))
    ]
    held = Observations.of_rows(rows)
    assert not held.in_order
    assert held[np.array([True, False, True])].in_order is False
    settled = held.ordered()
    assert settled.in_order
    assert [one[2] - NOON for one in settled.rows()] == [1, 2, 3]
    assert settled.ordered() is settled
    part = settled[np.array([True, False, True])]
    assert part.in_order
    assert [one[2] - NOON for one in part.rows()] == [1, 3]
    assert not Observations.of_frame(settled.frame()).in_order  # whoever holds a frame may have turned it over
