"""The evaluation: what can be said of the models, from patients that had no part in what is judged.

| figures | whose scores | patients |
|---|---|---|
| `candidates`, `parts.cross_validation` | out of fold, calibrated by the other folds | learned from, never by these scores |
| `parts.train` | the stored model, stored calibration | learned from: how good a model looks there |
| everything else | the stored model, stored calibration | untouched |

Every threshold is chosen out of fold, or is the schema's. Intervals are of 95 %, by `bootstrap` resamples of patients with
all their stays, and tell what other patients would have made of this very model; that another training would have given
another model, they do not tell.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from screening.errors import FatalError
from screening.schema import Schema
from screening.training.data import Floats, TrainingSet
from screening.training.evaluation.baselines import baselines
from screening.training.evaluation.calibration_figures import Calibration
from screening.training.evaluation.covariates import covariates
from screening.training.evaluation.discrimination import Ranked
from screening.training.evaluation.importances import importances
from screening.training.evaluation.judged import Judged
from screening.training.evaluation.operating_points import (
    SENSITIVITY,
    net_benefit,
    operating_points,
    threshold_curve,
    threshold_of_sensitivity,
)
from screening.training.evaluation.subgroups import subgroups
from screening.training.learning.fit import Fitted, best, probabilities
from screening.training.learning.folds import Split
from screening.training.plan import GateLimits, TrainingPlan

DECIMALS = 6
LEARNING = 5
"""How many times as many positive stays it takes to learn as to judge."""
_OF_CANDIDATES = ("f1", "auroc", "auprc", "brier")


def evaluate(
    split: Split,
    fitted: Sequence[Fitted],
    schema: Schema,
    plan: TrainingPlan,
    attrition: Sequence[Mapping[str, Any]],
    *,
    synthetic: bool,
) -> dict[str, Any]:
    """Evaluate the candidates and, more closely, the best of them.

    Parameters
    ----------
    split
        The parts of the training set.
    fitted
        The candidates, each fitted on `split.learning` with `split.folds`; one or more.
    attrition
        As `Stays.attrition`: what was left after each step of exclusion.
    synthetic
        Whether the patients are invented.

    Returns
    -------
    dict
        For JSON: numbers are rounded to six decimals (the threshold in force stands unrounded in `Fitted`), None is for a
        figure that is undefined or has no bound, as the number needed to evaluate where no alert may be a true one.
        `{"value", "low", "high"}` is a figure with its interval; the bounds are None where it is undefined in more than half
        of the resamples. `resamples` tells how many there were, and by part in how many all patients had one label, so that
        they had no say. `covariates` describe all patients, learned from and untouched.

    Raises
    ------
    FatalError
        A patient is in both parts, or the features or candidates are not those of the schema and of these rows.
    """
    _refuse_mixed(split, fitted, schema)
    # sums of several threads differ in the last bit, and the same data must give the same figures on any machine
    with threadpool_limits(limits=1):
        found = _evaluate(split, fitted, schema, plan, attrition)
    told = {name: _plain(value) for name, value in found.items()}
    return told | {"synthetic": synthetic, "tiny": too_few(told, plan.gate)}


def too_few(evaluation: Mapping[str, Any], limits: GateLimits) -> bool:
    """Tell whether there are fewer positive stays than it takes to judge a model: what makes it `tiny`."""
    learning, judging = (evaluation["parts"][part]["positives"] for part in ("train", "test"))
    return bool(judging < limits.min_positives or learning < LEARNING * limits.min_positives)


def _evaluate(
    split: Split,
    fitted: Sequence[Fitted],
    schema: Schema,
    plan: TrainingPlan,
    attrition: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    chosen, learning, test = best(fitted), split.learning, split.test
    scores = probabilities(chosen, test.values)
    parts = {
        "train": _judged(learning, probabilities(chosen, learning.values), chosen.threshold, plan).whole(),
        "cross_validation": _judged(learning, chosen.calibrated, chosen.threshold, plan).whole(),
        "test": _judged(test, scores, chosen.threshold, plan).whole(),
    }
    ranked, resampled = Ranked(test.labels, scores), {"count": plan.bootstrap, "seed": plan.seed}
    thresholds = {
        "best F1 (out of fold)": chosen.threshold,
        f"sensitivity {SENSITIVITY:.2f}": threshold_of_sensitivity(learning.labels, chosen.calibrated),
    }
    return {
        "attrition": [dict(step) for step in attrition],
        "label": plan.label.name,
        "best": chosen.name,
        "threshold": chosen.threshold,
        "resamples": {"count": plan.bootstrap, "one_label": {name: part[1] for name, part in parts.items()}},
        "candidates": {one.name: _candidate(one, learning, plan) for one in fitted},
        "parts": {name: part[0] for name, part in parts.items()},
        "operating_points": operating_points(
            test.labels, scores, test.subjects, chosen=thresholds, levels=schema.risk_levels, **resampled
        ),
        "threshold_curve": threshold_curve(ranked),
        "net_benefit": net_benefit(ranked),
        "subgroups": subgroups(test, scores, **resampled),
        "covariates": covariates(learning.joined(test), schema),
        "importances": importances(chosen, test, plan.seed),
        "baselines": baselines(split, plan),
    }


def _refuse_mixed(split: Split, fitted: Sequence[Fitted], schema: Schema) -> None:
    if np.isin(split.test.subjects, split.learning.subjects).any():
        raise FatalError(
            "a patient is learned from and judges: cut the training set by patient before anything is fitted"
        )
    if any(part.feature_names != schema.feature_names for part in (split.learning, split.test)):
        raise FatalError("the training set's features are not the schema's: compute the features anew")
    if wrong := [one.name for one in fitted if len(one.calibrated) != len(split.learning)]:
        raise FatalError(f"{', '.join(wrong)}: fitted on other stays than those to learn from: fit anew")


def _judged(data: TrainingSet, scores: Floats, threshold: float, plan: TrainingPlan) -> Judged:
    return Judged(data.labels, scores, data.subjects, threshold, plan.bootstrap, plan.seed)


def _candidate(one: Fitted, learning: TrainingSet, plan: TrainingPlan) -> dict[str, Any]:
    found = _judged(learning, one.calibrated, one.threshold, plan).headline()
    return {
        **{name: found[name].interval() for name in _OF_CANDIDATES},
        "threshold": one.threshold,
        "calibration_slope": Calibration(learning.labels, one.calibrated).slope,
    }


def _plain(found: Any) -> Any:
    """Return what JSON can hold: rounded numbers, and None for what is undefined or unbounded."""
    if isinstance(found, Mapping):
        return {key: _plain(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_plain(value) for value in found]
    if isinstance(found, float):
        return round(float(found), DECIMALS) + 0.0 if np.isfinite(found) else None
    return found
