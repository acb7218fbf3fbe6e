"""Two models on the same patients: how much they differ, and how sure that is, by resampling patients in pairs.

Both are judged by the very same resamples, so that what is hard or easy about a patient falls out of the difference. A
patient's stays are drawn together. Sorted once, a resample is a vector of weights and every figure a sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from screening.training.data import Bools, Floats, Ints

FIGURES = ("auprc", "auroc", "f1")
_AT_ONCE = 2_000_000  # weights that are held at a time


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
    models = [_Model(labels, *one) for one in (new, champion)]
    whole = np.ones((1, len(labels)))
    there = [model.figures(whole) for model in models]
    differences: dict[str, list[Floats]] = {name: [] for name in FIGURES}
    for weights in _resampled(subjects, resamples, seed):
        mine, theirs = (model.figures(weights) for model in models)
        for name in FIGURES:
            differences[name].append(mine[name] - theirs[name])
    return {
        name: _paired(float(there[0][name][0]), float(there[1][name][0]), np.concatenate(differences[name]))
        for name in FIGURES
    }


def _paired(new: float, champion: float, resampled: Floats) -> Paired:
    defined = resampled[~np.isnan(resampled)]
    low, high = np.quantile(defined, [0.025, 0.975]).tolist() if len(defined) else (np.nan, np.nan)
    return Paired(_told(new), _told(champion), _told(new - champion), _told(low), _told(high), resampled)


def _told(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _resampled(subjects: Ints, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each row stands in each resample of patients: float64 (some, n), `resamples` in all."""
    distinct, whose = np.unique(subjects, return_inverse=True)
    random, many = np.random.default_rng(seed), len(distinct)
    step = max(1, _AT_ONCE // max(len(subjects), 1))
    for begin in range(0, resamples, step):
        some = min(step, resamples - begin)
        drawn = random.integers(0, many, (some, many)) + many * np.arange(some)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=some * many).reshape(some, many)
        yield counts[:, whose].astype("float64")


class _Model:
    """A model's stays in the order of its probabilities, the highest first."""

    def __init__(self, labels: Ints, probabilities: Floats, threshold: float | None) -> None:
        self._order = np.argsort(-probabilities, kind="stable")
        ranked = probabilities[self._order]
        self._positive = labels[self._order].astype("float64")
        # stays with equal probabilities are told apart by nobody: they count together, at the last of them
        self._last = np.flatnonzero(np.concatenate([ranked[1:] != ranked[:-1], [True]]))
        self._called: Bools | None = None if threshold is None else ranked >= threshold

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Return each figure for each row of weights, float64 (resamples,); NaN where it is undefined."""
        ordered = weights[:, self._order]
        positives = ordered * self._positive
        found, seen = (np.cumsum(part, axis=1)[:, self._last] for part in (positives, ordered))
        whole, wrong = found[:, -1], seen - found
        with np.errstate(divide="ignore", invalid="ignore"):
            more = np.diff(found, axis=1, prepend=0.0)
            # a weight of 0 adds nothing found, wherever it stands; the first stays may all have it
            precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
            auprc = (more * precision).sum(axis=1) / whole
            passed = np.diff(wrong, axis=1, prepend=0.0)
            auroc = ((found - more / 2) * passed).sum(axis=1) / (whole * wrong[:, -1])
        one_label = (whole == 0) | (wrong[:, -1] == 0)
        undefined = {"auprc": np.where(one_label, np.nan, auprc), "auroc": np.where(one_label, np.nan, auroc)}
        return {**undefined, "f1": np.where(one_label, np.nan, self._f1(positives, ordered, whole))}

    def _f1(self, positives: Floats, ordered: Floats, whole: Floats) -> Floats:
        if self._called is None:
            return np.full(len(whole), np.nan)
        called = self._called.astype("float64")
        return np.asarray(2 * (positives @ called) / np.maximum(whole + ordered @ called, 1.0))
