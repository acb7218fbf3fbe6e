"""The candidates: three kinds of model, each as one scikit-learn Pipeline, so that whatever learns is fitted on train rows.

An imputer or scaler fitted before the cut into folds has seen the rows that judge (requirement T3). Classes are never
weighted and no stay is invented (T5): both shift the probability that a patient is told, and the threshold does their work.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from screening.errors import SchemaError
from screening.training.plan import Candidate

SETTINGS: dict[Candidate, tuple[str, ...]] = {
    "logistic_regression": ("C", "fit_intercept", "l1_ratio", "max_iter", "solver", "tol"),
    "random_forest": (
        "bootstrap", "ccp_alpha", "criterion", "max_depth", "max_features", "max_leaf_nodes", "max_samples",
        "min_impurity_decrease", "min_samples_leaf", "min_samples_split", "min_weight_fraction_leaf", "n_estimators",
    ),
    "xgboost": (
        "colsample_bylevel", "colsample_bynode", "colsample_bytree", "gamma", "grow_policy", "learning_rate", "max_bin",
        "max_delta_step", "max_depth", "max_leaves", "min_child_weight", "n_estimators", "num_parallel_tree", "reg_alpha",
        "reg_lambda", "subsample",
    ),
}  # fmt: skip
"""Settings that a plan may choose, by their scikit-learn names; XGBoost itself would pass over a name it does not know."""
WEIGHTS = ("class_weight", "scale_pos_weight", "sample_weight")
"""Refused with a reason of their own."""
OURS = (
    "base_score", "booster", "device", "early_stopping_rounds", "enable_categorical", "eval_metric", "missing", "n_jobs",
    "nthread", "objective", "oob_score", "random_state", "seed", "tree_method", "verbose", "verbosity", "warm_start",
)  # fmt: skip
"""Set by the training, or without effect in it."""


def pipeline(name: Candidate, settings: Mapping[str, Any], seed: int) -> Any:
    """Return an unfitted Pipeline; its rows are float64 (n, f) with NaN for missing, its last step is called `model`.

    Parameters
    ----------
    settings
        Of the estimator; what is left out is as the library has it, but for `max_iter`, which is 1000.
    seed
        The same seed, settings and rows give the same model bit for bit: everything runs in one thread.

    Raises
    ------
    SchemaError
        For a setting that is unknown or not for a plan to choose, naming the candidate and the key.
    """
    if problems := _problems(name, settings):
        raise SchemaError("training plan", problems)
    return _pipeline(name, settings, seed)


def check_candidates(candidates: Mapping[Candidate, Mapping[str, Any]]) -> None:
    """Refuse settings that cannot be fitted, before hours of reading: names first, then values on a few invented rows.

    Raises
    ------
    SchemaError
        With a sentence for each setting that is unknown, or not for a plan to choose; or, where all are known, for each
        candidate whose library refuses a value.
    """
    problems = [problem for name, settings in candidates.items() for problem in _problems(name, settings)]
    if not problems:
        problems = [problem for name, settings in candidates.items() for problem in _refused(name, settings)]
    if problems:
        raise SchemaError("training plan", problems)


def _problems(name: Candidate, settings: Mapping[str, Any]) -> list[str]:
    found = []
    for key in settings:
        where = f"candidates.{name}.{key}"
        if key in WEIGHTS:
            found.append(
                f"{where}: classes are not weighted here: it would shift the probabilities; the threshold, chosen on "
                "out-of-fold predictions, does what is wanted: remove it"
            )
        elif key in OURS:
            found.append(f"{where}: is set by the training itself, and is the same for every run: remove it")
        elif key not in SETTINGS[name]:
            found.append(f"{where}: unknown; known are {', '.join(SETTINGS[name])}")
    return found


def _refused(name: Candidate, settings: Mapping[str, Any]) -> list[str]:
    rows = np.linspace(-1.0, 1.0, 240).reshape(120, 2)
    labels = np.arange(120) % 3 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _pipeline(name, settings, 0).fit(rows, labels.astype("int64"))
        except (ValueError, TypeError) as error:  # XGBoost's own error is a ValueError
            return [f"candidates.{name}: cannot be fitted so: {refusal(error)}"]
    return []


def refusal(error: Exception) -> str:
    """Return what a library says against its settings, without the stack that XGBoost prints after it."""
    return " ".join(str(error).split("Stack trace")[0].split())[:300]


def _pipeline(name: Candidate, settings: Mapping[str, Any], seed: int) -> Any:
    from sklearn.pipeline import Pipeline

    if name == "xgboost":
        from xgboost import XGBClassifier

        ours = {"objective": "binary:logistic", "tree_method": "hist", "random_state": seed, "n_jobs": 1}
        return Pipeline([("model", XGBClassifier(**settings, **ours))])
    from sklearn.impute import SimpleImputer

    imputer = ("imputer", SimpleImputer(strategy="median", keep_empty_features=True))
    if name == "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        return Pipeline([imputer, ("model", RandomForestClassifier(**settings, random_state=seed, n_jobs=1))])
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(**{"max_iter": 1000, **settings}, random_state=seed)
    return Pipeline([imputer, ("scaler", StandardScaler()), ("model", model)])
