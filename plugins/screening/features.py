"""The feature engine: observations table and prediction time in, feature matrix out.

One vectorized engine for one patient and for a million rows, for training, screening and the sidecar. A patient's row
depends on that patient's values alone: rows are put in one order first, and nothing is filled in from anybody else.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from screening.errors import FatalError
from screening.observations import NOT_A_TIME, Drop, Reading, as_micros, as_utc, ordered
from screening.patient_features import patient_features, standing
from screening.schema import PRESENCE, Feature, Schema
from screening.times import micros

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
PredictionTime: TypeAlias = "datetime | pd.Series[pd.Timestamp] | Literal['latest']"
HOUR = 3_600_000_000  # microseconds


@dataclass(frozen=True)
class FeatureMatrix:
    """What the model is given, and what it rests on.

    Attributes
    ----------
    rows
        One row a patient in the cohort's order: `patient_id`; `prediction_time` (datetime64[us, UTC], NaT where none
        could be found); `standing` ("" or an `Outcome` settled before any score) and `reason`; `encounter`; then one
        float64 column a feature in the schema's order, NaN for missing.
    cells
        One row for each (patient, feature) observed: `patient_id`, `feature`, `count` of values used, `time` of the
        newest of them, `note`.
    basis
        The sources of the values used: `patient_id`, `feature`, `source`, each once.
    drops
        As in `Reading`, with what fell outside the window or belongs to no Patient that was read added.
    """

    rows: pd.DataFrame
    cells: pd.DataFrame
    basis: pd.DataFrame
    drops: Counter[Drop] = field(default_factory=Counter)


def featurize(
    reading: Reading,
    schema: Schema,
    prediction_time: PredictionTime,
    *,
    patient_ids: list[str] | None = None,
    zone: tzinfo | None = None,
) -> FeatureMatrix:
    """Compute the feature matrix.

    Parameters
    ----------
    reading
        What a reader found.
    schema
        The screen.
    prediction_time
        Timezone-aware moment; values up to and including it count. A Series of such moments by patient_id gives each
        patient an own one. `"latest"` takes each patient's newest effective time among the values that count, and leaves
        availability out of account.
    patient_ids
        The cohort, in the order wanted; None takes the patients read, and counts the values of anybody else as
        `foreign_subject`. One without a Patient resource is `not_found`.
    zone
        Where "today" is taken for ages; UTC unless given.

    Raises
    ------
    FatalError
        For a prediction time without a zone, for a patient without one of its own where a Series is given, and for a
        patient who stands twice in the cohort.
    """
    zoned = prediction_time.dt.tz if isinstance(prediction_time, pd.Series) else getattr(prediction_time, "tzinfo", UTC)
    if zoned is None:
        raise FatalError("prediction_time has no zone: give one, such as 2026-03-01T02:00:00+00:00")
    cohort = pd.Index(patient_ids if patient_ids is not None else reading.patients["patient_id"].tolist(), dtype="str")
    if not cohort.is_unique:
        raise FatalError("the cohort names a patient twice: name each once")
    patients = reading.patients.set_index("patient_id").reindex(cohort)
    values = _Values(ordered(reading.observations), schema, cohort)
    t = _prediction_times(values, prediction_time, cohort)
    drops = Counter(reading.drops)
    if patient_ids is None:  # nobody was left out on purpose
        drops.update(values.nobodys)
    used = values.counted(t, isinstance(prediction_time, str), drops)
    matrix, counts, newest = values.aggregate(used, t)
    notes = patient_features(matrix, schema, patients, t, zone or UTC)
    settled, reason = standing(patients, t)
    frame = pd.DataFrame(
        {"patient_id": cohort, "prediction_time": as_utc(t), "standing": settled, "reason": reason}
        | {"encounter": values.encounters(used)}
    )
    frame[list(schema.feature_names)] = matrix
    cells = _cells(cohort, schema, counts, newest, notes)
    return FeatureMatrix(frame, cells, values.basis(used, patients["source"], matrix), drops)


class _Values:
    """The observations of a cohort as plain arrays, in the table's order."""

    def __init__(self, frame: pd.DataFrame, schema: Schema, cohort: pd.Index) -> None:
        who = cohort.get_indexer(pd.Index(frame["patient_id"]))
        what = pd.Index(schema.feature_names).get_indexer(pd.Index(frame["feature"]))
        keep = (who >= 0) & (what >= 0)
        lost = frame.loc[(who < 0) & (what >= 0), "feature"]
        self.nobodys: Counter[Drop] = Counter(
            {("", str(n), "foreign_subject"): int(k) for n, k in lost.value_counts().items()}
        )
        self.frame = frame[keep].reset_index(drop=True)
        self.schema, self.cohort = schema, cohort
        self.patient: Ints = who[keep].astype("int64")
        self.feature: Ints = what[keep].astype("int64")
        self.end, self.start, self.available = (as_micros(self.frame[name]) for name in (
            "effective_time", "effective_start", "available_time",
        ))  # fmt: skip
        self.value: Floats = self.frame["value"].to_numpy("float64")
        kinds = [feature.fhir_resource for feature in schema.features.values()]
        self.lasting: Bools = np.isin(self.feature, [i for i, kind in enumerate(kinds) if kind == "Condition"])
        self.stay: Bools = np.isin(self.feature, [i for i, kind in enumerate(kinds) if kind == "Encounter"])

    def counted(self, t: Ints, latest: bool, drops: Counter[Drop]) -> Bools:
        """Tell which values count at each patient's prediction time; the others are counted in `drops`."""
        now = t[self.patient]
        known = now != NOT_A_TIME
        late = known & (self.end > now)
        unavailable = known & ~late & (self.available != NOT_A_TIME) & (self.available > now) & (not latest)
        old = np.zeros(len(now), dtype=bool)
        if self.schema.lookback is not None:
            first = now - self.schema.lookback // _MICROSECOND
            old = known & ~late & ~unavailable & ~self.lasting & ~self.stay & (self.start <= first)
        over = known & self.stay & ~late & (np.rint(self.value * HOUR) <= now)  # whole microseconds, as they were
        counted: Bools = known & ~late & ~unavailable & ~old & ~over
        lone = self._lone(counted)
        names = self.schema.feature_names
        for reason, mask in (
            ("after_prediction_time", late), ("not_yet_available", unavailable), ("before_window", old), ("ended", over),
            ("lone_value", lone),
        ):  # fmt: skip
            pairs = zip(self.patient[mask].tolist(), self.feature[mask].tolist(), strict=True)
            drops.update((str(self.cohort[who]), names[what], reason) for who, what in pairs)
        return counted & ~lone

    def _lone(self, counted: Bools) -> Bools:
        """Tell which values are the only one of a `delta`: they make no number, so that nothing was observed."""
        features = list(self.schema.features.values())
        change = np.isin(self.feature, [i for i, feature in enumerate(features) if feature.aggregate == "delta"])
        cell = self.patient * len(features) + self.feature
        found = np.unique(cell[counted & change], return_counts=True)
        lone: Bools = counted & change & np.isin(cell, found[0][found[1] == 1])
        return lone

    def aggregate(self, used: Bools, t: Ints) -> tuple[Floats, Ints, Ints]:
        """Return values, counts and newest times, each of shape (patients, features)."""
        shape = (len(self.cohort), len(self.schema.feature_names))
        matrix = np.full(shape, np.nan)
        counts = np.zeros(shape, dtype="int64")
        newest = np.full(shape, NOT_A_TIME, dtype="int64")
        np.add.at(counts, (self.patient[used], self.feature[used]), 1)
        np.maximum.at(newest, (self.patient[used], self.feature[used]), self.end[used])
        for column, feature in enumerate(self.schema.features.values()):
            mine = used & (self.feature == column)
            if feature.fhir_resource == "Patient":
                continue
            if feature.fhir_resource == "Encounter":
                seen = counts[:, column] > 0
                matrix[seen, column] = (t[seen] - newest[seen, column]) / HOUR
            elif feature.how == "count":
                matrix[:, column] = counts[:, column]
            elif feature.how == "present":
                matrix[:, column] = counts[:, column] > 0
            elif mine.any():
                found = _summary(pd.Series(self.value[mine]).groupby(self.patient[mine], sort=True), feature.how)
                matrix[found.index.to_numpy(), column] = found.to_numpy()
        return matrix, counts, newest

    def basis(self, used: Bools, patients: pd.Series, matrix: Floats) -> pd.DataFrame:
        """Return the sources of the values used, and of each Patient field that gave a value."""
        parts = [self.frame.loc[used, ["patient_id", "feature", "source"]]]
        for column, feature in enumerate(self.schema.features.values()):
            if feature.fhir_resource == "Patient":
                known = patients[~np.isnan(matrix[:, column])]
                more = {"patient_id": known.index, "feature": feature.name, "source": known.to_numpy()}
                parts.append(pd.DataFrame(more).astype("str"))
        frame = pd.concat(parts)
        frame = frame[frame["source"] != ""].drop_duplicates()
        return frame.sort_values(["patient_id", "feature", "source"], ignore_index=True)

    def encounters(self, used: Bools) -> pd.Series:
        """Return the encounter of each patient's newest value that names one; "" where none does."""
        frame = self.frame.assign(who=self.patient)[used & (self.frame["encounter"] != "").to_numpy()]
        newest = frame.sort_values(["effective_time", "encounter"]).groupby("who")["encounter"].last()
        return newest.reindex(range(len(self.cohort)), fill_value="").reset_index(drop=True)


