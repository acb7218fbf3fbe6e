"""What a Patient resource itself gives: age and sex as features, and who is not scored whatever the data."""

from datetime import tzinfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from screening.observations import NOT_A_TIME, as_micros, as_utc
from screening.outcome import Outcome
from screening.schema import Schema

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
GENDER = {"male": 1.0, "m": 1.0, "female": 0.0, "f": 0.0}
"""The tutorial's `encode_gender`: M=1, F=0; every other gender is missing, never a third number."""
OLDEST = 130
"""Nobody has lived so long: such a birth date stands for none (0001-01-01, 1800-01-01), or the time does."""


def patient_features(
    matrix: Floats, schema: Schema, patients: pd.DataFrame, t: Ints, zone: tzinfo
) -> list[tuple[int, int, str]]:
    """Fill the Patient columns in place; return (row, column, note) for what needs a remark."""
    notes: list[tuple[int, int, str]] = []
    for column, feature in enumerate(schema.features.values()):
        if feature.transform == "encode_gender":
            matrix[:, column] = patients["gender"].map(GENDER).to_numpy("float64", na_value=np.nan)
        elif feature.transform == "calculate_age":
            matrix[:, column] = ages(patients["birth_date"], t, zone)
            rough = patients["birth_precision"].isin(["month", "year"]).to_numpy() & ~np.isnan(matrix[:, column])
            text = "age from a birth date of {} precision"
            precision = patients["birth_precision"]
            notes += [(row, column, text.format(precision.iloc[row])) for row in np.flatnonzero(rough).tolist()]
    return notes


def ages(birth_dates: pd.Series, t: Ints, zone: tzinfo) -> Floats:
    """Return completed years at t; NaN without a t, and for a birth date that is missing, to come or beyond `OLDEST`."""
    born = pd.to_datetime(birth_dates.where(birth_dates != ""), format="%Y-%m-%d", errors="coerce").dt
    on = as_utc(t).tz_convert(zone)
    before = (on.month < born.month.to_numpy()) | ((on.month == born.month.to_numpy()) & (on.day < born.day.to_numpy()))
    years = np.asarray(on.year, dtype="float64") - born.year.to_numpy("float64") - np.asarray(before, dtype="float64")
    missing = np.asarray(on.isna()) | born.year.isna().to_numpy()
    return np.where(missing | (years < 0) | (years > OLDEST), np.nan, years)


def standing(patients: pd.DataFrame, t: Ints) -> tuple[list[str], list[str]]:
    """Settle who is not scored whatever the data: unknown, unreadable, merged or dead before the prediction time."""
    died = as_micros(patients["deceased_time"])
    deceased = patients["deceased"].fillna(False).to_numpy(bool) & ((died == NOT_A_TIME) | (died <= t))
    unknown = patients["source"].isna().to_numpy()
    merged = patients["merged"].fillna(False).to_numpy(bool)
    problem = patients["problem"].fillna("").tolist()
    settled, reason = [], []
    for row in range(len(patients)):
        if unknown[row]:
            found = (Outcome.NOT_FOUND.value, "no Patient resource of this id")
        elif problem[row]:
            found = (Outcome.FAILED.value, str(problem[row]))
        elif merged[row]:
            found = (Outcome.EXCLUDED.value, "merged into another Patient")
        elif deceased[row]:
            found = (Outcome.EXCLUDED.value, "deceased before the prediction time")
        else:
            found = ("", "")
        settled.append(found[0])
        reason.append(found[1])
    return settled, reason
