"""Whether the model serves everybody: the untouched patients by sex and by age."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from screening.training.data import Bools, Floats, TrainingSet
from screening.training.evaluation.calibration_figures import Calibration
from screening.training.evaluation.discrimination import Ranked, auroc
from screening.training.evaluation.intervals import bootstrap

SEXES = ("female", "male")
AGES = (("18-44", 18, 45), ("45-64", 45, 65), ("65-79", 65, 80), ("80+", 80, np.inf))
"""Name, and completed years from and below."""


def subgroups(data: TrainingSet, scores: Floats, *, count: int, seed: int) -> list[dict[str, Any]]:
    """Judge each subgroup by itself.

    Parameters
    ----------
    data, scores
        The stays that judge, and their calibrated probabilities, float64 (n,).
    count, seed
        As for `bootstrap`; here the patients of the subgroup are drawn.

    Returns
    -------
    list of dict
        `group`, `level`, `stays`, `positives`, `auroc` with its interval, and `calibration_in_the_large` in log-odds (see
        `calibration_figures`). The two are NaN in a subgroup with one label. A level `unknown`, and `under 18`, stand there
        only if there are such stays, so that each stay is in one level of each group.
    """
    return [
        {"group": group, "level": level, **_judged(data.take(rows), scores[rows], count, seed)}
        for group, level, rows in _levels(data)
    ]


def _levels(data: TrainingSet) -> Iterator[tuple[str, str, Bools]]:
    for sex in SEXES:
        yield "sex", sex, data.sex == sex
    if (other := ~np.isin(data.sex, SEXES)).any():
        yield "sex", "unknown", other
    if (young := data.age < AGES[0][1]).any():
        yield "age", "under 18", young
    for level, begin, end in AGES:
        yield "age", level, (data.age >= begin) & (data.age < end)
    if (unknown := np.isnan(data.age)).any():
        yield "age", "unknown", unknown


def _judged(data: TrainingSet, scores: Floats, count: int, seed: int) -> dict[str, Any]:
    many = {"stays": len(data), "positives": int(data.labels.sum())}
    if not 0 < many["positives"] < many["stays"]:
        nothing = dict.fromkeys(("value", "low", "high"), np.nan)
        return {**many, "auroc": nothing, "calibration_in_the_large": np.nan}
    ranked = Ranked(data.labels, scores)
    found = bootstrap(lambda weights: {"auroc": auroc(ranked.counts(weights))}, data.labels, data.subjects, count, seed)
    large = Calibration(data.labels, scores).in_the_large
    return {**many, "auroc": found["auroc"].interval(), "calibration_in_the_large": large}
