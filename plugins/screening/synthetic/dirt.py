"""What is wrong with a hospital's data, how often, and whether a soiled value still counts.

Dirt is always valid FHIR: it is what real servers send, not what they would refuse. The same dirt lies in all three
outputs (FHIR in LOINC style, FHIR in MIMIC style, MIMIC CSV) wherever it can exist there; what counts is the same in
all three.

=====================  =========  ==========  =====  ==========================================================
kind                   LOINC      MIMIC FHIR  CSV    in the styles where it cannot exist
=====================  =========  ==========  =====  ==========================================================
fahrenheit             yes        yes         yes
other_unit             yes        no          no     the canonical unit: MIMIC's laboratory has one unit an item
variant_code           yes        no          no     MIMIC's only item id
local_code_first       yes        yes         no     the item id
corrected, labs        yes        yes         yes    MIMIC tells by the comment
amended, preliminary   yes        no          no     `final`
vitals: corrected      yes        no          no     `final`: chartevents has no status
cancelled, labs        yes        yes         yes    MIMIC tells by the comment
entered_in_error       yes        labs        labs   a vital is absent: struck from chartevents
cancelled, vitals      yes        no          no     absent
no_time                yes        no          no     absent: charttime is never null
foreign_focus          yes        no          no     absent: MIMIC has no focus
comparator             yes        yes         yes    CSV: value `<0.5`, valuenum null
string_value           yes        yes         yes    CSV: value `12 (H)`, valuenum null
no_unit                yes        yes         yes    CSV: valueuom null
zero_value             yes        yes         yes
fahrenheit_as_celsius  yes        yes         yes
duplicate_id           yes        yes         yes
duplicate_time         yes        yes         yes
no_encounter           yes        yes         yes    CSV: hadm_id null
other_encounter        yes        always      always MIMIC's vitals hang on the ICU stay, its labs on the admission
unleapt_clock          no         no          yes    03:xx: FHIR carries the offset
=====================  =========  ==========  =====  ==========================================================

Of a patient: `partial_birth_date` is in LOINC style only (MIMIC's birth date is made of the anchor age);
`unknown_gender` is `unknown` or `other` in FHIR and null in the CSV; `anchor_shift` concerns MIMIC's two styles only.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Self

from screening.errors import FatalError


class Expected(StrEnum):
    """Whether an event counts; every other member is the reason why it must be dropped."""

    COUNTS = "counts"
    STATUS = "status"
    COMPARATOR = "comparator"
    NO_UNIT = "no_unit"
    NOT_A_QUANTITY = "not_a_quantity"
    OUT_OF_RANGE = "out_of_range"
    NO_TIME = "no_time"
    FOREIGN_FOCUS = "foreign_focus"
    DUPLICATE = "duplicate"


class DirtKind(StrEnum):
    """One way in which an event is soiled; see the table above."""

    FAHRENHEIT = "fahrenheit"
    OTHER_UNIT = "other_unit"
    VARIANT_CODE = "variant_code"
    LOCAL_CODE_FIRST = "local_code_first"
    OTHER_STATUS = "other_status"
    NO_ENCOUNTER = "no_encounter"
    OTHER_ENCOUNTER = "other_encounter"
    UNLEAPT_CLOCK = "unleapt_clock"
    DUPLICATE_TIME = "duplicate_time"
    DUPLICATE_ID = "duplicate_id"
    ZERO_VALUE = "zero_value"
    FAHRENHEIT_AS_CELSIUS = "fahrenheit_as_celsius"
    COMPARATOR = "comparator"
    STRING_VALUE = "string_value"
    NO_UNIT = "no_unit"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered_in_error"
    NO_TIME = "no_time"
    FOREIGN_FOCUS = "foreign_focus"


REASONS: dict[DirtKind, Expected] = {
    DirtKind.DUPLICATE_ID: Expected.DUPLICATE,
    DirtKind.ZERO_VALUE: Expected.OUT_OF_RANGE,
    DirtKind.FAHRENHEIT_AS_CELSIUS: Expected.OUT_OF_RANGE,
    DirtKind.COMPARATOR: Expected.COMPARATOR,
    DirtKind.STRING_VALUE: Expected.NOT_A_QUANTITY,
    DirtKind.NO_UNIT: Expected.NO_UNIT,
    DirtKind.CANCELLED: Expected.STATUS,
    DirtKind.ENTERED_IN_ERROR: Expected.STATUS,
    DirtKind.NO_TIME: Expected.NO_TIME,
    DirtKind.FOREIGN_FOCUS: Expected.FOREIGN_FOCUS,
}
"""Dirt that makes an event drop; every other kind counts. An event has at most one of these."""


@dataclass(frozen=True, slots=True)
class Dirt:
    """Rates of dirt, each a share of what it can befall.

    Attributes
    ----------
    fahrenheit, other_encounter, partial_birth_date, unknown_gender, anchor_shift
        Share of patients: charted in °F; vitals on the ICU encounter while labs hang on the admission; birth date of
        month or year precision; gender unknown or other; MIMIC anchor year before the year of the first transfer.
    missing_lactate, missing_wbc, missing_creatinine
        Share of patients who never have this lab; for lactate more often the well than the septic.
    silent_day, no_observations, deceased, discharged
        Share of patients: nothing charted in the last 24 h though earlier; nothing ever; dead before now with the
        encounter left open; discharged before now. They exclude each other.
    other_unit, variant_code, local_code_first, other_status, no_encounter
        Share of events; unit and encounter of labs, variant codes of temperature, lactate and creatinine.
    zero_value, fahrenheit_as_celsius
        Share of heart and respiratory rates; share of temperatures.
    comparator, string_value
        Share of labs.
    cancelled, entered_in_error, no_unit, no_time, foreign_focus, duplicate_time, duplicate_id
        Share of events; foreign_focus of vitals.
    unleapt_clock
        Share of events in the hour after the clock leapt forward.

    Raises
    ------
    FatalError
        When a rate is not within 0 to 1, or the rates that exclude each other add up to more than 1.
    """

    fahrenheit: float = 0.5
    other_encounter: float = 0.5
    partial_birth_date: float = 0.015
    unknown_gender: float = 0.02
    anchor_shift: float = 0.05
    missing_lactate: float = 0.35
    missing_wbc: float = 0.04
    missing_creatinine: float = 0.03
    silent_day: float = 0.03
    no_observations: float = 0.01
    deceased: float = 0.01
    discharged: float = 0.04
    other_unit: float = 0.1
    variant_code: float = 0.15
    local_code_first: float = 0.1
    other_status: float = 0.03
    no_encounter: float = 0.2
    zero_value: float = 0.004
    fahrenheit_as_celsius: float = 0.005
    comparator: float = 0.01
    string_value: float = 0.005
    cancelled: float = 0.005
    entered_in_error: float = 0.005
    no_unit: float = 0.005
    no_time: float = 0.002
    foreign_focus: float = 0.002
    duplicate_time: float = 0.01
    duplicate_id: float = 0.01
    unleapt_clock: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise FatalError(f"Dirt.{field.name} must be a share between 0 and 1")
        fates = self.silent_day + self.no_observations + self.deceased + self.discharged
        of_an_event = (
            self.zero_value, self.fahrenheit_as_celsius, self.comparator, self.string_value, self.cancelled,
            self.entered_in_error, self.no_unit, self.no_time, self.foreign_focus, self.duplicate_time,
            self.duplicate_id, self.other_unit,
        )  # fmt: skip
        if fates > 1 or sum(of_an_event) > 1:
            raise FatalError("Dirt: rates that exclude each other add up to more than 1")

    @classmethod
    def none(cls) -> Self:
        """Return a hospital's dream: every rate 0."""
        return cls(**{field.name: 0.0 for field in fields(cls)})
