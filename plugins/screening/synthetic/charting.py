"""The bedside chart and the laboratory of one stay: clean events, before any dirt."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from screening.synthetic.clock import HOUR, has_change, is_repeated
from screening.synthetic.people import Bystander, Event, Stay
from screening.synthetic.physiology import Body, Course, Floats, readings
from screening.synthetic.terms import TERMS, VITALS

_LEFT_OUT = {"heart_rate": 0.05, "temperature": 0.25, "respiratory_rate": 0.05}
_MINUTES_A_DAY = 1440
Reading = TypeVar("Reading", Event, Bystander)
_DRAWS = (("wbc", "creatinine"), ("lactate",))
"""Labs of one tube share their time; lactate comes from a blood gas of its own."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stay as charted.

    Attributes
    ----------
    number
        Index into the patient's stays.
    until, now
        The chart ends at `until`; nothing is issued after `now`.
    """

    stay: Stay
    number: int
    until: datetime
    now: datetime


def chart(
    rng: np.random.Generator, body: Body, course: Course, span: Span, numbers: Iterator[int], *, vitals_per_day: float
) -> tuple[list[Event], list[Bystander]]:
    """Chart a stay from admission to `span.until`.

    Vitals begin in the ICU; the laboratory begins with the admission, so that the hours before the ICU have labs.
    """
    events: list[Event] = []
    step = _MINUTES_A_DAY / vitals_per_day
    for features, start, spacing, lag in (
        (VITALS, span.stay.icu_in, step, (1, 30)),
        *((labs, span.stay.admitted, float(rng.uniform(480, 720)), (25, 120)) for labs in _DRAWS),
    ):
        minutes = _slots(rng, span, start, spacing)
        severity = course.at((minutes + (start - span.stay.icu_in) / timedelta(minutes=1)) / _MINUTES_A_DAY)
        for feature in features:
            lags = rng.integers(*lag, size=len(minutes)).tolist()
            values = readings(rng, feature, body, severity)
            kept = (rng.random(len(minutes)) >= _LEFT_OUT.get(feature, 0.0)).tolist()
            unit = TERMS[feature].unit
            for minute, wait, value, keep in zip(minutes.tolist(), lags, values, kept, strict=True):
                if keep:
                    time = start + timedelta(minutes=minute)
                    issued = time + timedelta(minutes=wait)
                    events.append(Event(next(numbers), feature, span.number, time, issued, value, value, unit))
    bystanders = _bystanders(rng, span, course, numbers, 3 * step)
    return _on_paper(events, span), _on_paper(bystanders, span)


def _slots(rng: np.random.Generator, span: Span, start: datetime, step: float) -> NDArray[np.int64]:
    """Return whole minutes since `start`, one in each step, jittered, in order."""
    count = max(0, int((span.until - start) / timedelta(minutes=step)))
    return np.floor((np.arange(count) + rng.uniform(0.2, 0.8, count)) * step).astype(np.int64)


def _bystanders(
    rng: np.random.Generator, span: Span, course: Course, numbers: Iterator[int], step: float
) -> list[Bystander]:
    minutes = _slots(rng, span, span.stay.icu_in, step)
    severity: Floats = course.at(minutes / _MINUTES_A_DAY)
    systolic = np.clip(118 - 5 * severity + 14 * rng.standard_normal(len(minutes)), 60, 210).astype(np.int64)
    diastolic = np.clip(0.52 * systolic + 5 * rng.standard_normal(len(minutes)), 30, 120).astype(np.int64)
    saturation = np.clip(97 - 0.5 * severity + 1.5 * rng.standard_normal(len(minutes)), 80, 100).astype(np.int64)
    found = []
    for minute, *numbers_read in zip(
        minutes.tolist(), systolic.tolist(), diastolic.tolist(), saturation.tolist(), strict=True
    ):
        time = span.stay.icu_in + timedelta(minutes=minute)
        found.append(Bystander(next(numbers), span.number, time, time + timedelta(minutes=5), *numbers_read))
    return found


def _on_paper(found: list[Reading], span: Span) -> list[Reading]:
    """Leave out what the record does not hold yet and what local time cannot name; see `clock`."""
    if has_change(span.stay.admitted, span.until + 3 * HOUR):
        found = [
            item._replace(issued=item.issued + HOUR) if is_repeated(item.issued) else item
            for item in found
            if not is_repeated(item.time)
        ]
    return [item for item in found if item.issued <= span.now]