_MICROSECOND = pd.Timedelta(microseconds=1).to_pytimedelta()


def _summary(groups: Any, how: str) -> pd.Series:
    if how == "delta":
        return groups.last() - groups.first()
    return getattr(groups, how)()


def _prediction_times(values: _Values, wanted: PredictionTime, cohort: pd.Index) -> Ints:
    if isinstance(wanted, datetime):
        return np.full(len(cohort), micros(wanted), dtype="int64")
    if isinstance(wanted, pd.Series):
        own = as_micros(wanted.reindex(cohort))
        if (own == NOT_A_TIME).any():
            raise FatalError("a patient of the cohort has no prediction_time of its own: give each one")
        return own
    t = np.full(len(cohort), NOT_A_TIME, dtype="int64")
    measured = ~values.stay
    np.maximum.at(t, values.patient[measured], values.end[measured])
    return t


def _cells(
    cohort: pd.Index, schema: Schema, counts: Ints, newest: Ints, notes: list[tuple[int, int, str]]
) -> pd.DataFrame:
    remark = {(row, column): note for row, column, note in notes}
    rows, columns = np.nonzero(counts)
    rows = np.append(rows, [row for row, _ in remark]).astype("int64")
    columns = np.append(columns, [column for _, column in remark]).astype("int64")
    names = np.array(schema.feature_names, dtype=object)
    return pd.DataFrame(
        {
            "patient_id": cohort.take(rows),
            "feature": pd.array(names[columns].tolist(), dtype="str"),
            "count": counts[rows, columns],
            "time": as_utc(newest[rows, columns]),
            "note": pd.array(
                [remark.get(key, "") for key in zip(rows.tolist(), columns.tolist(), strict=True)], dtype="str"
            ),
        }
    )


def observed(feature: Feature) -> bool:
    """Tell whether a feature counts towards `min_observed`: all but Patient fields."""
    return feature.fhir_resource != "Patient"


def absence_is_zero(feature: Feature) -> bool:
    """Tell whether nothing found is a value of its own (0) and not a missing one."""
    return feature.fhir_resource in PRESENCE or feature.how == "count"
