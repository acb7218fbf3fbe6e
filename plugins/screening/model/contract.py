"""What a model file must hold, and what it may hold besides.

Must: a dict with `model` and `metadata`, and in it `feature_names`. May, each with what its absence means:

| key | absent |
|---|---|
| `scaler` (top level) | nothing is scaled |
| `metadata.scaler_applies` (bool) | decided by the model's kind, see `scaler_applies` |
| `metadata.metrics.optimal_threshold` | no threshold |
| `metadata.imputation` {feature: training median} | nothing is filled in |
| `metadata.handles_missing` (false) | found out by asking the model about a row of NaN |
| `metadata.calibration` | the model's probability stands as it is |
| `metadata.positive_class` | 1 (or True) |
| `metadata.synthetic` (bool) | unknown |
| `metadata.tiny` (bool) | not published on too few patients |
| `metadata.units`, `.aggregation` {feature: text}, `.schema_sha256` | cannot be compared with the schema |
| `metadata.versions` {library: version} | cannot be compared with what is installed |

Other keys are kept and change nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from screening.errors import ModelError
from screening.model.calibration import Calibration, parse_calibration
from screening.model.kinds import is_linear_model, is_tree_model
from screening.model.metadata import is_number, read_only


@dataclass(frozen=True)
class Contract:
    """The checked content of a model file; see the module's table."""

    model: Any
    scaler: Any
    feature_names: tuple[str, ...]
    threshold: float | None
    imputation: Mapping[str, float]
    calibration: Calibration | None
    positive_class: Any
    metadata: Mapping[str, Any]
    warnings: tuple[str, ...]


def parse_contract(content: Any) -> Contract:
    """Check the content of a model file.

    `scaler` is None where none is to be applied.

    Raises
    ------
    ModelError
        Naming the key that is missing or wrong. The message does not name the file: the caller knows it.
    """
    if not isinstance(content, Mapping):
        raise ModelError(f"holds a {type(content).__name__}, not a dict with the keys model and metadata")
    if lacking := [key for key in ("model", "metadata") if content.get(key) is None]:
        raise ModelError(f"lacks the key(s) {', '.join(lacking)}: a model file is a dict of model and metadata")
    metadata = content["metadata"]
    if not isinstance(metadata, Mapping):
        raise ModelError(f"metadata is a {type(metadata).__name__}, not a dict")
    names = _feature_names(metadata)
    scaler, remarks = _scaler(content.get("scaler"), content["model"], metadata)
    for key in ("handles_missing", "synthetic", "tiny"):
        if not isinstance(metadata.get(key, False), bool):
            raise ModelError(f"metadata.{key} must be true or false")
    return Contract(
        model=content["model"],
        scaler=scaler,
        feature_names=names,
        threshold=_threshold(metadata),
        imputation=read_only(_imputation(metadata, names)),
        calibration=parse_calibration(metadata.get("calibration")),
        positive_class=metadata.get("positive_class"),
        metadata=read_only(metadata),
        warnings=remarks,
    )


def scaler_applies(model: Any) -> bool | None:
    """Tell whether a scaler stored beside a model belongs before it; None where its kind does not tell.

    The tutorial's training script stores the scaler with whatever model won, but fits only LogisticRegression on scaled
    values: the scaler belongs before a bare linear model, and ruins a bare tree model's answers. Every other kind (a
    Pipeline, a calibrated model, a neural net) may have been fitted either way.
    """
    if is_linear_model(model):
        return True
    return False if is_tree_model(model) else None


def _scaler(scaler: Any, model: Any, metadata: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    if scaler is None:
        return None, ()
    if not callable(getattr(scaler, "transform", None)):
        raise ModelError("scaler has no transform")
    said = metadata.get("scaler_applies", scaler_applies(model))
    if not isinstance(said, bool):
        raise ModelError(
            f"has a scaler beside a {type(model).__name__}, and nothing tells whether it was fitted on scaled values: "
            "set metadata.scaler_applies to true or false"
        )
    if said:
        return scaler, ()
    return None, (f"a scaler is stored, but a {type(model).__name__} is fitted on unscaled values: it is not applied",)


def _feature_names(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    found = metadata.get("feature_names")
    if found is None:
        raise ModelError("lacks metadata.feature_names")
    names = found.tolist() if isinstance(found, np.ndarray) else found
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise ModelError("metadata.feature_names must be a list of at least one name")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ModelError("metadata.feature_names holds an empty name, or one that is no text")
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise ModelError(f"metadata.feature_names names twice: {', '.join(twice)}")
    return tuple(names)


def _threshold(metadata: Mapping[str, Any]) -> float | None:
    metrics = metadata.get("metrics", {})
    if not isinstance(metrics, Mapping):
        raise ModelError("metadata.metrics must be a dict")
    found = metrics.get("optimal_threshold")
    if found is None:
        return None
    if not is_number(found) or not 0 < found < 1:
        raise ModelError("metadata.metrics.optimal_threshold must be a number above 0 and below 1")
    return float(found)


def _imputation(metadata: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float]:
    found = metadata.get("imputation")
    if found is None:
        return {}
    if not isinstance(found, Mapping) or not all(is_number(value) for value in found.values()):
        raise ModelError("metadata.imputation must be a dict of feature name to a finite number")
    if strangers := sorted(str(name) for name in found if name not in names):
        raise ModelError(f"metadata.imputation has values for features that the model lacks: {', '.join(strangers)}")
    return {name: float(value) for name, value in found.items()}
