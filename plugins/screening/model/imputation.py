"""What stands in for a missing value: the median of the training data, the model's own handling of NaN, or nothing.

Never a median of the rows at hand: a patient's probability would depend on who else is in the batch, and one row alone
has no median at all.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Imputed(NamedTuple):
    """A matrix after imputation.

    Attributes
    ----------
    matrix
        float64 (n, f): stored medians where a value was missing, NaN where the model itself deals with it, and NaN in the
        rows that cannot be scored.
    imputed
        bool (n, f): True where a median or the model's own handling of NaN stands in; False throughout an unscorable row.
    unscorable
        bool (n,): True where a value is missing for which the model has neither.
    """

    matrix: npt.NDArray[np.float64]
    imputed: npt.NDArray[np.bool_]
    unscorable: npt.NDArray[np.bool_]


def fill(
    matrix: npt.NDArray[np.float64], feature_names: Sequence[str], medians: Mapping[str, float], handles_missing: bool
) -> Imputed:
    """Fill in stored medians; see `Imputed`. The matrix given is left as it is."""
    missing = np.isnan(matrix)
    filled = np.where(missing, np.array([medians.get(name, np.nan) for name in feature_names]), matrix)
    unscorable = np.zeros(len(matrix), dtype=np.bool_)
    if not handles_missing:
        unscorable |= np.isnan(filled).any(axis=1)
    return Imputed(filled, missing & ~unscorable[:, np.newaxis], unscorable)
