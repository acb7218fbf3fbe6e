"""Feature matrix and model in, one `PatientResult` a patient out.

Who lacks what the schema asks for is `insufficient_data` and never gets a number: a model would give one for an empty row
too, and it would look like "low".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from screening.errors import ModelError
from screening.features import FeatureMatrix, absence_is_zero, observed
from screening.model.bundle import ModelBundle
from screening.model.fit import Fit
from screening.outcome import Input, Outcome, PatientResult, RiskLevel
from screening.schema import RiskLevels, Schema

DECIMALS = 4
"""A probability is rounded once, here; the level follows the number that is written and shown."""


def score(matrix: FeatureMatrix, schema: Schema, bundle: ModelBundle) -> list[PatientResult]:
    """Score every patient that has what the schema asks for.

    Returns
    -------
    list of PatientResult
        One for each row of the matrix, in its order.

    Raises
    ------
    ModelError
        Where the model needs a feature that the schema lacks, or answers with anything but a probability.
    """
    check_fits(bundle, schema)
    rows = matrix.rows.reset_index(drop=True)
    cells = _cells_by_patient(matrix.cells)
    missing = lacking(matrix, schema)
    ready = [i for i, names in enumerate(missing) if not names and not rows.at[i, "standing"]]
    values = rows.loc[ready, list(bundle.feature_names)].to_numpy("float64")
    filled, imputed, unfit = bundle.impute(values)
    for at, i in enumerate(ready):
        if unfit[at]:
            missing[i] = tuple(np.array(bundle.feature_names)[np.isnan(filled[at])].tolist())
    fit = np.flatnonzero(~np.asarray(unfit, dtype=bool))
    probabilities = _probabilities(bundle, filled[fit])
    contributions = bundle.contributions(filled[fit]) if len(fit) else None
    scored: dict[int, dict[str, Any]] = {}
    for n, at in enumerate(fit.tolist()):
        given = contributions[n].tolist() if contributions is not None else None
        scored[ready[at]] = {
            "probability": probabilities[n],
            "contributions": dict(zip(bundle.feature_names, given, strict=True)) if given is not None else None,
            "given": dict(zip(bundle.feature_names, filled[at].tolist(), strict=True)),
            "imputed": {name for name, yes in zip(bundle.feature_names, imputed[at], strict=True) if yes},
        }
    used = matrix.basis[matrix.basis["feature"].isin(bundle.feature_names)]
    used = used[["patient_id", "source"]].drop_duplicates().sort_values(["patient_id", "source"])
    basis = used.groupby("patient_id")["source"].agg(tuple).to_dict()
    return [
        _result(row, missing[i], scored.get(i), cells.get(row["patient_id"], {}), basis, schema)
        for i, row in enumerate(rows.to_dict("records"))
    ]


def check_fits(bundle: ModelBundle, schema: Schema) -> Fit:
    """Hold a model against a schema: names, units and aggregates as far as the model tells them.

    Raises
    ------
    ModelError
        Where the model needs a feature that the schema lacks, or was trained on it in another unit or by another
        aggregate: a model of degrees Fahrenheit must not meet degrees Celsius.
    """
    return bundle.check_fits(
        schema.feature_names,
        schema_sha256=schema.fingerprint(),
        units={feature.name: feature.unit for feature in schema.features.values()},
        aggregation={feature.name: feature.how for feature in schema.features.values() if feature.codes},
    )


def lacking(matrix: FeatureMatrix, schema: Schema) -> list[tuple[str, ...]]:
    """Name for each row of the matrix what keeps it from being scored by what the schema asks for; empty where nothing does.

    Training leaves out whom screening would not score, so that both mean the same patients.
    """
    cells = _cells_by_patient(matrix.cells)
    return [_missing(row, cells.get(row["patient_id"], {}), schema) for row in matrix.rows.to_dict("records")]


def level(probability: float, bounds: RiskLevels) -> RiskLevel:
    """Return the band of a probability; the bounds are inclusive below."""
    if probability >= bounds.high:
        return RiskLevel.HIGH
    return RiskLevel.MODERATE if probability >= bounds.moderate else RiskLevel.LOW


def _cells_by_patient(cells: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for cell in cells.to_dict("records"):
        mine = found.setdefault(cell["patient_id"], {}).setdefault(cell["feature"], cell)
        mine["note"] = mine["note"] or cell["note"]
    return found


def _missing(row: dict[Any, Any], cells: dict[str, dict[str, Any]], schema: Schema) -> tuple[str, ...]:
    """Name what keeps a patient from being scored; empty where nothing does.

    A required feature that is missing keeps it, unless the schema says `missing: impute`; too few observed features
    always do, and then all that are missing are named.
    """
    lacking = [
        feature
        for feature in schema.features.values()
        if _is_missing(row[feature.name]) or (absence_is_zero(feature) and feature.name not in cells)
    ]
    seen = sum(observed(f) and f.name in cells and cells[f.name]["count"] > 0 for f in schema.features.values())
    if seen < schema.min_observed:
        return tuple(feature.name for feature in lacking if observed(feature))
    if schema.missing == "impute":
        return ()
    return tuple(feature.name for feature in lacking if feature.required)


def _is_missing(value: float) -> bool:
    return bool(np.isnan(value))


def _probabilities(bundle: ModelBundle, matrix: "np.ndarray[Any, np.dtype[np.float64]]") -> list[float]:
    if not len(matrix):
        return []
    found = bundle.predict(matrix)
    if not np.all(np.isfinite(found)) or found.min() < 0 or found.max() > 1:
        raise ModelError(f"model {bundle.name} {bundle.version} answered with what is no probability: do not use it")
    return [round(float(p), DECIMALS) for p in found]


def _result(
    row: dict[Any, Any],
    missing: Sequence[str],
    scored: dict[str, Any] | None,
    cells: dict[str, dict[str, Any]],
    basis: dict[Any, tuple[str, ...]],
    schema: Schema,
) -> PatientResult:
    patient_id = str(row["patient_id"])
    t = None if row["prediction_time"] is pd.NaT else row["prediction_time"].to_pydatetime()
    if row["standing"]:
        return PatientResult(patient_id, Outcome(row["standing"]), (row["reason"],), t)
    if scored is None:
        return PatientResult(patient_id, Outcome.INSUFFICIENT_DATA, tuple(missing), t)
    return PatientResult(
        patient_id,
        Outcome.SCORED,
        prediction_time=t,
        probability=scored["probability"],
        risk_level=level(scored["probability"], schema.risk_levels),
        inputs=tuple(_input(name, value, scored["imputed"], cells, schema) for name, value in scored["given"].items()),
        contributions=scored["contributions"],
        basis=basis.get(patient_id, ()),
        encounter=row["encounter"] or None,
    )


def _input(name: str, value: float, imputed: set[str], cells: dict[str, dict[str, Any]], schema: Schema) -> Input:
    feature, cell = schema.features[name], cells.get(name)
    time = None if cell is None or cell["time"] is pd.NaT else cell["time"].to_pydatetime()
    return Input(
        feature=name,
        display=feature.display or name,
        unit=feature.unit,
        value=None if _is_missing(value) else value,
        time=time,
        count=int(cell["count"]) if cell else 0,
        imputed=name in imputed,
        note=cell["note"] if cell else "",
    )
