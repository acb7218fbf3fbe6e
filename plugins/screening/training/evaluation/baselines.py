"""What a model must beat to be worth its trouble: the mean risk for everybody, and three vital signs."""

from dataclasses import replace

import numpy as np

from screening.training.data import TrainingSet
from screening.training.evaluation.intervals import bootstrap
from screening.training.evaluation.judged import Judged
from screening.training.learning.fit import fit, probabilities
from screening.training.learning.folds import Split
from screening.training.plan import TrainingPlan

VITALS = ("heart_rate", "respiratory_rate", "temperature")
"""What every ward measures, and NEWS and qSOFA are partly made of."""
FIGURES = ("auroc", "auprc", "brier", "f1")

Baseline = dict[str, dict[str, float]]


def baselines(split: Split, plan: TrainingPlan) -> dict[str, Baseline]:
    """Judge the baselines on the untouched patients.

    Returns
    -------
    dict
        `prevalence`: the `brier` of the learning part's share of positives, told to everybody. `early_warning`: `FIGURES` of
        a logistic regression on `VITALS`, fitted, calibrated and cut as a candidate is; NaN where the schema lacks one of
        them. It is a line: NEWS also counts what is too low.
    """
    return {"prevalence": _prevalence(split, plan), "early_warning": _early_warning(split, plan)}


def _prevalence(split: Split, plan: TrainingPlan) -> Baseline:
    test = split.test
    apart = (test.labels - split.learning.labels.mean()) ** 2
    found = bootstrap(
        lambda weights: {"brier": weights @ apart / weights.sum(axis=1)},
        test.labels, test.subjects, plan.bootstrap, plan.seed,
    )  # fmt: skip
    return {"brier": found["brier"].interval()}


def _early_warning(split: Split, plan: TrainingPlan) -> Baseline:
    if not set(VITALS) <= set(split.learning.feature_names):
        return {name: dict.fromkeys(("value", "low", "high"), np.nan) for name in FIGURES}
    learning, test = _of_vitals(split.learning), _of_vitals(split.test)
    fitted = fit("logistic_regression", {}, learning, split.folds, plan.seed)
    scores = probabilities(fitted, test.values)
    judged = Judged(test.labels, scores, test.subjects, fitted.threshold, plan.bootstrap, plan.seed).headline()
    return {name: judged[name].interval() for name in FIGURES}


def _of_vitals(data: TrainingSet) -> TrainingSet:
    columns = [data.feature_names.index(name) for name in VITALS]
    return replace(data, feature_names=VITALS, values=np.ascontiguousarray(data.values[:, columns]))
