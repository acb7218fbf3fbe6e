"""How far probabilities can be taken at their word.

| figure | meaning |
|---|---|
| in the large | by how many log-odds all probabilities are too low; 0 is right |
| intercept, slope | of the line from the probability's log-odds to those of being positive; 0 and 1 are right |
| ECE | mean distance of predicted and observed risk in ten bins of equally many stays |
| E_avg, E_90, E_max | mean, 90th percentile and maximum, over the stays, of what lies between probability and curve |

A slope below 1 says that the probabilities are too extreme: high ones too high, low ones too low.
Lines and curve are logistic regressions by maximum likelihood, the curve on a restricted cubic spline of the log-odds with
five knots at Harrell's percentiles, or three where one label has few stays. ECE and the E figures are never 0, even for a
perfect model: they also hold the noise of few stays. A resample adds noise once more: ECE may lie below its interval.
"""

from typing import Any

import numpy as np

from screening.training.data import Floats, Ints
from screening.training.logistic import fit_logistic, log_odds, probability

BINS = 10
_SPOTS = np.linspace(0.01, 0.99, 60)  # percentiles of the probabilities where the curve is drawn
_KNOTS = ((0.1, 0.5, 0.9), (0.05, 0.275, 0.5, 0.725, 0.95))
_FEW = 100  # stays of the rarer label, below which five knots would follow chance


class Calibration:
    """Probabilities and what became of them, ready for any weights.

    Parameters
    ----------
    labels, scores
        (n,): 1 for a positive stay; probabilities.
    """

    def __init__(self, labels: Ints, scores: Floats) -> None:
        self._labels, self._scores = labels, scores
        odds = log_odds(scores)
        self._odds, ones = odds, np.ones((len(labels), 1))
        self._line = np.hstack([ones, odds[:, np.newaxis]])
        few = min(int(labels.sum()), int((1 - labels).sum())) < _FEW
        self._knots = np.unique(np.quantile(odds, _KNOTS[0 if few else 1], method="inverted_cdf"))
        self._smooth = spline(odds, self._knots)
        self._spots = np.quantile(scores, _SPOTS)
        self._at_spots = spline(log_odds(self._spots), self._knots)
        self._bin = np.searchsorted(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]), scores, side="right")
        each = np.ones((1, len(labels)))
        self._in_the_large, self._recalibrated, self._curve = (
            fit_logistic(ones, labels, each, offset=odds)[0],
            fit_logistic(self._line, labels, each)[0],
            fit_logistic(self._smooth, labels, each)[0],
        )

    @property
    def slope(self) -> float:
        """The slope; NaN where there is none, as for scores that are all equal."""
        return float(self._recalibrated[1])

    @property
    def in_the_large(self) -> float:
        """The calibration in the large, in log-odds."""
        return float(self._in_the_large[0])

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Return `in_the_large`, `intercept`, `slope` and `ece`, (b,), and the curve at its spots, `observed`, (b, 60)."""
        ones = self._line[:, :1]
        large = fit_logistic(ones, self._labels, weights, offset=self._odds, start=self._in_the_large)
        line = fit_logistic(self._line, self._labels, weights, start=self._recalibrated)
        curve = fit_logistic(self._smooth, self._labels, weights, start=self._curve)
        in_bins = np.zeros((len(self._labels), BINS))
        in_bins[np.arange(len(self._labels)), self._bin] = self._labels - self._scores
        return {
            "in_the_large": large[:, 0],
            "intercept": line[:, 0],
            "slope": line[:, 1],
            "ece": np.abs(weights @ in_bins).sum(axis=1) / weights.sum(axis=1),
            "observed": probability(curve @ self._at_spots.T),
        }

    @property
    def predicted(self) -> Floats:
        """The probabilities at which the curve is drawn, float64 (60,)."""
        return self._spots

    def distances(self) -> dict[str, float]:
        """Return `e_avg`, `e_90` and `e_max`; NaN where there is no curve."""
        apart = np.abs(probability(self._smooth @ self._curve) - self._scores)
        return {"e_avg": float(apart.mean()), "e_90": float(np.quantile(apart, 0.9)), "e_max": float(apart.max())}

    def bins(self) -> list[dict[str, Any]]:
        """Return what was predicted and what became of it, from the lowest probabilities up.

        Equal probabilities are in one bin, so that there may be fewer than ten, of different sizes.
        """
        stays = np.bincount(self._bin, minlength=BINS)
        sums = [np.bincount(self._bin, weights=of, minlength=BINS) for of in (self._scores, self._labels)]
        return [
            {
                "predicted": float(sums[0][each] / stays[each]),
                "observed": float(sums[1][each] / stays[each]),
                "stays": int(stays[each]),
            }
            for each in np.flatnonzero(stays)
        ]


def spline(x: Floats, knots: Floats) -> Floats:
    """Return the columns of a restricted cubic spline, float64 (n, k): one of ones, x, and k - 2 that bend.

    Beyond the outer knots it is straight. Fewer than three knots leave a straight line.
    """
    columns = [np.ones_like(x), x]
    for knot in knots[:-2].tolist():
        last, before = knots[-1], knots[-2]
        bent = (
            _cubed(x - knot)
            - _cubed(x - before) * (last - knot) / (last - before)
            + _cubed(x - last) * (before - knot) / (last - before)
        )
        columns.append(bent / (last - knots[0]) ** 2)
    return np.column_stack(columns)


def _cubed(x: Floats) -> Floats:
    return np.maximum(x, 0.0) ** 3
