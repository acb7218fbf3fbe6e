"""The model file: the fitted model and what serving, monitoring and a reader need to know of it.

The same training gives the same bytes, in any process: nothing in it tells a time or a place. The keys are those of
`screening.model.contract`, and these besides:

| key of metadata | meaning |
|---|---|
| `model_name`, `candidate`, `settings`, `seed` | what was fitted; `model_name` is the schema's `model` |
| `metrics` | `optimal_threshold` and `f1` (out of fold, at it), and what the evaluation adds; numbers |
| `schema_sha256` | the schema's fingerprint |
| `units`, `aggregation`, `ranges` | by feature, as in the schema: canonical unit or null, aggregate, `[low, high]` |
| `window` | `lookback_hours`, or null where everything up to the prediction time counts |
| `prediction` | `after_intime_hours` |
| `thresholds` | the schema's `moderate` and `high` |
| `train_distribution` | by feature: `edges`, `shares` and `missing`, see `distribution` |
| `prevalence`, `counts` | share of positive stays; stays, patients and positives that were learned from |
| `cv`, `untouched` | number of folds and by whom they are cut; share and salt of the patients kept out |
| `data_fingerprint` | sha256 of the learning rows, so the same for CSV and PostgreSQL |
| `label`, `synthetic`, `tiny`, `versions` | label's name and version; invented patients; too few to judge by; libraries |
"""

import hashlib
import io
import json
import pickle
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import joblib
import numpy as np
from joblib.numpy_pickle import NumpyPickler

from screening.errors import FatalError
from screening.model.threads import single_threaded
from screening.model.versions import installed
from screening.schema import Schema
from screening.training.data import Floats, TrainingSet
from screening.training.learning.fit import Fitted
from screening.training.plan import TrainingPlan

PROTOCOL = pickle.DEFAULT_PROTOCOL
_HOUR = timedelta(hours=1)
_LEAF = -1  # child of a node that has none, in scikit-learn


def model_content(
    fitted: Fitted,
    data: TrainingSet,
    schema: Schema,
    plan: TrainingPlan,
    *,
    metrics: Mapping[str, float | None],
    synthetic: bool,
    tiny: bool,
) -> dict[str, Any]:
    """Return what model.pkl holds, ready for `screening.model.bundle.as_bundle`; `fitted` is left as it is.

    Parameters
    ----------
    data
        The rows that the model was fitted on.
    metrics
        Further figures for `metadata.metrics`; None is for one that is undefined, and is left out. `optimal_threshold` and
        `f1` are those of `fitted`.
    synthetic, tiny
        Whether the patients are invented, and whether the gate let a model of too few patients pass.

    Raises
    ------
    FatalError
        The rows have other features than the schema, or a metric is no finite number.
    """
    if data.feature_names != schema.feature_names:
        raise FatalError("the training set's features are not the schema's: compute the features anew")
    metadata = {
        "feature_names": list(data.feature_names),
        "model_name": schema.model or schema.name,
        "candidate": fitted.name,
        "settings": plan.candidates[fitted.name],
        "seed": plan.seed,
        "metrics": {
            **{name: value for name, value in metrics.items() if value is not None},
            "optimal_threshold": fitted.threshold,
            "f1": fitted.f1,
        },
        "calibration": fitted.calibration,
        "imputation": _medians(fitted, data),
        **_meaning(schema),
        "prediction": {"after_intime_hours": plan.prediction.after_intime / _HOUR},
        "train_distribution": {
            name: distribution(data.values[:, column]) for column, name in enumerate(data.feature_names)
        },
        "prevalence": float(data.labels.mean()),
        "counts": {
            "stays": len(data),
            "patients": len(np.unique(data.subjects)),
            "positives": int(data.labels.sum()),
        },
        "cv": {"folds": plan.folds, "cut_by": "subject_id"},
        "untouched": {"share": plan.untouched.share, "salt": plan.untouched.salt},
        "data_fingerprint": data_fingerprint(data),
        "label": {"name": plan.label.name, "version": plan.label.version},
        "synthetic": synthetic,
        "tiny": tiny,
        "versions": installed(),
    }
    try:
        # a pickle also tells which of two equal texts are one object; read back from JSON, that is always the same
        plain = json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise FatalError(
            f"the model's metadata cannot be written: {error}: every metric must be a finite number"
        ) from None
    return {"model": _same_everywhere(fitted.model), "metadata": plain}


