"""Invented charts for the tests: FHIR resources, small schemas, and models that answer by a known rule."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from screening.feature_matrix import FeatureMatrix
from screening.features import PredictionTime, featurize
from screening.model.bundle import ModelBundle, as_bundle
from screening.outcome import PatientResult
from screening.readers.fhir import read
from screening.schema import Schema, load_schema, parse_schema
from screening.scoring import score

ROOT = Path(__file__).parent.parent
T = datetime(2026, 3, 10, 12, tzinfo=UTC)
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
MIMIC = "http://mimic.mit.edu/fhir/mimic/CodeSystem"
BASE = "https://fhir.example.org/r4"

CODES = {
    "loinc": {
        "heart_rate": (LOINC, "8867-4"),
        "temperature": (LOINC, "8310-5"),
        "respiratory_rate": (LOINC, "9279-1"),
        "wbc": (LOINC, "6690-2"),
        "lactate": (LOINC, "2524-7"),
        "creatinine": (LOINC, "2160-0"),
    },
    "mimic": {
        "heart_rate": (f"{MIMIC}/mimic-chartevents-d-items", "220045"),
        "temperature": (f"{MIMIC}/mimic-chartevents-d-items", "223761"),
        "respiratory_rate": (f"{MIMIC}/mimic-chartevents-d-items", "220210"),
        "wbc": (f"{MIMIC}/mimic-d-labitems", "51301"),
        "lactate": (f"{MIMIC}/mimic-d-labitems", "50813"),
        "creatinine": (f"{MIMIC}/mimic-d-labitems", "50912"),
    },
}
UNITS = {
    "loinc": {
        "heart_rate": "/min", "temperature": "Cel", "respiratory_rate": "/min", "wbc": "10*3/uL", "lactate": "mmol/L",
        "creatinine": "mg/dL",
    },
    "mimic": {
        "heart_rate": "bpm", "temperature": "°F", "respiratory_rate": "insp/min", "wbc": "K/uL", "lactate": "mmol/L",
        "creatinine": "mg/dL",
    },
}  # fmt: skip
SICK = {
    "heart_rate": 113.0, "temperature": 38.4, "respiratory_rate": 25.0, "wbc": 28.5, "lactate": 4.1, "creatinine": 1.6,
}  # fmt: skip
WELL = {
    "heart_rate": 72.0, "temperature": 36.8, "respiratory_rate": 14.0, "wbc": 7.0, "lactate": 1.0, "creatinine": 0.8,
}  # fmt: skip

Resource = dict[str, Any]


def at(hours: float = 1.0) -> str:
    """Return the FHIR text of the moment so many hours before `T`."""
    return (T - timedelta(hours=hours)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _with(resource: Resource, more: Resource) -> Resource:
    return {key: value for key, value in (resource | more).items() if value is not None}


def patient(who: str = "p", **more: Any) -> Resource:
    """Make a Patient of 60 years at `T`; a key given as None is left out."""
    return _with({"resourceType": "Patient", "id": who, "gender": "male", "birthDate": "1966-03-10"}, more)


def observation(
    feature: str = "heart_rate",
    value: float = 80.0,
    *,
    who: str = "p",
    hours: float = 1.0,
    style: str = "loinc",
    unit: str | None = None,
    **more: Any,
) -> Resource:
    """Make a final Observation so many hours before `T`; its id says what it is. A key given as None is left out."""
    system, code = CODES[style][feature]
    unit = unit or UNITS[style][feature]
    units = UCUM if style == "loinc" else f"{MIMIC}/mimic-units"
    resource = {
        "resourceType": "Observation",
        "id": f"{who}-{feature}-{hours}-{value}".replace("_", "-"),
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": at(hours),
        "valueQuantity": {"value": value, "unit": unit, "system": units, "code": unit},
    }
    return _with(resource, more)


def quantity(value: Any, code: str | None = "/min", **more: Any) -> Resource:
    """Make a Quantity with a UCUM code, or with none."""
    return _with({"value": value, "system": UCUM if code else None, "code": code}, more)


def chart(who: str = "p", values: dict[str, float] | None = None, **more: Any) -> list[Resource]:
    """Make a patient with one Observation a feature."""
    readings = [observation(name, value, who=who) for name, value in (SICK if values is None else values).items()]
    return [patient(who, **more), *readings]


def bundle(*resources: Resource, mode: str | None = "match") -> Resource:
    """Wrap resources in a searchset."""
    search = {"search": {"mode": mode}} if mode else {}
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one, **search} for one in resources]}


@cache
def sepsis() -> Schema:
    """Return the shipped schema."""
    return load_schema(ROOT / "include/schemas/sepsis.yaml")


def schema_of(features: str, more: str = "window: {lookback: 24h}") -> Schema:
    """Make a schema of YAML lines of features, indented as they come."""
    lines = "\n".join(f"  {line}" for line in features.strip("\n").splitlines())
    return parse_schema(f'name: small\nversion: "1"\n{more}\nfeatures:\n{lines}\n')


def heart_rate_schema(aggregate: str = "mean", more: str = "window: {lookback: 24h}", extra: str = "") -> Schema:
    """Make a schema of the heart rate alone."""
    return schema_of(
        f"heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min, range: [1, 300], "
        f"aggregate: {aggregate}{extra}}}",
        more,
    )


def matrix(content: Any, schema: Schema | None = None, t: PredictionTime = T, **reading: Any) -> FeatureMatrix:
    """Read content and compute the matrix; `cohort` names the patients, `site` is the zone of the engine."""
    cohort, site = reading.pop("cohort", None), reading.pop("site", None)
    schema = schema or sepsis()
    return featurize(read([content], schema, **reading), schema, t, patient_ids=cohort, zone=site)


def row(content: Any, schema: Schema | None = None, t: PredictionTime = T, **reading: Any) -> dict[str, Any]:
    """Return the one row of a one-patient matrix."""
    rows = matrix(content, schema, t, **reading).rows
    assert len(rows) == 1
    return dict(rows.iloc[0])


def value(content: Any, name: str = "heart_rate", **reading: Any) -> float:
    """Return one feature of the one patient."""
    return float(row(content, **reading)[name])


def dropped(content: Any, **reading: Any) -> dict[tuple[str, str], int]:
    """Return what was dropped, by (feature, reason)."""
    return by_reason(matrix(content, **reading).drops)


def by_reason(drops: Counter[tuple[str, str, str]]) -> dict[tuple[str, str], int]:
    """Leave the patients out of a count of drops."""
    found: Counter[tuple[str, str]] = Counter()
    for (_, feature, reason), count in drops.items():
        found[(feature, reason)] += count
    return dict(found)


class Rule:
    """A model that anybody can work out in the head: a logistic curve over stated weights.

    NaN counts as 0, as a tree model would answer it with some number too.
    """

    classes_ = np.array([0, 1])

    def __init__(self, weights: dict[str, tuple[float, float]], intercept: float = 0.0) -> None:
        self.centre = np.array([centre for centre, _ in weights.values()])
        self.weight = np.array([weight for _, weight in weights.values()])
        self.intercept = intercept

    def predict_proba(self, rows: Any) -> Any:
        z = np.nan_to_num((np.asarray(rows, dtype="float64") - self.centre) * self.weight).sum(axis=1) + self.intercept
        p = 1 / (1 + np.exp(-z))
        return np.column_stack([1 - p, p])


WEIGHTS = {
    "heart_rate": (85.0, 0.03), "temperature": (37.0, 0.5), "respiratory_rate": (18.0, 0.08), "wbc": (9.0, 0.06),
    "lactate": (1.5, 0.4), "creatinine": (1.0, 0.4), "age": (60.0, 0.01), "gender_encoded": (0.5, 0.1),
}  # fmt: skip
MEDIANS = {
    "heart_rate": 85.0, "temperature": 37.0, "respiratory_rate": 18.0, "wbc": 9.0, "lactate": 1.5, "creatinine": 1.0,
    "age": 60.0, "gender_encoded": 1.0,
}  # fmt: skip


def rule_bundle(
    names: tuple[str, ...] = tuple(WEIGHTS), *, medians: dict[str, float] | None = None, **metadata: Any
) -> ModelBundle:
    """Make a real bundle around a `Rule`."""
    weights = {name: WEIGHTS.get(name, (0.0, 1.0)) for name in names}
    stored = {name: number for name, number in (medians or {}).items() if name in names}
    content = {"feature_names": list(names), "imputation": stored, **metadata}
    return as_bundle({"model": Rule(weights), "metadata": content}, name="rule", version="1", sha256="0" * 64)


@cache
def boosted_bundle() -> ModelBundle:
    """Fit XGBoost on invented patients of the sepsis schema; it takes NaN, as the peer's models do."""
    from xgboost import XGBClassifier

    rng = np.random.default_rng(20260310)
    names = sepsis().feature_names
    septic = rng.random(400) < 0.3
    centres = np.array([[SICK.get(n, 70.0), WELL.get(n, 55.0)] for n in names])
    rows = np.where(septic[:, None], centres[:, 0], centres[:, 1]) * rng.normal(1, 0.15, (400, len(names)))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    model = XGBClassifier(n_estimators=30, max_depth=3, n_jobs=1, random_state=1).fit(rows, septic.astype(int))
    metadata = {"feature_names": list(names), "metrics": {"optimal_threshold": 0.4}}
    return as_bundle({"model": model, "metadata": metadata}, name="boosted", version="1", sha256="0" * 64)


def results(
    content: Any, bundle: ModelBundle | None = None, schema: Schema | None = None, t: PredictionTime = T, **reading: Any
) -> list[PatientResult]:
    """Read, featurize and score."""
    schema = schema or sepsis()
    return score(matrix(content, schema, t, **reading), schema, bundle or rule_bundle())


def result(content: Any, bundle: ModelBundle | None = None, **more: Any) -> PatientResult:
    """Return the one patient's result."""
    (one,) = results(content, bundle, **more)
    return one
