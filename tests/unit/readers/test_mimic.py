"""Rows of MIMIC's event tables count by the rules of the FHIR reader, and each that does not has its reason."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mimic import CLOCK, SCHEMA, Held, Row, chart

from screening.columns import NOT_A_TIME
from screening.errors import FatalError
from screening.readers.mimic import VALUES, MimicReader, local_to_utc, observations
from screening.readers.mimic_windows import Windows
from screening.times import micros

WHEN = "2150-06-01 12:00"
HOUR = 3_600_000_000


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype="int64")


def at(text: str) -> int:
    """Return UTC microseconds of a time of the hospital's clock."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=CLOCK).astimezone(UTC))


ALL = Windows(ints(1, 2), ints(NOT_A_TIME, NOT_A_TIME), ints(at("2200-01-01"), at("2200-01-01")))


def read(
    *rows: Row, windows: Windows = ALL, size: int = 1000, **change: Any
) -> tuple[list[tuple[str, float]], Counter]:
    """Return (feature, value) of what counts, and the drops."""
    schema = SCHEMA.model_copy(update=change)
    reader = MimicReader(Held([], rows, size=size), schema, CLOCK)
    found = pa.concat_tables(reader.values(windows))
    names = [schema.feature_names[place] for place in found.column("feature").to_pylist()]
    return list(zip(names, found.column("value").to_pylist(), strict=True)), reader.drops


# What counts


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (chart("lactate", WHEN, 2.0, comments="SPECIMEN CANCELLED, HEMOLYZED."), "status"),
        (chart("lactate", WHEN, 2.0, comments="Entered in Error"), "status"),
        (chart("lactate", WHEN, 2.0, comments="error, corrected below"), "status"),  # the first word decides
        (chart("lactate", WHEN, None, value="<0.5", comments="cancelled"), "status"),
        (chart("lactate", WHEN, None), "no_value"),
        (chart("lactate", WHEN, None, value=" "), "no_value"),
        (chart("lactate", WHEN, None, value="HEMOLYZED"), "not_a_quantity"),
        (chart("lactate", WHEN, None, value="12 (H)"), "not_a_quantity"),
        (chart("lactate", WHEN, None, value="<0.5"), "comparator"),
        (chart("lactate", WHEN, None, value=" >= 20"), "comparator"),
        (chart("lactate", WHEN, 0.5, value="<0.5"), "comparator"),
        (chart("lactate", WHEN, 20.0, value="20>"), "comparator"),
        (chart("lactate", WHEN, 20.0, value="GREATER THAN 20"), "comparator"),
        (chart("heart_rate", WHEN, None, value="80"), "no_value"),  # of chartevents the number alone is read
        (chart("heart_rate", WHEN, 80.0, valueuom=None), "no_unit"),
        (chart("heart_rate", WHEN, 80.0, valueuom="  "), "no_unit"),
        (chart("heart_rate", WHEN, 80.0, valueuom="furlong"), "unknown_unit"),
        (chart("heart_rate", WHEN, 80.0, valueuom="mg/dL"), "incompatible_unit"),
        (chart("heart_rate", WHEN, 0.0), "out_of_range"),
        (chart("heart_rate", WHEN, 300.1), "out_of_range"),
        (chart("temperature", WHEN, 98.6), "out_of_range"),  # °F called °C
        (chart("heart_rate", "", 80.0), "no_time"),
    ],
)
def test_what_does_not_count_has_its_reason(row: Row, reason: str) -> None:
    (feature,) = [name for name, one in SCHEMA.features.items() if one.mimic and row["itemid"] in one.mimic.itemid]
    assert read(row, row) == ([], {(feature, reason): 2})


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (chart("lactate", WHEN, 2.0, comments="corrected, was cancelled"), 2.0),
        (chart("lactate", WHEN, 2.0, comments="CORRECTED RESULT."), 2.0),
        (chart("lactate", WHEN, 2.0, comments="___"), 2.0),
        (chart("lactate", WHEN, 2.0, value=None), 2.0),
        (chart("heart_rate", WHEN, 1.0), 1.0),
        (chart("heart_rate", WHEN, 300.0), 300.0),
        (chart("heart_rate", WHEN, 80.0, valueuom=" BPM "), 80.0),
        (chart("temperature", WHEN, 37.0), 37.0),
        (chart("temperature", WHEN, 98.6, itemid=223761, valueuom="°F"), (98.6 - 32) * 5 / 9),
        (chart("temperature", WHEN, 98.6, itemid=223762, valueuom="°F"), (98.6 - 32) * 5 / 9),  # the unit decides
        (chart("wbc", WHEN, 9.5), 9.5),
        (chart("creatinine", WHEN, 88.42, valueuom="umol/L"), pytest.approx(1.0002, abs=1e-4)),
    ],
)
def test_what_counts_is_in_the_canonical_unit(row: Row, value: float) -> None:
    (found,), drops = read(row)
    assert found[1] == value
    assert not drops