def data_fingerprint(data: TrainingSet) -> str:
    """Return the sha256 of feature names, values, labels, subjects and stays: of what was learned, not of its files."""
    digest = hashlib.sha256("\n".join(data.feature_names).encode())
    # NaN has many bit patterns, and 0 two: each is written in one way
    values = np.where(np.isnan(data.values), np.nan, data.values + 0.0)
    for array, kind in ((values, "<f8"), (data.labels, "<i8"), (data.subjects, "<i8"), (data.stays, "<i8")):
        digest.update(f"\n{array.shape}".encode())
        digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return digest.hexdigest()


def distribution(values: Floats) -> dict[str, Any]:
    """Return how one feature's values lie, to be held against those of later patients.

    Parameters
    ----------
    values
        float64 (n,), NaN for missing.

    Returns
    -------
    dict
        `edges`: between the tenths of the values that are there, ascending; fewer than nine where many values are equal,
        none without any value. `shares`: of these values in each bin, where edge below < value <= edge above; one more
        than edges. `missing`: share of NaN.
    """
    there = values[~np.isnan(values)]
    missing = float(np.isnan(values).mean())
    if not len(there):
        return {"edges": [], "shares": [], "missing": missing}
    edges = np.unique(np.quantile(there, np.arange(1, 10) / 10, method="inverted_cdf"))
    edges = edges[edges < there.max()]  # above the highest value there would be an empty bin
    counts = np.bincount(np.searchsorted(edges, there, side="left"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "shares": (counts / len(there)).tolist(), "missing": missing}


def _meaning(schema: Schema) -> dict[str, Any]:
    features = schema.features.values()
    return {
        "schema_sha256": schema.fingerprint(),
        "units": {feature.name: feature.unit for feature in features},
        "aggregation": {feature.name: feature.how for feature in features if feature.codes},
        "ranges": {feature.name: list(feature.range) for feature in features if feature.range is not None},
        "window": {"lookback_hours": None if schema.lookback is None else schema.lookback / _HOUR},
        "thresholds": {"moderate": schema.risk_levels.moderate, "high": schema.risk_levels.high},
    }


def _medians(fitted: Fitted, data: TrainingSet) -> dict[str, float]:
    """Return the medians that the Pipeline fills in; none for a model with branches of its own for missing values.

    A feature that no row had has no median: the Pipeline then puts the same number everywhere, and says nothing by it.
    """
    if "imputer" not in fitted.model.named_steps:
        return {}
    medians = fitted.model["imputer"].statistics_.tolist()
    known = np.flatnonzero((~np.isnan(data.values)).any(axis=0)).tolist()
    return {data.feature_names[column]: float(medians[column]) for column in known}


def _same_everywhere(model: Any) -> Any:
    """Return a copy whose pickle depends on nothing but what was learned.

    One way through the pickle, so that it does not tell whether the model comes from this process or from a file of an
    earlier stage; and nothing in what scikit-learn leaves undefined: of a tree's nodes the bytes between the fields, and
    where a leaf, which asks nothing, would send a missing value.
    """
    copy = joblib.load(io.BytesIO(model_bytes(model)))
    single_threaded(copy)
    for tree in getattr(copy["model"], "estimators_", []):
        nodes = tree.tree_.__getstate__()["nodes"]  # the tree's own memory, not a copy
        unused = np.ones(nodes.dtype.itemsize, dtype=np.bool_)
        for kind, offset, *_ in nodes.dtype.fields.values():
            unused[offset : offset + kind.itemsize] = False
        nodes.view(np.uint8).reshape(len(nodes), -1)[:, unused] = 0
        nodes["missing_go_to_left"][nodes["left_child"] == _LEAF] = 0
    return copy


class _OneTextOneObject(NumpyPickler):  # type: ignore[misc]
    """joblib's own pickler, to which equal texts are one object.

    A pickle tells which of two equal texts are one object. Of attributes' names that depends on what the process did
    before: once it has unpickled an estimator, later ones of its class may share that one's names.
    """

    def save(self, obj: Any) -> Any:
        return super().save(sys.intern(obj) if type(obj) is str else obj)


def model_bytes(content: Any) -> bytes:
    """Return the bytes of model.pkl, of what `model_content` returned, for `joblib.load`."""
    file = io.BytesIO()
    _OneTextOneObject(file, protocol=PROTOCOL).dump(content)
    return file.getvalue()
