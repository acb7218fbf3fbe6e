"""The observations table: where both readers end and the one road to the score begins.

One row is one value of one feature that counts by what the record itself says (status, unit, range, subject). Whether it
counts for a prediction time (window, availability) is decided in `features`, because one table can serve many times.

=================  ====================  ========================================================================
column             dtype                 meaning
=================  ====================  ========================================================================
patient_id         str                   logical id on the FHIR server, or MIMIC's key of a stay
feature            str                   name in the schema
effective_time     datetime64[us, UTC]   when it was true of the patient; the end of the day for a date without time
effective_start    datetime64[us, UTC]   the same, or the beginning of the day for a date without time
available_time     datetime64[us, UTC]   when the record could be known (`issued`); NaT where the record does not tell
value              float64               in the feature's canonical unit; 1.0 for a Condition or medication; for an
                                         Encounter its end in hours since 1970, NaN while it is open
unit               str                   the canonical UCUM unit, "" where there is none
source             str                   reference that goes into RiskAssessment.basis, "" where the resource has no id
encounter          str                   reference of the encounter, "" where not given
=================  ====================  ========================================================================

That is the frame, for who wants one; the engine works on the same columns as `Observations` holds them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from screening.columns import Bools, Floats, Ints, Texts, as_micros, as_utc, runs
from screening.patient_records import PatientRecord, by_patient_id, patient_table, records_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "patient_id", "feature", "effective_time", "effective_start", "available_time", "value", "unit", "source", "encounter",
)  # fmt: skip
TIMES = ("effective_time", "effective_start", "available_time")

Row = tuple[str, str, int, int, int, float, str, str, str]
"""One row in the order of `COLUMNS`, times as UTC microseconds."""
Drop = tuple[str, str, str]
"""patient_id ("" where unknown), feature ("" where it concerns none), reason."""


@dataclass(frozen=True, eq=False, slots=True)
class Observations:
    """The table by columns, in the order of `COLUMNS`; times in UTC microseconds, `NOT_A_TIME` where unknown.

    Attributes
    ----------
    in_order
        Whether its rows are known to stand as `ordered` puts them.
    """

    patient_id: Texts
    feature: Texts
    end: Ints
    start: Ints
    available: Ints
    value: Floats
    unit: Texts
    source: Texts
    encounter: Texts
    in_order: bool = False

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> Self:
        """Make the table of rows, in their order."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
        who, what, unit, source, stay = (Texts.of(columns[n]) for n in (0, 1, 6, 7, 8))
        end, start, available = (np.array(column, dtype="int64") for column in columns[2:5])
        return cls(who, what, end, start, available, np.array(columns[5], dtype="float64"), unit, source, stay)

    @classmethod
    def of_frame(cls, frame: "pd.DataFrame") -> Self:
        """Make the table of a frame, in its order."""
        end, start, available = (as_micros(frame[name]) for name in TIMES)
        who, what, unit, source, stay = (
            Texts.of_series(frame[name]) for name in ("patient_id", "feature", "unit", "source", "encounter")
        )
        return cls(who, what, end, start, available, frame["value"].to_numpy("float64"), unit, source, stay)

    def frame(self) -> "pd.DataFrame":
        """Make the frame."""
        import pandas as pd

        data: dict[str, Any] = dict(zip(COLUMNS, self._columns(), strict=True))
        for name, column in data.items():
            data[name] = as_utc(column) if name in TIMES else column.array() if isinstance(column, Texts) else column
        return pd.DataFrame(data)

    def rows(self) -> list[Row]:
        """Return the rows that `of_rows` makes the table of."""
        return list(zip(*(column.tolist() for column in self._columns()), strict=True))

    def _columns(self) -> tuple[Texts, Texts, Ints, Ints, Ints, Floats, Texts, Texts, Texts]:
        return (
            self.patient_id, self.feature, self.end, self.start, self.available, self.value, self.unit, self.source,
            self.encounter,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, where: Bools) -> "Observations":
        if where.all():
            return self
        return self._at(where, in_order=self.in_order)

    def _at(self, where: Ints | Bools, *, in_order: bool) -> "Observations":
        return Observations(
            self.patient_id[where], self.feature[where], self.end[where], self.start[where], self.available[where],
            self.value[where], self.unit[where], self.source[where], self.encounter[where], in_order,
        )  # fmt: skip

    def ordered(self) -> "Observations":
        """Sort by patient, feature, effective and available time, value, source: the order that `first` and `last` mean.

        An unknown available time sorts first: it is available at any time. The last two columns only settle which of two
        resources without an id comes first, so that the order of the input never does.
        """
        return self if self.in_order else self._sorted()[0]

    def _sorted(self) -> "tuple[Observations, bool]":
        """Return the table in its order, and whether no two rows are of one patient, feature and time, as in most charts."""
        at = (self.end, self.feature.codes, self.patient_id.codes)
        table = self if self.in_order else self._at(np.lexsort(at), in_order=True)
        if len(runs(table.patient_id.codes, table.feature.codes, table.end)) == len(table):
            return table, True
        if self.in_order:
            return table, False
        known = ~np.isnan(self.value)
        value = np.where(known, self.value, -np.inf)
        beside = (self.encounter.codes, self.start, self.source.codes, value, known, self.available)
        return self._at(np.lexsort((*beside, *at)), in_order=True), False

    def distinct(self, drops: Counter[Drop]) -> "Observations":
        """Return the table in its order, each value once; what goes is counted in `drops`.

        Same patient, feature, time and value under two ids is one value: the one that was available first stays.
        """
        table, each_alone = self._sorted()
        if each_alone:
            return table
        known = ~np.isnan(table.value)
        at = (table.patient_id.codes, table.feature.codes, table.end)
        said = (*at, table.start, known, np.where(known, table.value, 0))
        order = np.lexsort(said[::-1])  # stable: of equal ones the first in the table's order stands first
        first = np.zeros(len(table), dtype=bool)
        first[order[runs(*(part[order] for part in said))]] = True
        if first.all():
            return table
        again = table[~first]
        pairs = zip(again.patient_id.tolist(), again.feature.tolist(), strict=True)
        drops.update((patient_id, feature, "duplicate") for patient_id, feature in pairs)
        return table[first]


class Reading:
    """What a reader made of its input; `observations` and `patients` may be given as frames or as columns and records.

    Attributes
    ----------
    values
        The table above by columns, free of duplicates, in one order whatever the order of the input.
    records
        One record a patient.
    drops
        (patient_id, feature, reason) → how many values were dropped.
    """

    def __init__(
        self,
        observations: "Observations | pd.DataFrame",
        patients: "Sequence[PatientRecord] | pd.DataFrame",
        drops: Counter[Drop] | None = None,
    ) -> None:
        self.drops: Counter[Drop] = Counter() if drops is None else drops
        if isinstance(observations, Observations):
            self.values = observations
        else:
            self.observations = observations
        if isinstance(patients, Sequence):
            self.records = by_patient_id(patients)
        else:
            self.patients = patients

    @cached_property
    def values(self) -> Observations:
        return Observations.of_frame(self.observations)

    @cached_property
    def records(self) -> list[PatientRecord]:
        return records_of(self.patients)

    @cached_property
    def observations(self) -> "pd.DataFrame":
        """The table above as a frame."""
        return self.values.frame()

    @cached_property
    def patients(self) -> "pd.DataFrame":
        """One row a patient with `PATIENT_COLUMNS`; `deceased_time` as datetime64[us, UTC]."""
        return patient_table(self.records)
