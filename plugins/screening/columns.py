"""Columns of tables as numpy holds them: coded texts and UTC microseconds; pandas stands at the borders alone.

pandas takes about a tenth of a millisecond for any step on any table, so that a table of ten rows costs what ten thousand
cost. Whoever wants a frame gets one made of the columns, and pandas is imported then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from screening.errors import FatalError

if TYPE_CHECKING:
    import pandas as pd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NOT_A_TIME = -(2**63)
"""Microseconds that stand for NaT; less than every time, so that an unknown time sorts first."""


@dataclass(frozen=True, eq=False, slots=True)
class Texts:
    """A column of texts, none missing.

    Attributes
    ----------
    labels
        The texts that may occur, ascending, each once: the order of the codes is that of the texts.
    codes
        int64 (n,): for each row the place of its text in `labels`.
    """

    labels: Sequence[str]
    codes: Ints

    @classmethod
    def of(cls, column: Sequence[str]) -> Self:
        """Code a sequence of texts."""
        labels = sorted(set(column))
        if len(labels) == 1:
            return cls(labels, np.zeros(len(column), dtype="int64"))
        place = {label: n for n, label in enumerate(labels)}
        return cls(labels, np.fromiter(map(place.__getitem__, column), dtype="int64", count=len(column)))

    @classmethod
    def of_series(cls, column: "pd.Series[str]") -> Self:
        """Code a column of a frame.

        Raises
        ------
        FatalError
            A text is missing.
        """
        import pandas as pd

        codes, labels = pd.factorize(column, sort=True)
        if (codes < 0).any():
            raise FatalError(f"the column {column.name} lacks a text: it must have one in every row")
        return cls(labels.tolist(), codes.astype("int64"))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, where: "Ints | Bools") -> "Texts":
        return Texts(self.labels, self.codes[where])

    def tolist(self) -> list[str]:
        """Return the texts row by row."""
        return [self.labels[code] for code in self.codes.tolist()]

    def array(self) -> "pd.api.extensions.ExtensionArray":
        """Return the texts as a column for a frame, of dtype `str`."""
        import pandas as pd

        return pd.array(list(self.labels), dtype="str").take(self.codes)

    def equals(self, text: str) -> Bools:
        """Tell in which rows a text stands."""
        if text not in self.labels:
            return np.zeros(len(self.codes), dtype=bool)
        same: Bools = self.codes == self.labels.index(text)
        return same


def runs(*keys: Ints | Floats) -> Ints:
    """Return where each run of equal rows begins, ascending: int64, 0 first; empty for no rows."""
    changes = np.zeros(len(keys[0]), dtype=bool)
    changes[:1] = True
    within = changes[1:]
    for key in keys:
        within |= key[1:] != key[:-1]
    return changes.nonzero()[0]


def times(micros: Sequence[int]) -> "pd.DatetimeIndex":
    """Make a UTC time column of microseconds; `NOT_A_TIME` becomes NaT."""
    return as_utc(np.array(micros, dtype="int64"))


def as_utc(t: Ints) -> "pd.DatetimeIndex":
    """Return UTC microseconds as a time column."""
    import pandas as pd

    return pd.DatetimeIndex(t.view("datetime64[us]")).tz_localize("UTC")


def as_micros(column: "pd.Series[pd.Timestamp]") -> Ints:
    """Return UTC microseconds; NaT becomes `NOT_A_TIME`."""
    import pandas as pd

    found: Ints = pd.DatetimeIndex(column).as_unit("us").asi8.astype("int64")
    return found
