"""Columns: the observations in numpy against the same table in pandas, and back to frames."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.columns import NOT_A_TIME, Texts, runs
from screening.errors import FatalError
from screening.observations import Drop, Observations, Reading, Row
from screening.patient_records import PatientRecord, records_of

few = st.sampled_from(["", "a", "b", "B", "ä", "z10", "z9", "\U0001f9ea", "￿"])
times = st.sampled_from([0, 1, 3_600_000_000, -5])
numbers = st.sampled_from([1.0, -2.5, 37.1, float("nan")])
rows: st.SearchStrategy[Row] = st.tuples(
    few, few, times, times, st.one_of(st.just(NOT_A_TIME), times), numbers, few, few, few
)
tables = st.lists(rows, max_size=25)
SORT = ["patient_id", "feature", "effective_time", "available_time", "value", "source", "effective_start", "encounter"]
SAID = ["patient_id", "feature", "effective_time", "effective_start", "value"]
examples = settings(max_examples=150, deadline=None)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True, check_index_type=True)


@examples
@given(tables)
def test_the_order_is_that_of_pandas(table: list[Row]) -> None:
    held = Observations.of_rows(table)
    expected = held.frame().sort_values(SORT, kind="stable", na_position="first", ignore_index=True)
    same(held.ordered().frame(), expected)


@examples
@given(tables)
def test_what_counts_once_is_what_pandas_says(table: list[Row]) -> None:
    held, drops = Observations.of_rows(table), Counter[Drop]()
    frame = held.frame().sort_values(SORT, kind="stable", na_position="first", ignore_index=True)
    again = frame.duplicated(SAID)
    same(held.distinct(drops).frame(), frame[~again].reset_index(drop=True))
    gone = frame[again]
    assert drops == Counter((who, what, "duplicate") for who, what in zip(gone.patient_id, gone.feature, strict=True))


@examples
@given(tables)
def test_a_frame_and_the_columns_made_of_it_are_one_table(table: list[Row]) -> None:
    frame = Observations.of_rows(table).frame()
    same(Observations.of_frame(frame).frame(), frame)
    same(Observations.of_frame(frame).ordered().frame(), Observations.of_rows(table).ordered().frame())


@given(st.lists(few), few)
def test_texts_come_back_row_by_row(column: list[str], text: str) -> None:
    held = Texts.of(column)
    assert held.tolist() == column
    assert held.equals(text).tolist() == [one == text for one in column]
    assert np.sign(np.diff(held.codes)).tolist() == [(b > a) - (b < a) for a, b in pairwise(column)]


def test_a_frame_that_lacks_a_text_is_refused() -> None:
    frame = Observations.of_rows([("p", "hr", 0, 0, 0, 1.0, "", "", "")]).frame()
    for name in ("patient_id", "encounter"):
        with pytest.raises(FatalError, match=f"the column {name} lacks a text"):
            Observations.of_frame(frame.assign(**{name: pd.array([None], dtype="str")}))


@pytest.mark.parametrize(("keys", "begins"), [(([],), []), (([3],), [0]), (([1, 1, 2], [5, 6, 6]), [0, 1, 2])])
def test_runs(keys: Any, begins: list[int]) -> None:
    assert runs(*(np.array(key, dtype="int64") for key in keys)).tolist() == begins


def test_records_come_back_from_their_frame() -> None:
    records = [PatientRecord("q", "1966-03-10", "day", "male", True, 5, True, "x", "Patient/q"), PatientRecord("r")]
    frame = Reading(Observations.of_rows([]), records[::-1]).patients
    assert records_of(frame) == records
    turned = Reading(Observations.of_rows([]), frame[::-1])
    assert [one.patient_id for one in turned.records] == ["r", "q"]  # a frame's order stays
