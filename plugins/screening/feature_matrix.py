"""The feature matrix: what the model is given and what it rests on, by columns and, for who wants them, as frames."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from screening.columns import Floats, Ints, as_micros, as_utc
from screening.observations import Drop

if TYPE_CHECKING:
    import pandas as pd

BESIDE = ("patient_id", "prediction_time", "standing", "reason", "encounter")
"""The columns of the frame that are no features."""


@dataclass(frozen=True, eq=False, slots=True)
class Vectors:
    """One row a patient, in the cohort's order.

    Attributes
    ----------
    prediction_time
        int64 (n,): UTC microseconds, `NOT_A_TIME` where none could be found.
    standing, reason
        "" or an `Outcome` settled before any score, and why.
    encounter
        Of the newest value used that names one, "" where none does.
    values
        float64 (n, f), columns as `feature_names`; NaN for missing.
    """

    patient_id: list[str]
    prediction_time: Ints
    standing: list[str]
    reason: list[str]
    encounter: list[str]
    feature_names: tuple[str, ...]
    values: Floats

    @classmethod
    def of_frame(cls, frame: "pd.DataFrame") -> Self:
        """Take the columns of a frame."""
        names = tuple(name for name in frame.columns if name not in BESIDE)
        who, settled, reason, stay = (
            frame[name].tolist() for name in ("patient_id", "standing", "reason", "encounter")
        )
        values = frame[list(names)].to_numpy("float64")
        return cls(who, as_micros(frame["prediction_time"]), settled, reason, stay, names, values)

    def frame(self) -> "pd.DataFrame":
        """Make the frame."""
        import pandas as pd

        beside = (self.patient_id, as_utc(self.prediction_time), self.standing, self.reason, self.encounter)
        frame = pd.DataFrame(
            {
                name: column if name == "prediction_time" else pd.array(column, dtype="str")
                for name, column in zip(BESIDE, beside, strict=True)
            }
        )
        frame[list(self.feature_names)] = self.values
        return frame


@dataclass(frozen=True, slots=True)
class Cells:
    """One row for each (patient, feature) observed: `count` of values used, newest `time` of them, and a `note`."""

    patient_id: list[str]
    feature: list[str]
    count: list[int]
    time: list[int]
    note: list[str]

    @classmethod
    def of_frame(cls, frame: "pd.DataFrame") -> Self:
        """Take the columns of a frame."""
        if frame.empty:
            return cls([], [], [], [], [])
        who, what, count, note = (frame[name].tolist() for name in ("patient_id", "feature", "count", "note"))
        return cls(who, what, count, as_micros(frame["time"]).tolist(), note)

    def frame(self) -> "pd.DataFrame":
        """Make the frame."""
        import pandas as pd

        return pd.DataFrame(
            {
                "patient_id": pd.array(self.patient_id, dtype="str"),
                "feature": pd.array(self.feature, dtype="str"),
                "count": np.array(self.count, dtype="int64"),
                "time": as_utc(np.array(self.time, dtype="int64")),
                "note": pd.array(self.note, dtype="str"),
            }
        )


Basis = Sequence[tuple[str, str, str]]
"""patient_id, feature and source of the values used, each once, sorted."""
_BASIS = ("patient_id", "feature", "source")


class FeatureMatrix:
    """What the model is given, and what it rests on; each part may be given as a frame or by columns.

    Attributes
    ----------
    vectors, observed, sources
        See `Vectors`, `Cells` and `Basis`.
    drops
        As in `Reading`, with what fell outside the window or belongs to no Patient that was read added.
    """

    def __init__(
        self,
        rows: "Vectors | pd.DataFrame",
        cells: "Cells | pd.DataFrame",
        basis: "Basis | pd.DataFrame",
        drops: Counter[Drop] | None = None,
    ) -> None:
        self.drops: Counter[Drop] = Counter() if drops is None else drops
        if isinstance(rows, Vectors):
            self.vectors = rows
        else:
            self.rows = rows
        if isinstance(cells, Cells):
            self.observed = cells
        else:
            self.cells = cells
        if isinstance(basis, Sequence):
            self.sources = basis
        else:
            self.basis = basis

    @cached_property
    def vectors(self) -> Vectors:
        return Vectors.of_frame(self.rows)

    @cached_property
    def observed(self) -> Cells:
        return Cells.of_frame(self.cells)

    @cached_property
    def sources(self) -> Basis:
        return list(zip(*(self.basis[name].tolist() for name in _BASIS), strict=True))

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """One row a patient: `BESIDE`, then a float64 column a feature in the schema's order, NaN for missing."""
        return self.vectors.frame()

    @cached_property
    def cells(self) -> "pd.DataFrame":
        """`patient_id`, `feature`, `count` of values used, `time` of the newest of them, `note`."""
        return self.observed.frame()

    @cached_property
    def basis(self) -> "pd.DataFrame":
        """The sources of the values used: `patient_id`, `feature`, `source`, each once."""
        import pandas as pd

        columns = list(zip(*self.sources, strict=True)) or [()] * len(_BASIS)
        return pd.DataFrame({n: pd.array(list(c), dtype="str") for n, c in zip(_BASIS, columns, strict=True)})
