"""What a threshold means at the bedside: how many are found, how many alerts that takes, and whether it is worth it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from screening.schema import RiskLevels
from screening.scoring import DECIMALS
from screening.training.data import Floats, Ints
from screening.training.evaluation.discrimination import Counts, Ranked
from screening.training.evaluation.intervals import bootstrap, ratio

THRESHOLDS = np.arange(1, 100) / 100
SENSITIVITY = 0.80
_CURVE = ("sensitivity", "ppv", "alerts_per_100", "number_needed_to_evaluate")


def rates(counts: Counts, columns: Ints) -> dict[str, Floats]:
    """Return the rates at thresholds, by name; the shape is that of `counts.tp[:, columns]`.

    `alerts_per_100` are alerts per 100 stays; `number_needed_to_evaluate` is 1 / PPV, the alerts that are looked at for one
    positive stay: infinite where all alerts are false, and NaN, as PPV is, where there is none.
    """
    tp, fp = counts.tp[:, columns], counts.fp[:, columns]
    shape = (-1, *(1,) * (tp.ndim - 1))
    positives, negatives = counts.positives.reshape(shape), counts.negatives.reshape(shape)
    alerts, whole = tp + fp, positives + negatives
    ppv = ratio(tp, alerts)
    return {
        "sensitivity": ratio(tp, positives),
        "specificity": ratio(negatives - fp, negatives),
        "ppv": ppv,
        "npv": ratio(negatives - fp, whole - alerts),
        "f1": ratio(2 * tp, positives + alerts),
        "alerts_per_100": ratio(100 * alerts, whole),
        "number_needed_to_evaluate": np.where(ppv == 0, np.inf, ratio(1, ppv)),
    }


def threshold_of_sensitivity(labels: Ints, scores: Floats, sensitivity: float = SENSITIVITY) -> float:
    """Return the highest threshold that finds at least this share of the positive stays."""
    found = np.sort(scores[labels == 1])[::-1]
    return float(found[int(np.ceil(sensitivity * len(found) - 1e-9)) - 1])


def operating_points(
    labels: Ints,
    scores: Floats,
    subjects: Ints,
    *,
    chosen: Mapping[str, float],
    levels: RiskLevels,
    count: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Judge thresholds that these stays had no part in choosing.

    Parameters
    ----------
    labels, scores, subjects
        (n,), of the stays that judge.
    chosen
        Thresholds by name, from out-of-fold scores.
    levels
        The schema's. A level goes by the probability as it is written, which is rounded; so are the scores here.
    count, seed
        As for `bootstrap`.
    """
    exact, written = Ranked(labels, scores), Ranked(labels, as_written(scores))
    bounds = {"moderate": levels.moderate, "high": levels.high}
    return [
        {"name": name, "threshold": threshold, **_judged(ranked, threshold, labels, subjects, count, seed)}
        for ranked, points in ((exact, chosen), (written, bounds))
        for name, threshold in points.items()
    ]


def _judged(ranked: Ranked, threshold: float, labels: Ints, subjects: Ints, count: int, seed: int) -> dict[str, Any]:
    column = ranked.columns(threshold)
    found = bootstrap(lambda weights: rates(ranked.counts(weights), column), labels, subjects, count, seed)
    return {name: estimate.interval() for name, estimate in found.items()}


def as_written(scores: Floats) -> Floats:
    """Return probabilities as screening rounds them."""
    return np.array([round(score, DECIMALS) for score in scores.tolist()], dtype="float64")


def threshold_curve(ranked: Ranked) -> dict[str, list[float]]:
    """Return sensitivity, PPV, alerts per 100 stays and number needed to evaluate at `THRESHOLDS`; NaN for one label."""
    found = rates(ranked.counts(), ranked.columns(THRESHOLDS))
    undefined = np.full(len(THRESHOLDS), np.nan)
    return {
        "threshold": THRESHOLDS.tolist(),
        **{name: (undefined if ranked.one_label else found[name][0]).tolist() for name in _CURVE},
    }


def net_benefit(ranked: Ranked) -> dict[str, list[float]]:
    """Return the decision curve at `THRESHOLDS`: true alerts less false ones at their price, per stay; NaN for one label.

    A threshold of 0.2 says that one found is worth four looked at for nothing: the price of a false alert is
    threshold / (1 - threshold). `treat_all` alerts for everybody, `treat_none` for nobody.
    """
    counts, price = ranked.counts(), THRESHOLDS / (1 - THRESHOLDS)
    columns = ranked.columns(THRESHOLDS)
    whole = counts.positives + counts.negatives
    curves = {
        "model": (counts.tp[0, columns] - counts.fp[0, columns] * price) / whole,
        "treat_all": (counts.positives - counts.negatives * price) / whole,
        "treat_none": np.zeros(len(THRESHOLDS)),
    }
    undefined = np.full(len(THRESHOLDS), np.nan)
    return {
        "threshold": THRESHOLDS.tolist(),
        **{name: (undefined if ranked.one_label else curve).tolist() for name, curve in curves.items()},
    }
