"""The observations table: where both readers end and the one road to the score begins.

One row is one value of one feature that counts by what the record itself says (status, unit, range, subject). Whether it
counts for a prediction time (window, availability) is decided in `features`, because one table can serve many times.

=================  ====================  ========================================================================
column             dtype                 meaning
=================  ====================  ========================================================================
patient_id         str                   logical id on the FHIR server, or MIMIC's key of a stay
feature            str                   name in the schema
effective_time     datetime64[us, UTC]   when it was true of the patient; the end of the day for a date without time
effective_start    datetime64[us, UTC]   the same, or the beginning of the day for a date without time
available_time     datetime64[us, UTC]   when the record could be known (`issued`); NaT where the record does not tell
value              float64               in the feature's canonical unit; 1.0 for a Condition or medication; for an
                                         Encounter its end in hours since 1970, NaN while it is open
unit               str                   the canonical UCUM unit, "" where there is none
source             str                   reference that goes into RiskAssessment.basis, "" where the resource has no id
encounter          str                   reference of the encounter, "" where not given
=================  ====================  ========================================================================
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
TIMES = ("effective_time", "effective_start", "available_time")
COLUMNS = (
    "patient_id", "feature", "effective_time", "effective_start", "available_time", "value", "unit", "source", "encounter",
)  # fmt: skip
PATIENT_COLUMNS = (
    "patient_id", "birth_date", "birth_precision", "gender", "deceased", "deceased_time", "merged", "problem", "source",
)  # fmt: skip
NOT_A_TIME = -(2**63)
"""Microseconds that stand for NaT."""

Row = tuple[str, str, int, int, int, float, str, str, str]
"""One row in the order of `COLUMNS`, times as UTC microseconds."""
Drop = tuple[str, str, str]
"""patient_id ("" where unknown), feature ("" where it concerns none), reason."""


@dataclass(frozen=True)
class PatientRecord:
    """What a Patient resource tells of screening.

    Attributes
    ----------
    birth_date, birth_precision
        ISO date (the middle of the span for `month` and `year`), and `day`, `month` or `year`; "" where missing.
    gender
        FHIR administrative gender as sent, "" where missing.
    deceased, deceased_time
        Whether the record says so, and since when (UTC microseconds, `NOT_A_TIME` where it does not tell).
    merged
        Whether another Patient replaces this one.
    problem
        Why the record cannot be used at all, or "".
    """

    patient_id: str
    birth_date: str = ""
    birth_precision: str = ""
    gender: str = ""
    deceased: bool = False
    deceased_time: int = NOT_A_TIME
    merged: bool = False
    problem: str = ""
    source: str = ""


@dataclass
class Reading:
    """What a reader made of its input.

    Attributes
    ----------
    observations
        The table above, free of duplicates, in one order whatever the order of the input.
    patients
        One row a patient with `PATIENT_COLUMNS`; `deceased_time` as datetime64[us, UTC].
    drops
        (patient_id, feature, reason) → how many values were dropped.
    """

    observations: pd.DataFrame
    patients: pd.DataFrame
    drops: Counter[Drop] = field(default_factory=Counter)


def table(rows: list[Row], drops: Counter[Drop]) -> pd.DataFrame:
    """Make the observations table of rows; duplicates go, and are counted in `drops`.

    Same patient, feature, time and value under two ids is one value: the one that was available first stays.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    data: dict[str, Any] = {}
    for name, column in zip(COLUMNS, columns, strict=True):
        if name in TIMES:
            data[name] = times(list(column))
        elif name == "value":
            data[name] = np.array(column, dtype="float64")
        else:
            data[name] = pd.array(list(column), dtype="str")
    return distinct(pd.DataFrame(data), drops)


def distinct(frame: pd.DataFrame, drops: Counter[Drop]) -> pd.DataFrame:
    """Return the table in its order, each value once; what goes is counted in `drops`."""
    frame = ordered(frame)
    again = frame.duplicated(["patient_id", "feature", "effective_time", "effective_start", "value"])
    for patient_id, feature in zip(frame.loc[again, "patient_id"], frame.loc[again, "feature"], strict=True):
        drops[(patient_id, feature, "duplicate")] += 1
    return frame[~again].reset_index(drop=True)


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by patient, feature, effective and available time, value, source: the order that `first` and `last` mean.

    An unknown available time sorts first: it is available at any time. The last two columns only settle which of two
    resources without an id comes first, so that the order of the input never does.
    """
    return frame.sort_values(
        ["patient_id", "feature", "effective_time", "available_time", "value", "source", "effective_start", "encounter"],
        kind="stable", na_position="first", ignore_index=True,
    )  # fmt: skip


def times(micros: list[int]) -> pd.DatetimeIndex:
    """Make a UTC time column of microseconds; `NOT_A_TIME` becomes NaT."""
    return as_utc(np.array(micros, dtype="int64"))


def patient_table(records: list[PatientRecord]) -> pd.DataFrame:
    """Make the patients table of records, in the order of patient_id."""
    records = sorted(records, key=lambda record: record.patient_id)
    data: dict[str, Any] = {}
    for name in PATIENT_COLUMNS:
        column = [getattr(record, name) for record in records]
        if name == "deceased_time":
            data[name] = times(column)
        else:
            data[name] = pd.array(column, dtype="bool" if name in ("deceased", "merged") else "str")
    return pd.DataFrame(data)


def as_micros(column: pd.Series) -> Ints:
    """Return UTC microseconds; NaT becomes `NOT_A_TIME`."""
    found: Ints = pd.DatetimeIndex(column).as_unit("us").asi8.astype("int64")
    return found


def as_utc(t: Ints) -> pd.DatetimeIndex:
    """Return UTC microseconds as a time column."""
    return pd.DatetimeIndex(t.view("datetime64[us]")).tz_localize("UTC")
