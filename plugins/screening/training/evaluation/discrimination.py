"""How well scores tell positive stays from others: AUROC, average precision and their curves, of any weights.

Scores are sorted once. What a threshold finds is then a sum along that order, whatever the weights are, and stays with the
same score are found together.
"""

from typing import NamedTuple

import numpy as np

from screening.training.data import Floats, Ints
from screening.training.evaluation.intervals import ratio

GRID = np.linspace(0, 1, 101)
"""Where the curves are read: false positive rates, and recalls."""


class Counts(NamedTuple):
    """What is called positive, threshold by threshold from the highest down.

    Attributes
    ----------
    tp, fp
        float64 (b, m + 1), the weight of the positive and of the other stays; first, of no stay at all.
    """

    tp: Floats
    fp: Floats

    @property
    def positives(self) -> Floats:
        """The weight of all positive stays, (b,)."""
        return self.tp[:, -1]

    @property
    def negatives(self) -> Floats:
        """The weight of all others, (b,)."""
        return self.fp[:, -1]


class Ranked:
    """Stays in the order of their scores.

    Parameters
    ----------
    labels, scores
        (n,): 1 for a positive stay; any numbers, a higher one for more risk.
    """

    def __init__(self, labels: Ints, scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._labels = labels[self._order].astype("float64")
        self._falling = -ranked[self._last]
        self.one_label = bool(labels.all() or not labels.any())

    def counts(self, weights: Floats | None = None) -> Counts:
        """Return what each threshold finds; weights are float64 (b, n), None is for the stays as they are."""
        given = np.ones((1, len(self._order))) if weights is None else weights
        ordered = given[:, self._order]
        found = np.cumsum(ordered, axis=1)[:, self._last]
        ordered *= self._labels
        tp = np.cumsum(ordered, axis=1)[:, self._last]
        nothing = np.zeros((len(given), 1))
        return Counts(np.hstack([nothing, tp]), np.hstack([nothing, found - tp]))

    def columns(self, thresholds: Floats | float) -> Ints:
        """Return the columns of `counts` that belong to thresholds: called positive is `score >= threshold`."""
        return np.asarray(np.searchsorted(self._falling, -np.asarray(thresholds), side="right"), dtype="int64")


def auroc(counts: Counts) -> Floats:
    """Return the area under the ROC curve, (b,); a pair with the same score counts one half."""
    area = np.einsum("bm,bm->b", np.diff(counts.fp), counts.tp[:, 1:] + counts.tp[:, :-1]) / 2
    return ratio(area, counts.positives * counts.negatives)


def auprc(counts: Counts) -> Floats:
    """Return the average precision, (b,): steps and no straight lines, which would be too good."""
    found = counts.tp + counts.fp
    precision = counts.tp / np.where(found > 0, found, 1)
    return ratio(np.einsum("bm,bm->b", np.diff(counts.tp), precision[:, 1:]), counts.positives)


def roc(counts: Counts) -> Floats:
    """Return the true positive rate at the false positive rates of `GRID`, (b, 101)."""
    rows = zip(counts.tp, counts.fp, strict=True)
    found = np.array([np.interp(GRID * fp[-1], fp, tp) for tp, fp in rows])
    return ratio(found, counts.positives[:, np.newaxis])


def precision_recall(counts: Counts) -> Floats:
    """Return the precision where a recall of `GRID` is first reached, (b, 101); the steps whose mean `auprc` is."""
    found = np.empty((len(counts.tp), len(GRID)))
    for row, tp, fp in zip(found, counts.tp, counts.fp, strict=True):
        first = np.searchsorted(tp + fp, 0, side="right")  # a resample may lack whoever has the highest score
        at = np.minimum(np.maximum(np.searchsorted(tp, GRID * tp[-1] - 1e-9), first), len(tp) - 1)
        row[:] = ratio(tp[at], tp[at] + fp[at])
    return found
