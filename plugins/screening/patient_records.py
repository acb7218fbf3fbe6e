"""What is known of each patient apart from measurements, one record a patient, and the same as a frame."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from screening.columns import NOT_A_TIME, as_micros, as_utc

if TYPE_CHECKING:
    import pandas as pd

PATIENT_COLUMNS = (
    "patient_id", "birth_date", "birth_precision", "gender", "deceased", "deceased_time", "merged", "problem", "source",
)  # fmt: skip
_TRUTHS = ("deceased", "merged")


@dataclass(frozen=True, slots=True)
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


def by_patient_id(records: Iterable[PatientRecord]) -> list[PatientRecord]:
    """Return records in the order of patient_id."""
    return sorted(records, key=lambda record: record.patient_id)


def patient_table(records: Sequence[PatientRecord]) -> "pd.DataFrame":
    """Make the patients table of records, in the order of patient_id."""
    import pandas as pd

    columns = list(zip(*map(_fields, by_patient_id(records)), strict=True)) or [()] * len(PATIENT_COLUMNS)
    data: dict[str, Any] = {}
    for name, column in zip(PATIENT_COLUMNS, columns, strict=True):
        if name == "deceased_time":
            data[name] = as_utc(np.array(column, dtype="int64"))
        else:
            data[name] = pd.array(list(column), dtype="bool" if name in _TRUTHS else "str")
    return pd.DataFrame(data)


def records_of(frame: "pd.DataFrame") -> list[PatientRecord]:
    """Return the records of a patients table, in its order."""
    columns = [
        as_micros(frame[name]).tolist() if name == "deceased_time" else frame[name].tolist() for name in PATIENT_COLUMNS
    ]
    return [PatientRecord(*fields) for fields in zip(*columns, strict=True)]


def _fields(record: PatientRecord) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in PATIENT_COLUMNS)