def test_a_missing_unit_can_be_assumed() -> None:
    assumed = {name: one.model_copy(update={"assume_unit": True}) for name, one in SCHEMA.features.items()}
    found, drops = read(chart("heart_rate", WHEN, 80.0, valueuom=None), features=assumed)
    assert (found, drops) == ([("heart_rate", 80.0)], {})


def test_a_number_without_a_range_is_held_against_the_absurd_alone() -> None:
    free = {name: one.model_copy(update={"range": None}) for name, one in SCHEMA.features.items()}
    found, drops = read(chart("wbc", WHEN, 1e6), chart("wbc", WHEN, 2e30), features=free)
    assert (found, drops) == ([("wbc", 1e6)], {("wbc", "out_of_range"): 1})


def test_other_items_and_subjects_are_nobody_s_drops() -> None:
    rows = [chart("heart_rate", WHEN, 0.0, itemid=220050), chart("heart_rate", WHEN, 0.0, subject=3)]
    assert read(*rows, chart("heart_rate", "", 80.0, subject=3)) == ([], {})


def test_the_size_of_batches_and_the_order_of_rows_change_nothing() -> None:
    rows = [chart("heart_rate", f"2150-06-01 12:{i:02d}", 60.0 + i, subject=1 + i % 3) for i in range(40)]
    rows += [chart("wbc", WHEN, None, value=text) for text in ("<1", "lost", "")]
    whole = read(*rows)
    assert len(whole[0]) == 27  # subject 3 is in no window
    for size in (1, 7):
        found = read(*rows[::-1], size=size)
        assert (sorted(found[0]), found[1]) == (sorted(whole[0]), whole[1])


def test_columns_are_those_of_the_contract() -> None:
    reader = MimicReader(Held([], [chart("wbc", WHEN, 9.0, storetime=None)]), SCHEMA, CLOCK)
    tables = list(reader.values(ALL))
    assert {table.schema for table in tables} == {VALUES}
    values = pa.concat_tables(tables)
    assert values.to_pylist() == [
        {"subject_id": 1, "feature": 3, "effective_time": at(WHEN), "available_time": NOT_A_TIME, "value": 9.0}
    ]
    (row,) = observations(values, SCHEMA).to_dict("records")
    assert {name: row[name] for name in ("patient_id", "feature", "value", "unit", "source")} == {
        "patient_id": "1", "feature": "wbc", "value": 9.0, "unit": "10*3/uL", "source": "",
    }  # fmt: skip
    assert row["effective_time"] == row["effective_start"] == pd.Timestamp("2150-06-01T16:00:00Z")
    assert pd.isna(row["available_time"])


def test_a_schema_without_items_is_refused_by_name() -> None:
    lacking = {name: one.model_copy(update={"mimic": None}) for name, one in SCHEMA.features.items() if name == "wbc"}
    with pytest.raises(FatalError, match="wbc cannot be trained from MIMIC: the key mimic is missing"):
        MimicReader(Held([]), SCHEMA.model_copy(update={"features": {**SCHEMA.features, **lacking}}), CLOCK)


def test_only_tables_of_the_schema_are_read() -> None:
    charted = {name: one for name, one in SCHEMA.features.items() if name in ("heart_rate", "age")}
    wanted = MimicReader(Held([]), SCHEMA.model_copy(update={"features": charted}), CLOCK).wanted()
    assert list(wanted) == ["chartevents"]


# Windows


