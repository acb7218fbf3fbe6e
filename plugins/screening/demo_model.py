"""The demo model: a small XGBoost classifier of the synthetic hospital, rebuilt byte for byte.

It shows the machinery and nothing else: patients, labels and signal are invented, and its figures are no evidence of
anything. Features come by the road that screening takes, from FHIR resources through the reader and the feature engine.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screening.features import FeatureMatrix, featurize
from screening.readers.fhir import FhirReader
from screening.schema import Schema
from screening.synthetic import Hospital, fhir_resources

if TYPE_CHECKING:
    from screening.model.bundle import ModelBundle

VERSION = "1.0.0"
PRESENT = datetime(2026, 1, 1, tzinfo=UTC)
PATIENTS, SEED, FOLDS = 2500, 20260101, 5
SETTINGS: dict[str, Any] = {
    "n_estimators": 120, "max_depth": 3, "learning_rate": 0.06, "min_child_weight": 4, "subsample": 0.9,
    "colsample_bytree": 0.9, "reg_lambda": 2.0, "random_state": 7, "n_jobs": 1, "tree_method": "hist",
}  # fmt: skip

CARD = """\
# {name} {version}: synthetic demo model

**Not for clinical use.** Trained on {rows} invented patients of a synthetic hospital ({positive} septic by construction). It
shows that the machinery works; its figures say nothing about any real patient, and it was not validated on any.

| | |
|---|---|
| type | XGBoost, {trees} trees of depth {depth}; missing values by the trees' own default directions |
| features | {features} |
| label | the synthetic hospital's own truth; nobody's diagnosis |
| prediction time | one fixed present; values of the schema's window before it |
| AUROC, out of fold | {auroc:.3f} (synthetic) |
| Brier, out of fold | {brier:.3f} (synthetic) |
| threshold of the best F1, out of fold | {threshold:.3f} |
| external validation | not done |
| fairness | not done |
| calibration on real data | not done |
| monitoring | not done |
"""


def build(schema: Schema, models: Path) -> ModelBundle:
    """Train, evaluate out of fold and publish the demo model; the same bytes at every call.

    It is champion only where there is none: a model of invented patients must not take a trained one's place by the way.

    Raises
    ------
    ModelError
        Where the registry cannot be written.
    """
    import joblib
    from xgboost import XGBClassifier

    from screening.model.layout import POINTER
    from screening.model.registry import publish

    name = schema.model or schema.name
    matrix, labels = training_matrix(schema, Hospital(size=PATIENTS, seed=SEED, now=PRESENT))
    values = matrix.rows[list(schema.feature_names)].to_numpy("float64")
    metrics = _out_of_fold(values, labels)
    model = XGBClassifier(**SETTINGS).fit(values, labels)
    metadata = {
        "feature_names": list(schema.feature_names),
        "metrics": metrics,
        "schema_sha256": schema.fingerprint(),
        "synthetic": True,
        "seed": SEED,
        "prevalence": float(labels.mean()),
        "aggregation": {feature.name: feature.how for feature in schema.features.values() if feature.codes},
        "units": {feature.name: feature.unit for feature in schema.features.values()},
    }
    card = CARD.format(
        name=schema.model, version=VERSION, rows=len(labels), positive=int(labels.sum()), trees=SETTINGS["n_estimators"],
        depth=SETTINGS["max_depth"], features=", ".join(schema.feature_names), auroc=metrics["auroc"],
        brier=metrics["brier"], threshold=metrics["optimal_threshold"],
    )  # fmt: skip
    content = io.BytesIO()
    joblib.dump({"model": model, "metadata": metadata}, content)
    return publish(
        models, name, VERSION, model=content.getvalue(), synthetic=True, created=PRESENT,
        training_data=f"synthetic hospital, seed {SEED}, {PATIENTS} patients", metrics=metrics, model_card=card,
        promoted=not (models / name / POINTER).exists(),
    )  # fmt: skip


def training_matrix(schema: Schema, hospital: Hospital) -> tuple[FeatureMatrix, Any]:
    """Return the feature matrix of a hospital's patients with any value, and their labels (int64, 1 septic)."""
    reader, labels = FhirReader(schema), {}
    for patient in hospital.patients():
        reader.add(fhir_resources(patient, "loinc"))
        labels[patient.patient_id] = int(patient.septic)
    matrix = featurize(reader.reading(), schema, hospital.now)
    rows = matrix.rows[
        (matrix.rows["standing"] == "") & matrix.rows["patient_id"].isin(set(matrix.cells["patient_id"]))
    ]
    kept = FeatureMatrix(rows.reset_index(drop=True), matrix.cells, matrix.basis, matrix.drops)
    return kept, kept.rows["patient_id"].map(labels).to_numpy("int64")


def _out_of_fold(values: Any, labels: Any) -> dict[str, float]:
    """Return AUROC, Brier score, and the threshold of the best F1, each from predictions on patients left out."""
    import numpy as np
    from sklearn.metrics import brier_score_loss, precision_recall_curve, roc_auc_score
    from sklearn.model_selection import StratifiedKFold
    from xgboost import XGBClassifier

    found = np.zeros(len(labels))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(values, labels):
        found[test] = XGBClassifier(**SETTINGS).fit(values[train], labels[train]).predict_proba(values[test])[:, 1]
    precision, recall, thresholds = precision_recall_curve(labels, found)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1[:-1]))
    return {
        "auroc": round(float(roc_auc_score(labels, found)), 6),
        "brier": round(float(brier_score_loss(labels, found)), 6),
        "f1": round(float(f1[best]), 6),
        "optimal_threshold": round(float(thresholds[best]), 6),
    }
