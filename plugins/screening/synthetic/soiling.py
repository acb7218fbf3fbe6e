"""Dirt laid on clean events; `dirt` tells the kinds and where each of them can exist."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from screening.synthetic.clock import is_after_leap
from screening.synthetic.dirt import Dirt, DirtKind
from screening.synthetic.people import Event
from screening.synthetic.physiology import SIGNS
from screening.synthetic.terms import FEATURES, OTHER_UNITS, TERMS, charted_as, fahrenheit_to_celsius

DETECTION_LIMITS = {"wbc": 0.1, "lactate": 0.5, "creatinine": 0.2}
_NEXT_READING = {
    "heart_rate": 3.0, "temperature": 0.3, "respiratory_rate": 2.0, "wbc": 0.4, "lactate": 0.2, "creatinine": 0.1,
}  # fmt: skip
_OTHER_STATUSES = ("amended", "corrected", "preliminary")
Bounds = tuple[tuple[float, DirtKind], ...]
"""(upper bound of the draw, kind) of the dirt that excludes each other, for one feature."""
_COPIES = (DirtKind.DUPLICATE_ID, DirtKind.DUPLICATE_TIME)


def soil(
    events: list[Event], dirt: Dirt, rng: np.random.Generator, *, fahrenheit: bool, vitals_on_icu: bool
) -> list[Event]:
    """Return the events with their dirt, copies included; in Fahrenheit where the patient's chart is."""
    bounds = _bounds(dirt)
    draws = rng.random((len(events), 6)).tolist()
    found: list[Event] = []
    for event, (grave, status, code, variant, encounter, leap) in zip(events, draws, strict=True):
        if fahrenheit and event.feature == "temperature":
            event = _in_fahrenheit(event)
        marks = list(event.dirt)
        if code < dirt.local_code_first:
            marks.append(DirtKind.LOCAL_CODE_FIRST)
        if variant < dirt.variant_code and len(TERMS[event.feature].loinc) > 1:
            marks.append(DirtKind.VARIANT_CODE)
        if event.is_lab:
            if encounter < dirt.no_encounter:
                marks.append(DirtKind.NO_ENCOUNTER)
        elif vitals_on_icu:
            marks.append(DirtKind.OTHER_ENCOUNTER)
        if leap < dirt.unleapt_clock and is_after_leap(event.time):
            marks.append(DirtKind.UNLEAPT_CLOCK)
        if status < dirt.other_status:
            marks.append(DirtKind.OTHER_STATUS)
            event = event._replace(status=_OTHER_STATUSES[event.number // 2 % len(_OTHER_STATUSES)])
        found.extend(_graver(event._replace(dirt=tuple(marks)), grave, bounds[event.feature]))
    return found


def _graver(event: Event, draw: float, bounds: Bounds) -> Iterator[Event]:
    """Yield the event with the one graver dirt that the draw chooses, or as it is; a copy comes after its original."""
    for bound, kind in bounds:
        if draw < bound:
            if kind in _COPIES:
                yield event
            changed = _CHANGES[kind](event)
            yield changed._replace(dirt=(*changed.dirt, kind))
            return
    yield event


@lru_cache(maxsize=16)
def _bounds(dirt: Dirt) -> dict[str, Bounds]:
    return {feature: _bounds_of(dirt, feature) for feature in FEATURES}


def _bounds_of(dirt: Dirt, feature: str) -> Bounds:
    kinds = [
        DirtKind.CANCELLED, DirtKind.ENTERED_IN_ERROR, DirtKind.NO_UNIT, DirtKind.NO_TIME, DirtKind.DUPLICATE_ID,
        DirtKind.DUPLICATE_TIME,
    ]  # fmt: skip
    if feature in DETECTION_LIMITS:
        kinds += [DirtKind.COMPARATOR, DirtKind.STRING_VALUE, DirtKind.OTHER_UNIT]
    else:
        kinds += [DirtKind.FOREIGN_FOCUS]
        kinds += [DirtKind.FAHRENHEIT_AS_CELSIUS if feature == "temperature" else DirtKind.ZERO_VALUE]
    rates = [float(getattr(dirt, kind.value)) for kind in kinds]
    return tuple(zip(np.cumsum(rates).tolist(), kinds, strict=True))


def _in_fahrenheit(event: Event) -> Event:
    """Chart in °F; what was charted is then the truth, because a chart keeps only one decimal."""
    charted = charted_as("temperature", event.value, "[degF]")
    value = fahrenheit_to_celsius(charted)
    return event._replace(value=value, charted=charted, unit="[degF]", dirt=(*event.dirt, DirtKind.FAHRENHEIT))


def _as_celsius(event: Event) -> Event:
    charted = charted_as("temperature", event.value, "[degF]")
    marks = tuple(kind for kind in event.dirt if kind is not DirtKind.FAHRENHEIT)
    return event._replace(charted=charted, unit="Cel", dirt=marks)


def _in_error(event: Event) -> Event:
    """Chart a wild value within the plausible range: only the status tells that it must not count."""
    sign = SIGNS[event.feature]
    wild = round(min(event.value * 1.6, sign.high * 1.05), sign.decimals)
    return event._replace(status="entered-in-error", charted=charted_as(event.feature, wild, event.unit))


def _in_other_unit(event: Event) -> Event:
    units = OTHER_UNITS[event.feature]
    unit = units[event.number // 2 % len(units)]
    return event._replace(unit=unit, charted=charted_as(event.feature, event.value, unit))


def _next_reading(event: Event) -> Event:
    value = round(event.value + _NEXT_READING[event.feature], 1)
    copy = event._replace(number=event.number + 1, value=value, charted=value)
    if DirtKind.FAHRENHEIT in event.dirt:
        charted = charted_as("temperature", value, "[degF]")
        copy = copy._replace(charted=charted, value=fahrenheit_to_celsius(charted))
    return copy


_CHANGES: dict[DirtKind, Callable[[Event], Event]] = {
    DirtKind.CANCELLED: lambda event: event._replace(status="cancelled"),
    DirtKind.ENTERED_IN_ERROR: _in_error,
    DirtKind.NO_UNIT: lambda event: event,
    DirtKind.NO_TIME: lambda event: event,
    DirtKind.FOREIGN_FOCUS: lambda event: event,
    DirtKind.STRING_VALUE: lambda event: event,
    DirtKind.DUPLICATE_ID: lambda event: event._replace(number=event.number + 1),
    DirtKind.DUPLICATE_TIME: _next_reading,
    DirtKind.COMPARATOR: lambda event: event._replace(charted=DETECTION_LIMITS[event.feature]),
    DirtKind.OTHER_UNIT: _in_other_unit,
    DirtKind.ZERO_VALUE: lambda event: event._replace(charted=0.0),
    DirtKind.FAHRENHEIT_AS_CELSIUS: _as_celsius,
}
