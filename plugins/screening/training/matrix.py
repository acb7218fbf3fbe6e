"""From what was read to the training set: the feature engine of screening, asked for each stay at its own time.

`by_row` turns a table by patient into one by row, where a row is a patient at one time; both readers' tables go through it,
so that nothing after the readers knows where a value came from.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from screening.columns import NOT_A_TIME, as_utc
from screening.feature_matrix import FeatureMatrix
from screening.features import featurize
from screening.observations import Drop, Observations, Reading
from screening.patient_features import ages
from screening.patient_records import PATIENT_COLUMNS
from screening.readers.mimic import VALUES, observations
from screening.schema import Schema
from screening.scoring import lacking
from screening.training.data import TrainingSet
from screening.training.stays import Stays
from screening.window import HOUR

SENSES = {"male": "male", "m": "male", "female": "female", "f": "female"}


def by_row(observed: pd.DataFrame, rows: pd.DataFrame) -> Reading:
    """Give each row the values of its patient that lie in its window.

    Parameters
    ----------
    observed
        The observations table by patient.
    rows
        `PATIENT_COLUMNS`, where `patient_id` names the row; `whose`, the patient in `observed`; `first` and `last` as in
        `Stays`.

    Returns
    -------
    Reading
        By row. Duplicates are gone and counted.
    """
    spans = rows[["whose", "patient_id", "first", "last"]].rename(columns={"patient_id": "row"})
    joined = observed.merge(spans, left_on="patient_id", right_on="whose")
    time = pd.DatetimeIndex(joined["effective_time"]).as_unit("us").asi8
    inside = (time > joined["first"].to_numpy()) & (time <= joined["last"].to_numpy())
    kept = joined[inside].assign(patient_id=joined["row"][inside])[list(observed.columns)]
    drops: Counter[Drop] = Counter()
    return Reading(
        Observations.of_frame(kept).distinct(drops), rows[list(PATIENT_COLUMNS)].reset_index(drop=True), drops
    )


def matrix_of(observed: pd.DataFrame, rows: pd.DataFrame, schema: Schema, clock: tzinfo) -> FeatureMatrix:
    """Compute the feature matrix of rows, each at its own prediction time (`last`), as screening would then."""
    moments = pd.Series(as_utc(rows["last"].to_numpy("int64")), index=rows["patient_id"].to_numpy())
    return featurize(by_row(observed, rows), schema, moments, patient_ids=rows["patient_id"].tolist(), zone=clock)


def stay_matrix(values: pa.Table, stays: pd.DataFrame, schema: Schema, clock: tzinfo) -> FeatureMatrix:
    """Compute the feature matrix of stays from MIMIC's values; see `matrix_of`."""
    rows = stays.assign(whose=stays["subject_id"].astype("str"))
    return matrix_of(observations(values, schema), rows, schema, clock)


def training_set(
    parts: Iterator[tuple[pa.Table, pd.DataFrame]], stays: Stays, schema: Schema, clock: tzinfo
) -> tuple[TrainingSet, Counter[tuple[str, str]]]:
    """Compute features part by part, and leave out whom screening would not score.

    Parameters
    ----------
    parts
        Values (`readers.mimic.VALUES`) and the stays of the same subjects; every stay in exactly one part.
    stays
        The whole cohort; its attrition gets the last steps.

    Returns
    -------
    (set, drops)
        Drops by feature and reason.
    """
    frames, drops = [], Counter[tuple[str, str]]()
    for values, mine in parts:
        matrix = stay_matrix(values, mine, schema, clock)
        fit = np.array([not names for names in lacking(matrix, schema)], dtype=bool)
        frames.append(matrix.rows.assign(enough=fit))
        for (_, feature, reason), count in matrix.drops.items():
            drops[(feature, reason)] += count
    rows = pd.concat(frames, ignore_index=True).set_index("patient_id").reindex(stays.frame["patient_id"])
    stays.keep("not excluded by screening", lambda _: (rows["standing"] == "").to_numpy())
    rows = rows.reindex(stays.frame["patient_id"])
    stays.keep("with the data that screening asks for", lambda _: rows["enough"].to_numpy(bool))
    rows = rows.reindex(stays.frame["patient_id"])
    return _set(rows, stays.frame, schema, clock), drops


def _set(rows: pd.DataFrame, stays: pd.DataFrame, schema: Schema, clock: tzinfo) -> TrainingSet:
    return TrainingSet(
        feature_names=schema.feature_names,
        values=rows[list(schema.feature_names)].to_numpy("float64"),
        labels=stays["label"].to_numpy("int64"),
        subjects=stays["subject_id"].to_numpy("int64"),
        stays=stays["stay_id"].to_numpy("int64"),
        age=ages(stays["birth_date"], stays["last"].to_numpy("int64"), clock),
        sex=stays["gender"].map(SENSES).fillna("").to_numpy("str"),
    )


def later_values_change_nothing(values: pa.Table, stays: pd.DataFrame, schema: Schema, clock: tzinfo) -> bool:
    """Tell whether the matrix stays as it is, bit for bit, when every stay has values from after its prediction time.

    A model that was shown the future looks good and is worthless; see requirement T10 in docs/training.md.
    """
    count = len(schema.feature_names)
    later = pa.table(
        {
            "subject_id": np.repeat(stays["subject_id"].to_numpy("int64"), count),
            "feature": np.tile(np.arange(count, dtype="int16"), len(stays)),
            "effective_time": np.repeat(stays["last"].to_numpy("int64"), count) + HOUR,
            "available_time": np.full(len(stays) * count, NOT_A_TIME),
            "value": np.full(len(stays) * count, 1e6),
        },
        schema=VALUES,
    )
    # Only stays that are no other stay's past: an hour after one may lie in the window of the next.
    before, after = (
        stay_matrix(given, stays, schema, clock).rows[list(schema.feature_names)].to_numpy("float64")
        for given in (values, pa.concat_tables([values, later]))
    )
    alone = ~_overtaken(stays)
    return bool(np.array_equal(before[alone], after[alone], equal_nan=True))


def _overtaken(stays: pd.DataFrame) -> Any:
    """Tell which stays' windows hold the hour after another stay of the same patient."""
    pairs = stays[["subject_id", "stay_id", "first", "last"]].merge(stays[["subject_id", "last"]], on="subject_id")
    inside = (pairs["last_y"] + HOUR > pairs["first"]) & (pairs["last_y"] + HOUR <= pairs["last_x"])
    return stays["stay_id"].isin(pairs.loc[inside, "stay_id"]).to_numpy()
