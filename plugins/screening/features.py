"""The feature engine: observations table and prediction time in, feature matrix out.

One engine for one patient and for a million rows, for training, screening and the sidecar. A patient's row depends on that
patient's values alone: rows are put in one order first, and nothing is filled in from anybody else.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from screening.aggregates import Observed, aggregated
from screening.columns import NOT_A_TIME, Floats, Ints, as_micros
from screening.errors import FatalError
from screening.feature_matrix import Basis, Cells, FeatureMatrix, Vectors
from screening.observations import Reading
from screening.patient_features import patient_features, standing
from screening.patient_records import PatientRecord
from screening.schema import PRESENCE, Feature, Schema
from screening.times import micros
from screening.window import HOUR, CohortValues, cohort_values

if TYPE_CHECKING:
    import pandas as pd

PredictionTime: TypeAlias = "datetime | pd.Series[pd.Timestamp] | Literal['latest']"


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
        For a prediction time without a zone, for a patient without one of its own where a Series is given, for a patient
        who stands twice in the cohort, and for two records of one patient.
    """
    _check_zone(prediction_time)
    records = {record.patient_id: record for record in reading.records}
    cohort = list(patient_ids) if patient_ids is not None else [record.patient_id for record in reading.records]
    if len(set(cohort)) != len(cohort):
        raise FatalError("the cohort names a patient twice: name each once")
    if len(records) != len(reading.records):
        raise FatalError("two records of one patient: give one")
    patients = [records.get(patient_id) for patient_id in cohort]
    values, nobodys = cohort_values(reading.values, schema, cohort)
    t = _prediction_times(values, prediction_time)
    drops = Counter(reading.drops)
    if patient_ids is None:  # nobody was left out on purpose
        drops.update(nobodys)
    used = values.counted(t, latest=isinstance(prediction_time, str), drops=drops)
    values, matrix = values[used], _nothing_seen(len(cohort), schema)
    found = _fill(matrix, values, t)
    notes = patient_features(matrix, schema, patients, t, zone or UTC)
    settled, reason = standing(patients, t)
    return FeatureMatrix(
        Vectors(cohort, t, settled, reason, _encounters(values), schema.feature_names, matrix),
        _cells(values, found, notes),
        _basis(values, patients, matrix),
        drops,
    )


def _check_zone(prediction_time: PredictionTime) -> None:
    if isinstance(prediction_time, str):
        return
    zone = prediction_time.tzinfo if isinstance(prediction_time, datetime) else prediction_time.dt.tz
    if zone is None:
        raise FatalError("prediction_time has no zone: give one, such as 2026-03-01T02:00:00+00:00")


def _prediction_times(values: CohortValues, wanted: PredictionTime) -> Ints:
    count = len(values.cohort)
    if isinstance(wanted, datetime):
        return np.full(count, micros(wanted), dtype="int64")
    if not isinstance(wanted, str):
        own = as_micros(wanted.reindex(values.cohort))
        if (own == NOT_A_TIME).any():
            raise FatalError("a patient of the cohort has no prediction_time of its own: give each one")
        return own
    t = np.full(count, NOT_A_TIME, dtype="int64")
    measured = ~values.of("Encounter")
    np.maximum.at(t, values.patient[measured], values.table.end[measured])
    return t


def _nothing_seen(patients: int, schema: Schema) -> Floats:
    """Return the matrix of patients of whom nothing is known: float64 (n, f)."""
    empty = [
        0.0 if feature.how in ("count", "present") and feature.fhir_resource not in ("Patient", "Encounter") else np.nan
        for feature in schema.features.values()
    ]
    found: Floats = np.empty((patients, len(empty)))
    found[:] = empty
    return found


def _fill(matrix: Floats, values: CohortValues, t: Ints) -> Observed:
    """Fill what was observed into the matrix, and return it."""
    features = list(values.schema.features.values())
    found = aggregated(values.table.value, values.cell, [feature.how for feature in features])
    stay = np.array([feature.fhir_resource == "Encounter" for feature in features])[found.cell % len(features)]
    if stay.any():  # hours since the newest admission
        begun = values.table.end[found.last[stay]]
        found.number[stay] = (t[found.cell[stay] // len(features)] - begun) / HOUR
    matrix.reshape(-1)[found.cell] = found.number
    return found


def _cells(values: CohortValues, found: Observed, notes: dict[tuple[int, int], str]) -> Cells:
    names, cohort = values.schema.feature_names, values.cohort
    places = [divmod(cell, len(names)) for cell in found.cell.tolist()] + list(notes)
    return Cells(
        [cohort[row] for row, _ in places],
        [names[column] for _, column in places],
        found.used.tolist() + [0] * len(notes),
        values.table.end[found.last].tolist() + [NOT_A_TIME] * len(notes),
        [notes.get(place, "") for place in places] if notes else [""] * len(places),
    )


def _basis(values: CohortValues, patients: Sequence[PatientRecord | None], matrix: Floats) -> Basis:
    """Return the sources of the values used, and of each Patient field that gave a value."""
    table = values.table
    columns = (table.patient_id.tolist(), table.feature.tolist(), table.source.tolist())
    found = list(dict.fromkeys(one for one in zip(*columns, strict=True) if one[2]))
    for column, feature in enumerate(values.schema.features.values()):
        if feature.fhir_resource == "Patient":
            known = zip(patients, np.isnan(matrix[:, column]).tolist(), strict=True)
            found += [(one.patient_id, feature.name, one.source) for one, no in known if one and one.source and not no]
    return sorted(found)


def _encounters(values: CohortValues) -> list[str]:
    """Return the encounter of each patient's newest value that names one; "" where none does."""
    newest = [(NOT_A_TIME, "")] * len(values.cohort)
    table = values.table
    for row, end, encounter in zip(values.patient.tolist(), table.end.tolist(), table.encounter.tolist(), strict=True):
        if encounter:
            newest[row] = max(newest[row], (end, encounter))
    return [encounter for _, encounter in newest]


def observed(feature: Feature) -> bool:
    """Tell whether a feature counts towards `min_observed`: all but Patient fields."""
    return feature.fhir_resource != "Patient"


def absence_is_zero(feature: Feature) -> bool:
    """Tell whether nothing found is a value of its own (0) and not a missing one."""
    return feature.fhir_resource in PRESENCE or feature.how == "count"
