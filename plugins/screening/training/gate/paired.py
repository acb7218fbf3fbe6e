"""Two models on the same patients: how much they differ, and how sure that is, by resampling patients in pairs.

Both are judged by the very same resamples, so that what is hard or easy about a patient falls out of the difference. A
patient's stays are drawn together.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from screening.training.data import Floats, Ints
from screening.training.evaluation.discrimination import Ranked, auprc, auroc
from screening.training.evaluation.intervals import Estimate, bootstrap
from screening.training.evaluation.operating_points import rates

FIGURES = ("auprc", "auroc", "f1")


class Scored(NamedTuple):
    """A model's probabilities of the stays, float64 (n,), and its own threshold; None where it has none."""

    probabilities: Floats
    threshold: float | None


@dataclass(frozen=True, eq=False)
class Paired:
    """One figure of both models.

    Attributes
    ----------
    new, champion, difference
        On the stays as they are; the difference is new less champion. None where undefined: one label only, or no threshold.
    low, high
        Between them lie 95 % of the resampled differences; None as above.
    resampled
        float64 (resamples,), the differences; NaN where a resample has one label only.
    """

    new: float | None
    champion: float | None
    difference: float | None
    low: float | None
    high: float | None
    resampled: Floats

    def share_above(self, limit: float) -> float | None:
        """Return the share of resamples whose difference is `limit` or above; an undefined one is not; None as above."""
        # limits are decimal numbers: 0.3 - 0.31 must not count as less than -0.01
        return None if self.difference is None else float(np.mean(self.resampled >= limit - 1e-9))


def paired(
    labels: Ints, subjects: Ints, new: Scored, champion: Scored, *, resamples: int, seed: int
) -> dict[str, Paired]:
    """Return AUPRC (average precision), AUROC and F1 of two models on the same stays, by name.

    Parameters
    ----------
    labels, subjects
        int64 (n,), at least one: 1 for a positive stay; subject_id, which is what is resampled.
    new, champion
        F1 is each at its own threshold, a stay being called at `probability >= threshold`.
    seed
        The same seed gives the same figures.
    """
    models = {"new": _Model(labels, *new), "champion": _Model(labels, *champion)}

    def figures(weights: Floats) -> dict[str, Floats]:
        told = {who: model.figures(weights) for who, model in models.items()}
        return {f"{who} {name}": told[who][name] for who in told for name in FIGURES}

    found = bootstrap(figures, labels, subjects, resamples, seed)
    return {name: _paired(found[f"new {name}"], found[f"champion {name}"]) for name in FIGURES}


def _paired(new: Estimate, champion: Estimate) -> Paired:
    resampled = new.draws - champion.draws
    defined = resampled[~np.isnan(resampled)]
    low, high = np.quantile(defined, [0.025, 0.975]).tolist() if len(defined) else (np.nan, np.nan)
    mine, theirs = float(new.value), float(champion.value)
    return Paired(_told(mine), _told(theirs), _told(mine - theirs), _told(low), _told(high), resampled)


def _told(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


class _Model:
    """A model's stays in the order of its probabilities, and its threshold."""

    def __init__(self, labels: Ints, probabilities: Floats, threshold: float | None) -> None:
        self._ranked = Ranked(labels, probabilities)
        self._columns = None if threshold is None else self._ranked.columns(threshold)

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Return each figure for each row of weights, float64 (resamples,)."""
        counts = self._ranked.counts(weights)
        f1 = np.full(len(weights), np.nan) if self._columns is None else rates(counts, self._columns)["f1"]
        return {"auprc": auprc(counts), "auroc": auroc(counts), "f1": f1}
