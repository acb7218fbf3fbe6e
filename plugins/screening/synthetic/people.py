"""The synthetic patient: the truth from which every output is written."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple

from screening.synthetic.dirt import REASONS, DirtKind, Expected
from screening.synthetic.ids import stable_uuid
from screening.synthetic.terms import LABS

Sex = Literal["male", "female", "other", "unknown"]

_STRUCK = {DirtKind.CANCELLED, DirtKind.ENTERED_IN_ERROR}
_FHIR_ONLY = {DirtKind.NO_TIME, DirtKind.FOREIGN_FOCUS}


class Event(NamedTuple):
    """One reading of one feature.

    Attributes
    ----------
    number
        Unique within the patient; ids are made of it. Copies made by dirt have odd numbers.
    stay
        Index into the patient's stays.
    time, issued
        UTC, whole minutes: when it was true, and when the record could know it.
    value
        The truth, in the feature's canonical unit.
    charted, unit
        The number as charted and its UCUM unit. They differ from the truth where dirt says so.
    status
        FHIR status of the LOINC style.
    dirt
        Every way in which it is soiled; empty when clean.
    """

    number: int
    feature: str
    stay: int
    time: datetime
    issued: datetime
    value: float
    charted: float
    unit: str
    status: str = "final"
    dirt: tuple[DirtKind, ...] = ()

    @property
    def expected(self) -> Expected:
        """Whether a reader must count this event, or why it must not."""
        return next((REASONS[kind] for kind in self.dirt if kind in REASONS), Expected.COUNTS)

    @property
    def is_lab(self) -> bool:
        """Whether it comes from the laboratory and not from the bedside chart."""
        return self.feature in LABS

    @property
    def in_mimic(self) -> bool:
        """Whether MIMIC's two styles can hold this event; those that they cannot hold never count anyway."""
        return not any(kind in _FHIR_ONLY or (kind in _STRUCK and not self.is_lab) for kind in self.dirt)


class Bystander(NamedTuple):
    """Readings that no feature wants: blood pressure in mm[Hg], oxygen saturation in %."""

    number: int
    stay: int
    time: datetime
    issued: datetime
    systolic: int
    diastolic: int
    saturation: int


@dataclass(frozen=True, slots=True)
class Stay:
    """One hospital admission with its one ICU stay; all times UTC.

    Attributes
    ----------
    registered, admitted, icu_in, icu_out, discharged
        In this order. `icu_out` and `discharged` may lie after the hospital's now: FHIR then shows the encounter open,
        while the CSV, an export made later, knows them.
    septic, diagnoses
        The label, and the (ICD code without dot, ICD version) pairs billed at discharge, the principal one first.
    died
        Whether the stay ended by death.
    """

    hadm_id: int
    stay_id: int
    registered: datetime
    admitted: datetime
    icu_in: datetime
    icu_out: datetime
    discharged: datetime
    septic: bool
    diagnoses: tuple[tuple[str, int], ...]
    careunit: str
    died: bool = False


@dataclass(frozen=True, slots=True)
class SyntheticPatient:
    """One patient with the whole truth.

    Attributes
    ----------
    index
        Place in the hospital; negative for the named patients.
    now
        The hospital's present, UTC.
    birth_date, birth_precision
        The true date, and how much of it the FHIR record tells.
    septic
        The label of the current (last) stay.
    deceased
        Time of death, or None.
    in_hospital
        Whether the last encounter is open; true also for the dead whose encounter nobody closed.
    stays, events, bystanders
        In order of time.
    anchor_age, anchor_year
        MIMIC's age in years in that year; 91 for all above 89, as MIMIC has it.
    """

    index: int
    now: datetime
    patient_id: str
    subject_id: int
    family: str
    given: str
    sex: Sex
    birth_date: date
    birth_precision: Literal["day", "month", "year"]
    septic: bool
    deceased: datetime | None
    in_hospital: bool
    stays: tuple[Stay, ...]
    events: tuple[Event, ...]
    bystanders: tuple[Bystander, ...]
    anchor_age: int
    anchor_year: int

    def resource_id(self, part: str) -> str:
        """Return the logical id of a resource of this patient, a uuid5; readable for the named patients."""
        return f"{self.patient_id}-{part}" if self.index < 0 else stable_uuid(f"{self.patient_id}/{part}")

    def encounter_id(self, stay: int, kind: Literal["hospital", "icu"]) -> str:
        """Return the logical id of one of the two encounters of a stay."""
        return self.resource_id(f"encounter-{kind}-{stay}")

    def labevent_id(self, event: Event) -> int:
        """Return MIMIC's number of a laboratory event; beyond 32 bits in hospitals of more than 21,000 patients."""
        return (self.subject_id - 10_000_000) * 100_000 + event.number

    def observation_id(self, number: int, part: str = "observation") -> str:
        """Return the logical id of an event's Observation; `part` tells a bystander's readings apart."""
        return self.resource_id(f"{part}-{number}")
