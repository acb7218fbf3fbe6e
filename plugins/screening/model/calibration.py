"""The one map from a model's raw probability to the one that is shown, fitted on out-of-fold scores and stored.

Two floats (Platt) or a few knots (isotonic) in the model's metadata; the model itself stays as it was fitted, and with it
its exact contributions. Worked out number by number in plain Python: numpy's vectorized log and exp may differ in the last
bit with a number's place in the array, and a patient's probability must not depend on who else is in the batch.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from screening.errors import ModelError
from screening.model.metadata import is_number

NEAREST = 1e-12
"""Log-odds are taken no nearer to 0 and 1 than this: a forest may answer exactly 0."""


@dataclass(frozen=True)
class Platt:
    """A straight line on the log-odds: logit(calibrated) = coef · logit(raw) + intercept; `coef` is positive."""

    coef: float
    intercept: float

    def one(self, probability: float) -> float:
        """Return the calibrated probability of one raw one."""
        raw = min(max(probability, NEAREST), 1 - NEAREST)
        odds = self.coef * math.log(raw / (1 - raw)) + self.intercept
        if odds >= 0:
            return 1 / (1 + math.exp(-odds))
        e = math.exp(odds)
        return e / (1 + e)


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between knots (x ascending strictly, y never descending); constant outside them."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def one(self, probability: float) -> float:
        """Return the calibrated probability of one raw one."""
        if probability <= self.x[0]:
            return self.y[0]
        if probability >= self.x[-1]:
            return self.y[-1]
        k = bisect_right(self.x, probability)
        x0, x1, y0, y1 = self.x[k - 1], self.x[k], self.y[k - 1], self.y[k]
        return y0 + (y1 - y0) * (probability - x0) / (x1 - x0)


Calibration = Platt | Isotonic


def calibrate(calibration: Calibration | None, raw: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return calibrated probabilities, float64 (n,); the raw ones where there is no calibration."""
    if calibration is None:
        return raw
    return np.fromiter(map(calibration.one, raw.tolist()), dtype="float64", count=len(raw))


def parse_calibration(found: Any) -> Calibration | None:
    """Read `metadata["calibration"]`: `{"method": "platt", "coef", "intercept"}` or `{"method": "isotonic", "x", "y"}`.

    None means that the model's probability stands as it is.

    Raises
    ------
    ModelError
        For an unknown method, a parameter that is missing or no finite number, a Platt `coef` not above 0 (it would turn
        high risk into low), or knots that do not ascend or leave 0 to 1.
    """
    if found is None:
        return None
    method = found.get("method") if isinstance(found, Mapping) else None
    if method == "platt":
        coef, intercept = found.get("coef"), found.get("intercept")
        if not (is_number(coef) and is_number(intercept)) or coef <= 0:
            raise ModelError("metadata.calibration: platt needs a coef above 0 and an intercept, both finite numbers")
        return Platt(float(coef), float(intercept))
    if method == "isotonic":
        x, y = _knots(found.get("x")), _knots(found.get("y"))
        fits = len(x) == len(y) >= 2
        if not fits or any(b <= a for a, b in pairwise(x)) or any(b < a for a, b in pairwise(y)):
            raise ModelError("metadata.calibration: isotonic needs x ascending and y never descending, of equal length")
        return Isotonic(x, y)
    raise ModelError('metadata.calibration: the method must be "platt" or "isotonic"; leave the key out for none')


def _knots(found: Any) -> tuple[float, ...]:
    values = found.tolist() if isinstance(found, np.ndarray) else found
    if not isinstance(values, Sequence) or not all(is_number(v) and 0 <= v <= 1 for v in values):
        raise ModelError("metadata.calibration: the knots x and y must be lists of numbers from 0 to 1")
    return tuple(float(v) for v in values)
