"""Which of a subject's values are wanted at all, told for a whole batch of rows at once."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from screening.columns import NOT_A_TIME

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Windows:
    """For each subject the spans of time in which values are wanted.

    Parameters
    ----------
    subjects
        int64 (n,): subject_id of each span; a subject may have several, also overlapping ones.
    first, last
        int64 (n,): UTC microseconds; a value is wanted where first < effective time <= last. A first of `NOT_A_TIME` is
        before all times.
    """

    def __init__(self, subjects: Ints, first: Ints, last: Ints) -> None:
        frame = pd.DataFrame({"subject": subjects, "first": first, "last": last}).sort_values(["subject", "first"])
        # Spans that touch become one, so that of a subject's spans only the nearest one before a time can hold it.
        reach = frame.groupby("subject")["last"].cummax().groupby(frame["subject"]).shift(fill_value=NOT_A_TIME)
        # A new subject says so itself: where all of the past is wanted, its first reaches back as far as no reach at all.
        apart = (frame["first"] > reach) | (frame["subject"] != frame["subject"].shift())
        merged = frame.assign(run=apart.cumsum()).groupby("run")
        self._subject = merged["subject"].first().to_numpy("int64")
        self._first, self._last = merged["first"].min().to_numpy("int64"), merged["last"].max().to_numpy("int64")
        self._known, self._from = np.unique(self._subject, return_index=True)
        self._until = np.append(self._from[1:], len(self._subject))

    def hold(self, subject: Ints, time: Ints, slack: int = 0) -> Bools:
        """Tell which values lie in a span of their subject, give or take `slack` microseconds."""
        held = np.zeros(len(subject), dtype=bool)
        if not len(self._known):
            return held
        place = np.minimum(np.searchsorted(self._known, subject), len(self._known) - 1)
        found = self._known[place] == subject
        first = np.maximum(self._first, NOT_A_TIME + slack) - slack  # an int64 would go round
        at, end = self._from[place], self._until[place]
        # As often as a patient has separate spans: seldom more than five times.
        while (open_ := found & ~held & (at < end)).any():
            here = np.where(open_, at, 0)
            held |= open_ & (first[here] < time) & (time <= self._last[here] + slack)
            at = at + 1
        return held

    def know(self, subject: Ints) -> Bools:
        """Tell which values are of a subject that has a span at all."""
        known: Bools = np.isin(subject, self._known)
        return known
