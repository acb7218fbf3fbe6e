"""What screening says of one patient: exactly one outcome, and with `scored` the score and all that it rests on.

"No data" is an outcome of its own and never a low score; a run's counts of outcomes add up to its cohort.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a patient; exactly one holds."""

    SCORED = "scored"
    INSUFFICIENT_DATA = "insufficient_data"
    EXCLUDED = "excluded"
    NOT_FOUND = "not_found"
    FAILED = "failed"


class RiskLevel(StrEnum):
    """The band of a probability; the bounds are the schema's `risk_levels`, inclusive below."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Input:
    """One feature as the model saw it.

    Attributes
    ----------
    feature, display, unit
        The schema's name, its display text and its canonical UCUM unit; `unit` is None for what has none (gender).
    value
        In that unit; None only where the model itself was given a missing value (NaN).
    time
        The newest effective time among the values used; None for a Patient field and for an imputed value.
    count
        How many values were used: 0 for a Patient field and for an imputed value.
    imputed
        True where nothing was observed and a training median (or the model's own handling of NaN) stood in.
    note
        A remark that belongs beside the value ("age from a birth date of year precision"), or "".
    """

    feature: str
    display: str
    unit: str | None
    value: float | None
    time: datetime | None = None
    count: int = 0
    imputed: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class PatientResult:
    """The outcome of one patient at one prediction time.

    Attributes
    ----------
    patient_id
        The logical id on the FHIR server.
    outcome, detail
        What became of the patient, and why: the missing features' names for `insufficient_data`, the reason for
        `excluded` and `failed`; free of PHI.
    prediction_time
        Timezone-aware; None where none could be found (mode `latest` without any value).
    probability
        0 to 1, rounded to 4 decimals, as written and as compared with the bounds; None unless scored.
    contributions
        Feature name → exact TreeSHAP contribution in log-odds; None where the model cannot tell.
    basis
        References of the resources used (`Observation/x/_history/1`), sorted; imputed features have none.
    encounter
        Reference of the encounter of the newest value used, or None.
    """

    patient_id: str
    outcome: Outcome
    detail: tuple[str, ...] = ()
    prediction_time: datetime | None = None
    probability: float | None = None
    risk_level: RiskLevel | None = None
    inputs: tuple[Input, ...] = ()
    contributions: Mapping[str, float] | None = field(default=None, hash=False)
    basis: tuple[str, ...] = ()
    encounter: str | None = None

    @property
    def imputed(self) -> tuple[str, ...]:
        """Names of the features that were not observed but stood in for."""
        return tuple(item.feature for item in self.inputs if item.imputed)