def test_a_span_is_open_at_its_beginning_and_closed_at_its_end() -> None:
    windows = Windows(ints(1), ints(at("2150-06-01 12:00")), ints(at("2150-06-02 12:00")))
    edges = ["2150-06-01 12:00", "2150-06-01 12:01", "2150-06-02 12:00", "2150-06-02 12:01"]
    found, drops = read(*(chart("heart_rate", edge, 60.0 + i) for i, edge in enumerate(edges)), windows=windows)
    assert ([value for _, value in found], drops) == ([61.0, 62.0], {})


def hold(spans: list[tuple[int, int, int]], subject: int, time: int, slack: int = 0) -> bool:
    windows = Windows(*(ints(*column) for column in zip(*spans, strict=True))) if spans else Windows(*[ints()] * 3)
    (held,) = windows.hold(ints(subject), ints(time), slack)
    return bool(held)


@pytest.mark.parametrize("subject", [0, 1, 2, 9])
def test_no_spans_hold_nothing(subject: int) -> None:
    assert not hold([], subject, 0)
    assert not Windows(*[ints()] * 3).know(ints(subject)).any()


def test_the_whole_past_of_each_subject_is_its_own() -> None:
    spans = [(1, NOT_A_TIME, 10), (2, NOT_A_TIME, 20), (2, NOT_A_TIME, 5)]
    assert [hold(spans, who, 10) for who in (1, 2, 3)] == [True, True, False]
    assert [hold(spans, who, 11) for who in (1, 2)] == [False, True]
    assert hold(spans, 1, 15, slack=5)
    assert not hold(spans, 1, 16, slack=5)


SPANS = st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9), st.integers(1, 9)), max_size=8)


@given(SPANS, st.integers(0, 4), st.integers(-12, 12), st.integers(0, 3))
def test_several_and_overlapping_spans_hold_what_any_of_them_holds(
    spans: list[tuple[int, int, int]], subject: int, time: int, slack: int
) -> None:
    spans = [(who, first, first + long) for who, first, long in spans]
    wanted = any(who == subject and first - slack < time <= last + slack for who, first, last in spans)
    assert hold(spans, subject, time, slack) == wanted


# Time


NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2150-06-01 12:00:00", "2150-06-01T16:00:00Z"),
        ("2150-12-01 12:00:00", "2150-12-01T17:00:00Z"),
        ("2150-03-08 01:59:00", "2150-03-08T06:59:00Z"),
        ("2150-03-08 02:00:00", "2150-03-08T07:00:00Z"),  # never was: read on by an hour
        ("2150-03-08 02:30:00", "2150-03-08T07:30:00Z"),
        ("2150-03-08 03:00:00", "2150-03-08T07:00:00Z"),
        ("2150-11-01 00:59:00", "2150-11-01T04:59:00Z"),
        ("2150-11-01 01:00:00", "2150-11-01T05:00:00Z"),  # comes twice: the first one
        ("2150-11-01 01:59:00", "2150-11-01T05:59:00Z"),
        ("2150-11-01 02:00:00", "2150-11-01T07:00:00Z"),
    ],
)
def test_wall_clock_in_both_changes_of_the_clock(wall: str, utc: str) -> None:
    found = local_to_utc(pd.Series(pd.to_datetime([wall, None])), NEW_YORK)
    assert found.tolist() == [micros(datetime.fromisoformat(utc)), NOT_A_TIME]
    assert found.dtype == np.int64


@given(st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2300-01-01")))
def test_wall_clock_is_read_as_the_standard_library_reads_it(moment: datetime) -> None:
    moment = moment.replace(fold=0)
    wanted = micros(moment.replace(tzinfo=NEW_YORK).astimezone(UTC))
    assert local_to_utc(pd.Series([moment]).astype("datetime64[us]"), NEW_YORK).tolist() == [wanted]


def test_a_value_lies_in_the_window_by_the_true_clock() -> None:
    # 24 hours of the clock before the leap are 23 true ones.
    windows = Windows(ints(1), ints(at("2150-03-08 12:00") - 24 * HOUR), ints(at("2150-03-08 12:00")))
    rows = [chart("heart_rate", f"2150-03-07 {hour}", 60.0) for hour in ("11:00", "11:01")]
    assert read(rows[0], windows=windows)[0] == []
    assert read(rows[1], windows=windows)[0] == [("heart_rate", 60.0)]
