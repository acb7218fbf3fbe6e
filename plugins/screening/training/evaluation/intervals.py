"""Intervals by resampling patients, so that a figure comes with what another draw of patients would have made of it.

A patient's stays resemble each other; whoever resamples stays believes to have seen more than was seen. So a patient comes
with all stays, as often as drawn, and a resample is a weight for each row. Every figure here is worked out for many
resamples at once, from weights of shape (b, n).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from screening.training.data import Floats, Ints

Figures = Callable[[Floats], Mapping[str, Floats]]
"""From weights, float64 (b, n), to figures by name, float64 (b,) or (b, k); NaN where a figure is undefined."""
_OUTSIDE = 0.025  # of the resamples on each side: an interval of 95 %
_BLOCK = 2**17  # weights that are held at once: few enough for the processor's cache, and for any size of data


@dataclass(frozen=True, eq=False)
class Estimate:
    """A figure and what it was in the resamples.

    Attributes
    ----------
    value
        float64 () or (k,), of the rows as they are.
    draws
        float64 (r,) or (r, k). NaN is undefined, and infinity stands for a figure without a bound.
    """

    value: Floats
    draws: Floats

    @property
    def undefined(self) -> int:
        """The number of resamples in which the figure is undefined."""
        return len(self.draws) - len(self._defined())

    def interval(self) -> dict[str, float]:
        """Return `value`, `low` and `high`; see `band`."""
        return {"value": float(self.value), **{side: float(bound) for side, bound in self._bounds().items()}}

    def band(self) -> dict[str, list[float]]:
        """Return `low` and `high` of a curve, point by point: 95 % of the resamples in which it is defined lie between.

        NaN where it is defined in fewer than half of them, or in the rows as they are it is not.
        """
        return {side: bound.tolist() for side, bound in self._bounds().items()}

    def _defined(self) -> Floats:
        return self.draws[~np.isnan(self.draws.reshape(len(self.draws), -1)).any(axis=1)]

    def _bounds(self) -> dict[str, Any]:
        ordered = np.sort(self._defined(), axis=0)
        if 2 * len(ordered) < len(self.draws) or np.isnan(self.value).any():
            return {side: np.full_like(self.value, np.nan) for side in ("low", "high")}
        outside = int(_OUTSIDE * len(ordered))
        return {"low": ordered[outside], "high": ordered[-1 - outside]}


def bootstrap(figures: Figures, labels: Ints, subjects: Ints, count: int, seed: int) -> dict[str, Estimate]:
    """Work out figures on rows as they are, and on resamples of their patients.

    Parameters
    ----------
    figures
        Called with weights of several resamples; a row of weights of one label alone may give anything, it is not used.
    labels, subjects
        int64 (n,): 1 for a positive stay; subject_id.
    count
        How many resamples.
    seed
        The same seed and patients give the same resamples, so that two models' figures can be held against each other.

    Returns
    -------
    dict
        By the names of `figures`. All are undefined where the rows have one label.
    """
    ones = np.ones((1, len(labels)))
    whole = _both_labels(figures, labels, ones)
    drawn = [_both_labels(figures, labels, weights) for weights in resamples(subjects, count, seed)]
    return {name: Estimate(value[0], np.concatenate([block[name] for block in drawn])) for name, value in whole.items()}


def resamples(subjects: Ints, count: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of weights, float64 (b, n): how often each row's patient was drawn; `count` rows in all."""
    patients, place = np.unique(subjects, return_inverse=True)
    random = np.random.default_rng(seed)
    size = max(1, _BLOCK // max(1, len(subjects)))
    for begin in range(0, count, size):
        block = np.empty((min(size, count - begin), len(subjects)))
        for row in block:
            drawn = random.integers(0, len(patients), len(patients))
            row[:] = np.bincount(drawn, minlength=len(patients))[place]
        yield block


def _both_labels(figures: Figures, labels: Ints, weights: Floats) -> dict[str, Floats]:
    positives, all_ = weights @ labels, weights.sum(axis=1)
    one_label = (positives == 0) | (positives == all_)
    found = {name: np.array(value, dtype="float64") for name, value in figures(weights).items()}
    for value in found.values():
        value[one_label] = np.nan
    return found


def ratio(part: Any, whole: Any) -> Floats:
    """Return part by whole, NaN where the whole is nothing."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype="float64"), np.asarray(whole, dtype="float64"))
    found: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
    return found
