"""Fitting a candidate: predictions out of fold, one calibration and one threshold from them, and the model on all rows.

Nothing that is reported or chosen here comes from a prediction on a row that its model, or its calibration, was fitted on
(requirement T4): each row's score is from a model without its patient, and each score is calibrated by a map fitted on the
other folds' scores. The map that is stored with the model is fitted on all out-of-fold scores.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from screening.errors import FatalError
from screening.model.calibration import calibrate, parse_calibration
from screening.training.data import Floats, Ints, TrainingSet
from screening.training.learning.candidates import pipeline, refusal
from screening.training.learning.folds import Fold
from screening.training.logistic import fit_logistic, log_odds
from screening.training.plan import CANDIDATES, Candidate

Method = Literal["platt", "isotonic"]
ISOTONIC_FROM = 1000
"""Positives from which on an isotonic map is taken; with fewer it follows chance, and Platt's two numbers do not."""
IDENTITY: dict[str, Any] = {"method": "platt", "coef": 1.0, "intercept": 0.0}
"""The map that changes nothing: for scores that do not rise with the risk. The gate refuses such a model for its AUROC."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """One candidate, fitted.

    Attributes
    ----------
    name
        Which candidate.
    model
        The scikit-learn Pipeline fitted on all learning rows, one thread.
    calibration
        As `screening.model.calibration.parse_calibration` reads it; fitted on all of `raw`.
    raw
        float64 (n,), the model's probabilities of the learning rows, out of fold.
    calibrated
        float64 (n,), the same, each fold by a map fitted on the other folds' scores.
    threshold
        Of the best F1 on `calibrated`; above 0 and below 1, and belonging to the calibrated probability.
    f1
        That F1, out of fold. As the threshold was chosen by it, it is a little too good; the untouched patients tell how
        much.
    """

    name: Candidate
    model: Any
    calibration: dict[str, Any]
    raw: Floats
    calibrated: Floats
    threshold: float
    f1: float


def fit(name: Candidate, settings: Mapping[str, Any], data: TrainingSet, folds: Sequence[Fold], seed: int) -> Fitted:
    """Fit a candidate out of fold and on all rows.

    Parameters
    ----------
    data
        The rows to learn from, none of an untouched patient.
    folds
        As `screening.training.learning.folds.folds` cuts them: every row is in one `test`.

    Raises
    ------
    SchemaError
        For settings that `screening.training.learning.candidates.pipeline` refuses.
    FatalError
        Where the library refuses a setting's value or the data.
    """
    raw = out_of_fold(name, settings, data, folds, seed)
    method: Method = "isotonic" if data.labels.sum() >= ISOTONIC_FROM else "platt"
    calibrated = np.empty(len(data))
    for fold in folds:
        others = calibration_map(raw[fold.train], data.labels[fold.train], method)
        calibrated[fold.test] = calibrate(parse_calibration(others), raw[fold.test])
    threshold, f1 = best_threshold(data.labels, calibrated)
    return Fitted(
        name=name,
        model=fitted_pipeline(name, settings, data, seed),
        calibration=calibration_map(raw, data.labels, method),
        raw=raw,
        calibrated=calibrated,
        threshold=threshold,
        f1=f1,
    )


def best(fitted: Iterable[Fitted]) -> Fitted:
    """Return the candidate with the highest out-of-fold F1; of equal ones, to six decimals, the simplest (T11)."""
    return min(fitted, key=lambda one: (-round(one.f1, 6), CANDIDATES.index(one.name)))


def fitted_pipeline(name: Candidate, settings: Mapping[str, Any], data: TrainingSet, seed: int) -> Any:
    """Return a candidate fitted on all rows of a set.

    Raises
    ------
    SchemaError, FatalError
        As `fit`.
    """
    model = pipeline(name, settings, seed)
    try:
        # sums of several threads differ in the last bit, and the same data must give the same bytes on any machine
        with threadpool_limits(limits=1):
            return model.fit(data.values, data.labels)
    except ValueError as error:
        raise FatalError(f"{name} cannot be fitted on {len(data)} stays: {refusal(error)}") from None


def out_of_fold(
    name: Candidate, settings: Mapping[str, Any], data: TrainingSet, folds: Sequence[Fold], seed: int
) -> Floats:
    """Return each row's raw probability by a model that was fitted without the row's fold, float64 (n,).

    Raises
    ------
    SchemaError, FatalError
        As `fit`; and where the folds do not hold every row once.
    """
    found = np.full(len(data), np.nan)
    for fold in folds:
        model = fitted_pipeline(name, settings, data.take(fold.train), seed)
        found[fold.test] = raw_probabilities(model, data.values[fold.test])
    if np.isnan(found).any() or sum(len(fold.test) for fold in folds) != len(data):
        raise FatalError("the folds do not hold every stay exactly once: cut them from these very rows")
    return found


def raw_probabilities(model: Any, values: Floats) -> Floats:
    """Return a fitted Pipeline's probability of the positive class, before calibration, float64 (n,)."""
    with threadpool_limits(limits=1):
        return np.asarray(model.predict_proba(values)[:, 1], dtype="float64")


