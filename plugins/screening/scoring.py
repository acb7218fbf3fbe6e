"""Feature matrix and model in, one `PatientResult` a patient out.

Who lacks what the schema asks for is `insufficient_data` and never gets a number: a model would give one for an empty row
too, and it would look like "low".
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary, ref

import numpy as np

from screening.columns import NOT_A_TIME, Bools, Floats
from screening.errors import ModelError
from screening.feature_matrix import Basis, Cells, FeatureMatrix, Vectors
from screening.features import absence_is_zero, observed
from screening.model.bundle import ModelBundle
from screening.model.fit import Fit
from screening.outcome import Input, Outcome, PatientResult, RiskLevel
from screening.schema import Feature, RiskLevels, Schema
from screening.times import moment

DECIMALS = 4
"""A probability is rounded once, here; the level follows the number that is written and shown."""


_fitting: WeakKeyDictionary[ModelBundle, ref[Schema]] = WeakKeyDictionary()
"""The schema that each bundle was last held against and fits; both never change, so that once is enough."""


class _Cell(NamedTuple):
    used: int
    time: int
    note: str


_Cells = Mapping[str, _Cell]
_NO_CELLS: _Cells = {}


class _Scored(NamedTuple):
    probability: float
    contributions: dict[str, float] | None
    given: list[float]
    imputed: list[bool]


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
    known = _fitting.get(bundle)
    if known is None or known() is not schema:
        check_fits(bundle, schema)
        _fitting[bundle] = ref(schema)
    vectors = matrix.vectors
    cells = _cells_by_patient(matrix.observed)
    missing = _lacking(vectors, cells, schema)
    ready = [i for i, names in enumerate(missing) if not names and not vectors.standing[i]]
    scored: dict[int, _Scored] = {}
    if ready:
        filled, imputed, unfit = bundle.impute(_columns(vectors, bundle.feature_names)[ready])
        for at in np.flatnonzero(unfit).tolist():
            missing[ready[at]] = tuple(np.array(bundle.feature_names)[np.isnan(filled[at])].tolist())
        fit = np.flatnonzero(~unfit)
        scored = dict(zip([ready[at] for at in fit.tolist()], _ask(bundle, filled[fit], imputed[fit]), strict=True))
    basis = _basis(matrix.sources, bundle.feature_names)
    names = bundle.feature_names
    return [
        _result(
            vectors, row, missing[row], scored.get(row), cells.get(who, _NO_CELLS), basis.get(who, ()), names, schema
        )
        for row, who in enumerate(vectors.patient_id)
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
    return _lacking(matrix.vectors, _cells_by_patient(matrix.observed), schema)


def level(probability: float, bounds: RiskLevels) -> RiskLevel:
    """Return the band of a probability; the bounds are inclusive below."""
    if probability >= bounds.high:
        return RiskLevel.HIGH
    return RiskLevel.MODERATE if probability >= bounds.moderate else RiskLevel.LOW


def _lacking(vectors: Vectors, cells: Mapping[str, _Cells], schema: Schema) -> list[tuple[str, ...]]:
    absent = np.isnan(_columns(vectors, schema.feature_names)).tolist()
    rows = zip(vectors.patient_id, absent, strict=True)
    return [_missing(row, cells.get(patient_id, _NO_CELLS), schema) for patient_id, row in rows]


def _columns(vectors: Vectors, names: Sequence[str]) -> Floats:
    if names == vectors.feature_names:
        return vectors.values
    place = {name: column for column, name in enumerate(vectors.feature_names)}
    return vectors.values[:, [place[name] for name in names]]


def _cells_by_patient(cells: Cells) -> dict[str, dict[str, _Cell]]:
    found: dict[str, dict[str, _Cell]] = {}
    rests = map(_Cell, cells.count, cells.time, cells.note)
    for who, feature, cell in zip(cells.patient_id, cells.feature, rests, strict=True):
        mine = found.setdefault(who, {})
        before = mine.setdefault(feature, cell)
        if not before.note and cell.note:
            mine[feature] = before._replace(note=cell.note)
    return found


def _missing(absent: list[bool], cells: _Cells, schema: Schema) -> tuple[str, ...]:
    """Name what keeps a patient from being scored; empty where nothing does.

    A required feature that is missing keeps it, unless the schema says `missing: impute`; too few observed features
    always do, and then all that are missing are named.
    """
    features = schema.features.values()
    lacking = [
        feature
        for feature, no in zip(features, absent, strict=True)
        if no or (feature.name not in cells and absence_is_zero(feature))
    ]
    seen = sum(feature.name in cells and cells[feature.name].used > 0 and observed(feature) for feature in features)
    if seen < schema.min_observed:
        return tuple(feature.name for feature in lacking if observed(feature))
    if schema.missing == "impute":
        return ()
    return tuple(feature.name for feature in lacking if feature.required)


def _ask(bundle: ModelBundle, rows: Floats, imputed: Bools) -> Iterator[_Scored]:
    """Yield what the model says of each row."""
    if not len(rows):
        return
    found, contributions = bundle.predict_with_contributions(rows)
    if not np.all(np.isfinite(found)) or found.min() < 0 or found.max() > 1:
        raise ModelError(f"model {bundle.name} {bundle.version} answered with what is no probability: do not use it")
    told = [None] * len(rows) if contributions is None else contributions.tolist()
    for p, each, row, stood_in in zip(found.tolist(), told, rows.tolist(), imputed.tolist(), strict=True):
        adds = None if each is None else dict(zip(bundle.feature_names, each, strict=True))
        yield _Scored(round(p, DECIMALS), adds, row, stood_in)


def _basis(sources: Basis, used: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for patient_id, feature, source in sources:
        if feature in used:
            found.setdefault(patient_id, set()).add(source)
    return {patient_id: tuple(sorted(mine)) for patient_id, mine in found.items()}


def _result(
    vectors: Vectors,
    row: int,
    missing: tuple[str, ...],
    scored: _Scored | None,
    cells: _Cells,
    basis: tuple[str, ...],
    names: Sequence[str],
    schema: Schema,
) -> PatientResult:
    patient_id, t = vectors.patient_id[row], _moment(int(vectors.prediction_time[row]))
    if vectors.standing[row]:
        return PatientResult(patient_id, Outcome(vectors.standing[row]), (vectors.reason[row],), t)
    if scored is None:
        return PatientResult(patient_id, Outcome.INSUFFICIENT_DATA, missing, t)
    inputs = zip(names, scored.given, scored.imputed, strict=True)
    return PatientResult(
        patient_id,
        Outcome.SCORED,
        prediction_time=t,
        probability=scored.probability,
        risk_level=level(scored.probability, schema.risk_levels),
        inputs=tuple(_input(schema.features[name], value, yes, cells.get(name)) for name, value, yes in inputs),
        contributions=scored.contributions,
        basis=basis,
        encounter=vectors.encounter[row] or None,
    )


def _input(feature: Feature, value: float, imputed: bool, cell: _Cell | None) -> Input:
    return Input(
        feature=feature.name,
        display=feature.display or feature.name,
        unit=feature.unit,
        value=None if math.isnan(value) else value,
        time=_moment(cell.time) if cell else None,
        count=cell.used if cell else 0,
        imputed=imputed,
        note=cell.note if cell else "",
    )


def _moment(micros: int) -> datetime | None:
    return None if micros == NOT_A_TIME else moment(micros)
