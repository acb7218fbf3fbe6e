"""When patients come and go, and what is billed at discharge."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate

import numpy as np

from screening.synthetic.clock import unambiguous
from screening.synthetic.dirt import Dirt
from screening.synthetic.people import Stay

HOUR = timedelta(hours=1)

_SEPSIS = (
    ((("A419", 10), ("R6520", 10)), 0.3),
    ((("A419", 10), ("R6521", 10)), 0.25),
    ((("A4151", 10),), 0.1),
    ((("A4189", 10), ("R6521", 10)), 0.1),
    ((("0389", 9), ("99592", 9), ("78552", 9)), 0.15),
    ((("0389", 9), ("99591", 9)), 0.1),
)
_PRINCIPAL = {10: ("I5023", "I214", "J9601", "K922", "I639", "S065X0A"), 9: ("41071", "4280", "51881", "5789", "43491")}
_SECONDARY = {
    10: ("I10", "E119", "N179", "J189", "I2510", "E785", "Z87891"),
    9: ("4019", "25000", "5849", "486", "41401", "2724", "V1582"),
}
_CAREUNITS = (
    "Medical Intensive Care Unit (MICU)",
    "Surgical Intensive Care Unit (SICU)",
    "Medical/Surgical Intensive Care Unit (MICU/SICU)",
    "Trauma SICU (TSICU)",
    "Coronary Care Unit (CCU)",
)


class Fate(StrEnum):
    """What became of the current stay; see `Dirt`."""

    IN_HOSPITAL = "in_hospital"
    SILENT_DAY = "silent_day"
    NO_OBSERVATIONS = "no_observations"
    DECEASED = "deceased"
    DISCHARGED = "discharged"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the current stay stands now, and until when its bedside chart and its laboratory speak."""

    fate: Fate
    stay: Stay
    vitals_until: datetime
    labs_until: datetime


def current_stay(rng: np.random.Generator, now: datetime, numbers: tuple[int, int], *, septic: bool) -> Stay:
    """Return a stay that began 1 to 6 days before `now` and is planned to last beyond it.

    `numbers` are its hadm_id and its stay_id.
    """
    before, wait, bed, stay_on, ward = rng.uniform((24, 1, 0.5, 5, 1), (144, 4, 6, 72, 96)).tolist()
    admitted = now - before * HOUR
    icu_in = admitted + bed * HOUR
    return _stay(rng, numbers, (admitted - wait * HOUR, admitted, icu_in, now + stay_on * HOUR, ward), septic=septic)


def earlier_stay(rng: np.random.Generator, now: datetime, numbers: tuple[int, int], *, septic: bool) -> Stay:
    """Return a finished stay of some weeks to two years before `now`, with 1 to 4 days in intensive care."""
    before, wait, bed, stay_on, ward = rng.uniform((30 * 24, 1, 0.5, 24, 1), (700 * 24, 4, 6, 96, 96)).tolist()
    admitted = now - before * HOUR
    icu_in = admitted + bed * HOUR
    return _stay(rng, numbers, (admitted - wait * HOUR, admitted, icu_in, icu_in + stay_on * HOUR, ward), septic=septic)


def _stay(
    rng: np.random.Generator,
    numbers: tuple[int, int],
    course: tuple[datetime, datetime, datetime, datetime, float],
    *,
    septic: bool,
) -> Stay:
    # An hour taken back where the local clock repeats itself must not turn the order around.
    moments = (*course[:4], course[3] + course[4] * HOUR)
    registered, admitted, icu_in, icu_out, discharged = accumulate(
        (unambiguous(_minute(each)) for each in moments), max
    )
    careunit = _CAREUNITS[int(rng.integers(len(_CAREUNITS)))]
    return Stay(
        *numbers, registered, admitted, icu_in, icu_out, discharged, septic, _diagnoses(rng, septic=septic), careunit
    )


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _diagnoses(rng: np.random.Generator, *, septic: bool) -> tuple[tuple[str, int], ...]:
    """Draw what is billed; an admission is coded in one ICD version throughout."""
    if septic:
        first = _SEPSIS[int(rng.choice(len(_SEPSIS), p=[share for _, share in _SEPSIS]))][0]
    else:
        version = 10 if rng.random() < 0.75 else 9
        first = ((_PRINCIPAL[version][int(rng.integers(len(_PRINCIPAL[version])))], version),)
    version = first[0][1]
    pool = _SECONDARY[version]
    more = rng.permutation(len(pool))[: int(rng.integers(1, 5))].tolist()
    return first + tuple((pool[place], version) for place in more)


def ending(rng: np.random.Generator, dirt: Dirt, stay: Stay, now: datetime) -> Ending:
    """Draw how the current stay stands at `now`."""
    fate = _fate(float(rng.random()), dirt, now - stay.admitted)
    hours, tail = rng.uniform((0, 0.5), (1, 4)).tolist()
    if fate is Fate.SILENT_DAY:
        silent = now - (25 + 20 * hours) * HOUR
        return Ending(fate, stay, silent, silent)
    if fate is Fate.DECEASED:
        died = unambiguous(_minute(now - (1 + 11 * hours) * HOUR))
        return Ending(fate, replace(stay, icu_out=died, discharged=died, died=True), died, died)
    if fate is Fate.DISCHARGED:
        left = unambiguous(_minute(now - (1 + 9 * hours) * HOUR))
        icu_out = unambiguous(_minute(left - tail * HOUR))
        return Ending(fate, replace(stay, icu_out=icu_out, discharged=left), icu_out, left)
    return Ending(fate, stay, now, now)


_LONG_ENOUGH = 60 * HOUR
_SHARE_LONG_ENOUGH = 0.7  # of admissions spread evenly over 24 to 144 hours before now


def _fate(draw: float, dirt: Dirt, age: timedelta) -> Fate:
    """Choose by one draw; a silent last day needs a stay that is older, so it is drawn more often among those."""
    silent = dirt.silent_day / _SHARE_LONG_ENOUGH if age >= _LONG_ENOUGH else 0.0
    rates = (
        (Fate.NO_OBSERVATIONS, dirt.no_observations),
        (Fate.DECEASED, dirt.deceased),
        (Fate.DISCHARGED, dirt.discharged),
        (Fate.SILENT_DAY, silent),
    )
    for fate, rate in rates:
        if draw < rate:
            return fate
        draw -= rate
    return Fate.IN_HOSPITAL
