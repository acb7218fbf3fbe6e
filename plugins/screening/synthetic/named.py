"""Three patients that everybody can tell apart: a clear severe sepsis, a borderline picture, and a healthy one.

They are clean and complete: vitals every two hours and labs every eight, over the last two days, on an open inpatient
encounter. No random number is drawn: readings swing about their level in a fixed pattern.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from typing import Literal

from screening.synthetic.clock import HOUR, ZONE, has_change, is_repeated, unambiguous, whole_minute
from screening.synthetic.people import Bystander, Event, Stay, SyntheticPatient
from screening.synthetic.terms import FEATURES, LABS, TERMS

_FIRST_INDEX = 4_999_990
_SWING = (0, 1, -1, 2, 0, -2, 1, -1)
_STEP = {
    "heart_rate": 2.0, "temperature": 0.1, "respiratory_rate": 1.0, "wbc": 0.3, "lactate": 0.1, "creatinine": 0.1,
}  # fmt: skip
_DECIMALS = {"heart_rate": 0, "respiratory_rate": 0}


@dataclass(frozen=True, slots=True)
class _Picture:
    name: str
    sex: Literal["male", "female"]
    age: int
    septic: bool
    diagnoses: tuple[tuple[str, int], ...]
    levels: tuple[float, float, float, float, float, float]  # in the order of FEATURES


_PICTURES = (
    _Picture("high", "male", 78, True, (("A419", 10), ("R6521", 10), ("N179", 10)), (124, 39.3, 31, 23.6, 5.4, 2.9)),
    _Picture("moderate", "female", 66, False, (("J189", 10), ("I10", 10)), (99, 37.7, 21, 13.0, 2.1, 1.3)),
    _Picture("low", "female", 38, False, (("S065X0A", 10),), (72, 36.8, 14, 7.1, 1.0, 0.8)),
)


def named_patients(now: datetime) -> tuple[SyntheticPatient, SyntheticPatient, SyntheticPatient]:
    """Return the high, the moderate and the low patient as of `now` (timezone-aware)."""
    high, moderate, low = (_patient(place, picture, whole_minute(now)) for place, picture in enumerate(_PICTURES))
    return high, moderate, low


def _patient(place: int, picture: _Picture, now: datetime) -> SyntheticPatient:
    number = _FIRST_INDEX + place
    stay = Stay(
        hadm_id=20_000_000 + 2 * number,
        stay_id=30_000_000 + 2 * number,
        registered=unambiguous(now - 56 * HOUR),
        admitted=unambiguous(now - 54 * HOUR),
        icu_in=unambiguous(now - 50 * HOUR),
        icu_out=unambiguous(now + 24 * HOUR),
        discharged=unambiguous(now + 96 * HOUR),
        septic=picture.septic,
        diagnoses=picture.diagnoses,
        careunit="Medical Intensive Care Unit (MICU)",
    )
    today = now.astimezone(ZONE).date()
    birth_date = date(today.year - picture.age - 1, 6, 15)
    registered = stay.registered.astimezone(ZONE).date()
    had_birthday = (registered.month, registered.day) >= (birth_date.month, birth_date.day)
    return SyntheticPatient(
        index=-1 - place,
        now=now,
        patient_id=f"demo-{picture.name}",
        subject_id=10_000_000 + number,
        family="Demo",
        given=picture.name.capitalize(),
        sex=picture.sex,
        birth_date=birth_date,
        birth_precision="day",
        septic=picture.septic,
        deceased=None,
        in_hospital=True,
        stays=(stay,),
        events=_events(picture, now),
        bystanders=_bystanders(now),
        anchor_age=registered.year - birth_date.year - (0 if had_birthday else 1),
        anchor_year=registered.year,
    )


def _events(picture: _Picture, now: datetime) -> tuple[Event, ...]:
    numbers = count(0, 2)
    found = []
    for feature, level in zip(FEATURES, picture.levels, strict=True):
        lab = feature in LABS
        for turn, time in enumerate(_times(now, timedelta(hours=8) if lab else timedelta(hours=2))):
            value = round(level + _SWING[turn % len(_SWING)] * _STEP[feature], _DECIMALS.get(feature, 1))
            issued = time + timedelta(minutes=45 if lab else 5)
            unit = TERMS[feature].unit
            found.append(Event(next(numbers), feature, 0, time, issued, value, value, unit))
    return tuple(sorted(found, key=lambda event: (event.time, event.number)))


def _bystanders(now: datetime) -> tuple[Bystander, ...]:
    times = _times(now, timedelta(hours=6))
    return tuple(
        Bystander(10_000 + 2 * turn, 0, time, time + timedelta(minutes=5), 118 + turn, 66 + turn, 97)
        for turn, time in enumerate(times)
    )


def _times(now: datetime, step: timedelta) -> list[datetime]:
    """Return times over the last two days, the newest one hour before `now`; none that local time cannot name."""
    newest = now - HOUR
    times = [newest - turn * step for turn in range(int(timedelta(hours=48) / step))]
    if has_change(times[-1], now):
        times = [time for time in times if not is_repeated(time)]
    return times[::-1]
