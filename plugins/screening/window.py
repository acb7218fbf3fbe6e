"""Which values count at a patient's prediction time, and why the others do not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from screening.columns import NOT_A_TIME, Bools, Ints
from screening.observations import Drop, Observations
from screening.schema import Schema
from screening.times import micros, moment

HOUR = 3_600_000_000  # microseconds
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, eq=False, slots=True)
class CohortValues:
    """The observations of a cohort for a schema, in the table's order.

    Attributes
    ----------
    table
        The observations.
    patient, feature
        int64 (n,): places in the cohort and in the schema's features.
    """

    table: Observations
    patient: Ints
    feature: Ints
    cohort: Sequence[str]
    schema: Schema

    @property
    def cell(self) -> Ints:
        """Return for each value its patient's row times the number of features, plus its feature's column."""
        return self.patient * len(self.schema.features) + self.feature

    def of(self, kind: str) -> Bools:
        """Tell which values come from a resource type."""
        return self._among([feature.fhir_resource == kind for feature in self.schema.features.values()])

    def _among(self, wanted: list[bool]) -> Bools:
        found: Bools = np.array(wanted)[self.feature]
        return found

    def __getitem__(self, where: Bools) -> "CohortValues":
        return CohortValues(self.table[where], self.patient[where], self.feature[where], self.cohort, self.schema)

    def counted(self, t: Ints, *, latest: bool, drops: Counter[Drop]) -> Bools:
        """Tell which values count at each patient's prediction time; the others are counted in `drops`.

        Parameters
        ----------
        t
            int64 (patients,): UTC microseconds, or `NOT_A_TIME`, at which nothing counts and nothing is dropped.
        latest
            True leaves availability out of account.
        """
        now = t[self.patient]
        counted: Bools = now != NOT_A_TIME
        for outside, reason in self._outside(now, latest):
            self._drop(counted & outside, reason, drops)
            counted = counted & ~outside
        lone = self._lone(counted)
        self._drop(lone, "lone_value", drops)
        return counted & ~lone

    def _outside(self, now: Ints, latest: bool) -> Iterator[tuple[Bools, str]]:
        """Yield where values do not count, and why; the first reason that holds is the one that is told."""
        stay = self.of("Encounter")
        yield self.table.end > now, "after_prediction_time"
        if not latest:
            yield self.table.available > now, "not_yet_available"  # an unknown time is before every time
        if self.schema.lookback is not None:
            first = now - self.schema.lookback // _MICROSECOND
            yield ~stay & ~self.of("Condition") & (self.table.start <= first), "before_window"
        if stay.any():
            # Whole microseconds, as they were; the NaN of an open stay is never over.
            yield stay & (np.rint(self.table.value * HOUR) <= now), "ended"

    def _lone(self, counted: Bools) -> Bools:
        """Tell which values are the only one of a `delta`: they make no number, so that nothing was observed."""
        wanted = [feature.aggregate == "delta" for feature in self.schema.features.values()]
        if not any(wanted):
            return np.zeros(len(counted), dtype=bool)
        change = counted & self._among(wanted)
        found = np.bincount(self.cell[change], minlength=1)
        lone: Bools = change & (found[np.where(change, self.cell, 0)] == 1)
        return lone

    def _drop(self, mask: Bools, reason: str, drops: Counter[Drop]) -> None:
        if not mask.any():
            return
        names = self.schema.feature_names
        pairs = zip(self.patient[mask].tolist(), self.feature[mask].tolist(), strict=True)
        drops.update((self.cohort[who], names[what], reason) for who, what in pairs)


def cohort_values(
    observations: Observations, schema: Schema, cohort: Sequence[str]
) -> tuple[CohortValues, Counter[Drop]]:
    """Pick a cohort's values of a schema's features; return also how many of each feature belong to nobody in it."""
    table = observations.ordered()
    places = {patient_id: n for n, patient_id in enumerate(cohort)}
    columns = {name: n for n, name in enumerate(schema.features)}
    who = _placed(table.patient_id.labels, places)[table.patient_id.codes]
    what = _placed(table.feature.labels, columns)[table.feature.codes]
    keep = (who >= 0) & (what >= 0)
    nobodys: Counter[Drop] = Counter()
    if not keep.all():
        lost = what[(who < 0) & (what >= 0)].tolist()
        nobodys.update(("", schema.feature_names[column], "foreign_subject") for column in lost)
        table, who, what = table[keep], who[keep], what[keep]
    return CohortValues(table, who, what, cohort, schema), nobodys


def _placed(labels: Sequence[str], places: dict[str, int]) -> Ints:
    return np.array([places.get(label, -1) for label in labels], dtype="int64")


class Outside(NamedTuple):
    """Of what a patient has values that do not count for their age alone; a stale chart is no empty one.

    Attributes
    ----------
    stale
        Feature → the time of its newest value, where that is too old to count.
    half
        Features of which there is only a value of a day, or longer, that lies in the window in part. It does not count, for
        it may have been measured before; and whether it is too old, nobody knows.
    """

    stale: dict[str, datetime]
    half: frozenset[str]


def outside_window(table: Observations, schema: Schema, patient_id: str, at: datetime | None) -> Outside:
    """Return of which features there are values until `at` and none within the window.

    A feature with a value within the window is in neither part, however old its others are. Both are empty without a window,
    or without a time. Conditions and stays never grow too old.
    """
    if schema.lookback is None or at is None:
        return Outside({}, frozenset())
    now, first = micros(at), micros(at - schema.lookback)
    mine = table[table.patient_id.equals(patient_id) & (table.end <= now)]
    newest: dict[str, int] = {}
    within = set()
    for name, start, end in zip(mine.feature.tolist(), mine.start.tolist(), mine.end.tolist(), strict=True):
        if schema.features[name].fhir_resource not in ("Condition", "Encounter"):
            newest[name] = max(end, newest.get(name, end))
            if start > first:
                within.add(name)
    without = {name: end for name, end in newest.items() if name not in within}
    return Outside(
        {name: moment(end) for name, end in without.items() if end <= first},
        frozenset(name for name, end in without.items() if end > first),
    )
