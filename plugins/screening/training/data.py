"""The training set: one row a stay, features by the road that screening takes."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Rows to learn from or to be judged by, in the order of stay id.

    Attributes
    ----------
    feature_names
        Columns of `values`, in the schema's order.
    values
        float64 (n, f), canonical units, NaN for missing.
    labels
        int64 (n,), 1 for a positive stay.
    subjects, stays
        int64 (n,): MIMIC's subject_id, by which patients are kept together, and stay_id.
    age, sex
        float64 (n,) completed years at the prediction time, NaN for unknown, and str (n,), `female`, `male` or "": for
        subgroups, whether or not the model uses them.
    """

    feature_names: tuple[str, ...]
    values: Floats
    labels: Ints
    subjects: Ints
    stays: Ints
    age: Floats
    sex: npt.NDArray[np.str_]

    def take(self, rows: Bools | Ints) -> "TrainingSet":
        """Return the rows of a mask or of indices."""
        arrays = [field.name for field in fields(self) if field.name != "feature_names"]
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    def joined(self, other: "TrainingSet") -> "TrainingSet":
        """Return the rows of both, these first; the features must be the same."""
        names = [field.name for field in fields(self) if field.name != "feature_names"]
        arrays: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(self, **arrays)

    def __len__(self) -> int:
        return len(self.labels)