def probabilities(fitted: Fitted, values: Floats) -> Floats:
    """Return the stored model's calibrated probabilities, float64 (n,): as screening shows them, but unrounded."""
    return calibrate(parse_calibration(fitted.calibration), raw_probabilities(fitted.model, values))


def calibration_map(raw: Floats, labels: Ints, method: Method) -> dict[str, Any]:
    """Fit the map from raw to calibrated probability, in the form that is stored with a model.

    Platt: a line on the log-odds, by maximum likelihood with Platt's targets (a positive counts as (p + 1) / (p + 2), which
    keeps the line finite where the scores separate the labels). Isotonic: the best ascending steps, kept from 0 and 1 as
    far as their number of stays tells. Scores that are all equal, or a line that does not rise, give `IDENTITY`: turning
    the scores round would make a model out of chance.
    """
    if raw.min() == raw.max():
        return dict(IDENTITY)
    return _isotonic(raw, labels) if method == "isotonic" else _platt(raw, labels)


def _platt(raw: Floats, labels: Ints) -> dict[str, Any]:
    line = np.column_stack([np.ones(len(raw)), log_odds(raw)])
    positives = int(labels.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    target = np.where(labels == 1, high, low)
    # a target between 0 and 1 is a row of each label, weighted
    weights = np.concatenate([target, 1 - target])[np.newaxis]
    with threadpool_limits(limits=1):
        intercept, coef = fit_logistic(np.vstack([line, line]), np.repeat([1, 0], len(raw)), weights)[0].tolist()
    return {"method": "platt", "coef": coef, "intercept": intercept} if coef > 0 else dict(IDENTITY)


def _isotonic(raw: Floats, labels: Ints) -> dict[str, Any]:
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(labels) + 2)  # nobody's risk is known to be 0 or 1
    steps = IsotonicRegression(y_min=edge, y_max=1 - edge, increasing=True).fit(raw, labels.astype("float64"))
    x = np.asarray(steps.X_thresholds_, dtype="float64")
    y = np.maximum.accumulate(np.asarray(steps.y_thresholds_, dtype="float64"))
    apart = np.concatenate([[True], np.diff(x) > 0])
    if apart.sum() < 2:
        return dict(IDENTITY)
    return {"method": "isotonic", "x": x[apart].tolist(), "y": y[apart].tolist()}


def best_threshold(labels: Ints, probabilities: Floats) -> tuple[float, float]:
    """Return the threshold of the best F1, and that F1; a stay is called positive at `probability >= threshold`.

    Of several thresholds with the same F1 the lowest: it finds more of the positive stays. Only probabilities that occur,
    above 0 and below 1, are tried; where there is none, the threshold is 0.5.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    found = np.cumsum(labels[order])
    last = np.concatenate([ranked[1:] != ranked[:-1], [True]])  # equal probabilities are called alike
    at = np.flatnonzero(last & (ranked > 0) & (ranked < 1))
    if not len(at):
        return 0.5, _f1(labels, probabilities >= 0.5)
    f1 = 2 * found[at] / (labels.sum() + at + 1)
    lowest = at[np.flatnonzero(f1 == f1.max())[-1]]
    return float(ranked[lowest]), float(f1.max())


def _f1(labels: Ints, called: Any) -> float:
    return float(2 * (labels * called).sum() / max(int(labels.sum() + called.sum()), 1))
