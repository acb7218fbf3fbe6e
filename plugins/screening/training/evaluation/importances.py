"""What each feature is worth to the model: the AUROC that is lost where its values are dealt out anew."""

from dataclasses import replace
from typing import Any

import numpy as np

from screening.training.data import TrainingSet
from screening.training.evaluation.discrimination import Ranked, auroc
from screening.training.learning.fit import Fitted, probabilities

REPEATS = 10


def importances(best: Fitted, data: TrainingSet, seed: int) -> list[dict[str, Any]]:
    """Deal out each feature's column among the stays, missing values and all, and see what it costs.

    Parameters
    ----------
    data
        Stays that the model never saw.

    Returns
    -------
    list of dict
        In the order of the features: `feature`, `auroc_loss`, the mean of `REPEATS`, and their `sd`. NaN for one label. Two
        features that tell the same stand in for each other, and each alone looks worth little.
    """
    whole = _auroc(best, data)
    rows = []
    for column, name in enumerate(data.feature_names):
        random = np.random.default_rng([seed, column])
        values = data.values.copy()
        losses = []
        for _ in range(REPEATS):
            values[:, column] = random.permutation(data.values[:, column])
            losses.append(whole - _auroc(best, replace(data, values=values)))
        rows.append({"feature": name, "auroc_loss": float(np.mean(losses)), "sd": float(np.std(losses, ddof=1))})
    return rows


def _auroc(best: Fitted, data: TrainingSet) -> float:
    return float(auroc(Ranked(data.labels, probabilities(best, data.values)).counts())[0])
