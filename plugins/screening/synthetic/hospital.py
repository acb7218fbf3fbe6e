"""The synthetic hospital: any number of patients, each a function of (seed, index) alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Literal

import numpy as np

from screening.errors import FatalError
from screening.synthetic.charting import Span, chart
from screening.synthetic.clock import ZONE, whole_minute
from screening.synthetic.dirt import Dirt
from screening.synthetic.ids import stable_uuid
from screening.synthetic.named import named_patients
from screening.synthetic.people import Bystander, Event, Sex, Stay, SyntheticPatient
from screening.synthetic.physiology import Body, Course
from screening.synthetic.soiling import soil
from screening.synthetic.stays import Fate, current_stay, earlier_stay, ending

MOST_PATIENTS = 4_000_000  # MIMIC's numbers have eight digits, and a patient uses two of each kind
_SHARE_BACK_AGAIN = 0.2
_SEPTIC_SHARE = 0.18
_LACTATE_IF_SEPTIC = 0.45
_LACTATE_IF_WELL = (1 - _SEPTIC_SHARE * _LACTATE_IF_SEPTIC) / (1 - _SEPTIC_SHARE)


@dataclass(frozen=True)
class Hospital:
    """A seeded intensive-care hospital.

    Patient `i` depends on (seed, i) and on `now`, `dirt` and `vitals_per_day`, but not on `size`. Dirt draws from a
    stream of its own, so a clean and a dirty hospital of one seed hold the same people and, but for the rounding of a
    chart in Fahrenheit, the same truth.

    Attributes
    ----------
    size
        Number of patients; the three named ones come on top.
    seed
        Not negative.
    now
        The hospital's present, timezone-aware; every time is relative to it.
    dirt
        Rates of what is wrong with the data.
    vitals_per_day
        Sets of vitals charted a day, above 0 to 288; 12 is a normal ward. The default of 6 keeps 200 patients at about
        20,000 FHIR resources.

    Raises
    ------
    FatalError
        When an argument is out of these bounds.
    """

    size: int
    seed: int
    now: datetime
    dirt: Dirt = field(default_factory=Dirt)
    vitals_per_day: float = 6.0

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MOST_PATIENTS:
            raise FatalError(f"a synthetic hospital has 0 to {MOST_PATIENTS} patients")
        if self.seed < 0:
            raise FatalError("the seed of a synthetic hospital must not be negative")
        if self.now.utcoffset() is None:
            raise FatalError("the synthetic hospital's now must be timezone-aware")
        if not 0 < self.vitals_per_day <= 288:
            raise FatalError("vitals_per_day must be above 0 and at most 288")

    def patients(self) -> Iterator[SyntheticPatient]:
        """Yield every patient, one at a time."""
        return (self.patient(index) for index in range(self.size))

    def patient(self, index: int) -> SyntheticPatient:
        """Make one patient; `index` is not held against `size`."""
        return _patient(self, index)

    def named(self) -> tuple[SyntheticPatient, SyntheticPatient, SyntheticPatient]:
        """Return `demo-high`, `demo-moderate` and `demo-low`, clean and complete; they depend on `now` only."""
        return named_patients(self.now)


def _patient(hospital: Hospital, index: int) -> SyntheticPatient:
    rng = np.random.default_rng(np.random.SeedSequence([hospital.seed, index]))
    mess = np.random.default_rng(np.random.SeedSequence([hospital.seed, index, 1]))
    now, dirt = whole_minute(hospital.now), hospital.dirt
    body = Body.draw(rng)
    back_again, *luck = rng.random(3).tolist()
    septic = [draw < body.sepsis_probability() for draw in luck]
    stays: list[Stay] = []
    if back_again < _SHARE_BACK_AGAIN:
        stays.append(earlier_stay(rng, now, _numbers(index, 0), septic=septic[0]))
    stays.append(current_stay(rng, now, _numbers(index, 1), septic=septic[1]))

    end = ending(mess, dirt, stays[-1], now)
    traits = _Traits.draw(mess, dirt, female=body.female, septic=septic[1])
    clean, bystanders = _charts(hospital, rng, body, stays, now)
    stays[-1] = end.stay
    if end.fate is Fate.NO_OBSERVATIONS:
        clean, bystanders = [], []
    kept = [
        event
        for event in clean
        if event.feature not in traits.missing and event.time <= (end.labs_until if event.is_lab else end.vitals_until)
    ]
    events = soil(kept, dirt, mess, fahrenheit=traits.fahrenheit, vitals_on_icu=traits.vitals_on_icu)

    age_days = int(body.age * 365.2425)
    birth_date = now.astimezone(ZONE).date() - timedelta(days=age_days)
    anchor_age, anchor_year = _anchor(
        birth_date, stays[0].registered.astimezone(ZONE).date(), shift=traits.anchor_shift
    )
    return SyntheticPatient(
        index=index,
        now=now,
        patient_id=stable_uuid(f"{hospital.seed}/{index}"),
        subject_id=10_000_000 + index,
        family=f"Synthetic{index}",
        given="Patient",
        sex=traits.sex,
        birth_date=birth_date,
        birth_precision=traits.birth_precision,
        septic=septic[1],
        deceased=end.stay.discharged if end.stay.died else None,
        in_hospital=end.fate is not Fate.DISCHARGED,
        stays=tuple(stays),
        events=tuple(sorted(events, key=lambda event: (event.time, event.number))),
        bystanders=tuple(reading for reading in bystanders if reading.time <= end.vitals_until),
        anchor_age=anchor_age,
        anchor_year=anchor_year,
    )


def _numbers(index: int, stay: int) -> tuple[int, int]:
    return 20_000_000 + 2 * index + stay, 30_000_000 + 2 * index + stay


def _charts(
    hospital: Hospital, rng: np.random.Generator, body: Body, stays: list[Stay], now: datetime
) -> tuple[list[Event], list[Bystander]]:
    numbers = count(0, 2)
    events: list[Event] = []
    bystanders: list[Bystander] = []
    for number, stay in enumerate(stays):
        course = Course.draw(rng, septic=stay.septic)
        span = Span(stay, number, min(now, stay.icu_out), now)
        found, others = chart(rng, body, course, span, numbers, vitals_per_day=hospital.vitals_per_day)
        events += found
        bystanders += others
    return events, bystanders


@dataclass(frozen=True, slots=True)
class _Traits:
    """What dirt does to a whole patient."""

    sex: Sex
    birth_precision: Literal["day", "month", "year"]
    fahrenheit: bool
    vitals_on_icu: bool
    anchor_shift: bool
    missing: frozenset[str]

    @classmethod
    def draw(cls, rng: np.random.Generator, dirt: Dirt, *, female: bool, septic: bool) -> "_Traits":
        draws = rng.random(10).tolist()
        sex: Sex = "female" if female else "male"
        if draws[0] < dirt.unknown_gender:
            sex = "unknown" if draws[1] < 0.7 else "other"
        precision: Literal["day", "month", "year"] = "day"
        if draws[2] < dirt.partial_birth_date:
            precision = "year" if draws[3] < 0.5 else "month"
        no_lactate = dirt.missing_lactate * (_LACTATE_IF_SEPTIC if septic else _LACTATE_IF_WELL)
        rates = {"lactate": no_lactate, "wbc": dirt.missing_wbc, "creatinine": dirt.missing_creatinine}
        missing = frozenset(lab for draw, (lab, rate) in zip(draws[4:7], rates.items(), strict=True) if draw < rate)
        return cls(
            sex,
            precision,
            fahrenheit=draws[7] < dirt.fahrenheit,
            vitals_on_icu=draws[8] < dirt.other_encounter,
            anchor_shift=draws[9] < dirt.anchor_shift,
            missing=missing,
        )


def _anchor(birth: date, first_transfer: date, *, shift: bool) -> tuple[int, int]:
    """Return MIMIC's anchor age and year: those of the first transfer, or of the year before where shifted.

    MIMIC shows every age above 89 as 91.
    """
    had_birthday = (first_transfer.month, first_transfer.day) >= (birth.month, birth.day)
    age = first_transfer.year - birth.year - (0 if had_birthday else 1) - int(shift)
    return (91 if age > 89 else age), first_transfer.year - int(shift)
