from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from screening.synthetic import Dirt, DirtKind, Event, Expected, Hospital, SyntheticPatient, fhir_resources
from screening.synthetic.terms import VITALS

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def many() -> list[SyntheticPatient]:
    return list(Hospital(1500, 11, NOW, vitals_per_day=4).patients())


@pytest.fixture(scope="module")
def events(many: list[SyntheticPatient]) -> list[Event]:
    return [event for patient in many for event in patient.events]


def near(found: float, rate: float, total: int) -> bool:
    """Tell whether a share lies within five standard errors of its rate."""
    return abs(found - rate) <= 5 * (rate * (1 - rate) / total) ** 0.5


def test_clean_data_is_clean() -> None:
    for patient in Hospital(40, 11, NOW, Dirt.none()).patients():
        assert all(
            event.dirt == () and event.expected == "counts" and event.unit != "[degF]" for event in patient.events
        )
        assert all(event.charted == event.value and event.status == "final" for event in patient.events)
        assert patient.in_hospital
        assert patient.sex in ("male", "female")
        assert patient.birth_precision == "day"
        assert {event.feature for event in patient.events} >= {"wbc", "lactate", "creatinine"}


def test_fahrenheit_is_the_same_temperature_within_its_rounding() -> None:
    clean = Hospital(20, 11, NOW, Dirt.none())
    warm = Hospital(20, 11, NOW, replace(Dirt.none(), fahrenheit=1.0))
    for spotless, patient in zip(clean.patients(), warm.patients(), strict=True):
        truth = {event.number: event.value for event in spotless.events}
        found = [event for event in patient.events if event.feature == "temperature"]
        assert found
        for event in found:
            assert (event.unit, event.dirt) == ("[degF]", (DirtKind.FAHRENHEIT,))
            assert event.value == pytest.approx(truth[event.number], abs=0.03)
            assert event.charted == pytest.approx(truth[event.number] * 1.8 + 32, abs=0.051)


EVENT_RATES = [
    (DirtKind.LOCAL_CODE_FIRST, lambda event: True),
    (DirtKind.VARIANT_CODE, lambda event: event.feature in ("temperature", "lactate", "creatinine")),
    (DirtKind.OTHER_STATUS, lambda event: True),
    (DirtKind.NO_ENCOUNTER, lambda event: event.is_lab),
    (DirtKind.OTHER_UNIT, lambda event: event.is_lab),
    (DirtKind.ZERO_VALUE, lambda event: event.feature in ("heart_rate", "respiratory_rate")),
    (DirtKind.FAHRENHEIT_AS_CELSIUS, lambda event: event.feature == "temperature"),
    (DirtKind.COMPARATOR, lambda event: event.is_lab),
    (DirtKind.STRING_VALUE, lambda event: event.is_lab),
    (DirtKind.CANCELLED, lambda event: True),
    (DirtKind.ENTERED_IN_ERROR, lambda event: True),
    (DirtKind.NO_UNIT, lambda event: True),
    (DirtKind.NO_TIME, lambda event: True),
    (DirtKind.FOREIGN_FOCUS, lambda event: event.feature in VITALS),
    (DirtKind.DUPLICATE_TIME, lambda event: True),
    (DirtKind.DUPLICATE_ID, lambda event: True),
]


@pytest.mark.parametrize(("kind", "can_befall"), EVENT_RATES, ids=lambda value: getattr(value, "value", ""))
def test_events_are_soiled_at_their_rate(events: list[Event], kind: DirtKind, can_befall) -> None:  # type: ignore[no-untyped-def]
    soiled = [event for event in events if kind in event.dirt]
    assert all(can_befall(event) for event in soiled)
    is_copy = kind in (DirtKind.DUPLICATE_ID, DirtKind.DUPLICATE_TIME)
    originals = [event for event in events if event.number % 2 == 0 and can_befall(event)]
    found = len(soiled) if is_copy else sum(event.number % 2 == 0 for event in soiled)
    rate = getattr(Dirt(), kind.value)
    assert soiled
    assert near(found / len(originals), rate, len(originals))


def test_every_kind_of_dirt_is_tested_somewhere() -> None:
    elsewhere = {DirtKind.FAHRENHEIT, DirtKind.OTHER_ENCOUNTER, DirtKind.UNLEAPT_CLOCK}
    assert {kind for kind, _ in EVENT_RATES} | elsewhere == set(DirtKind)


def test_patients_are_soiled_at_their_rate(many: list[SyntheticPatient]) -> None:
    def share(of: Counter[bool]) -> float:
        return of[True] / of.total()

    rates = Dirt()
    seen = [patient for patient in many if patient.events]
    temperatures = [[event for event in patient.events if event.feature == "temperature"] for patient in seen]
    temperatures = [found for found in temperatures if found]
    mixed = Counter(DirtKind.OTHER_ENCOUNTER in event.dirt for patient in seen for event in patient.events[:1])
    for found, rate in (
        (Counter(any(event.unit == "[degF]" for event in part) for part in temperatures), rates.fahrenheit),
        (Counter(patient.sex in ("unknown", "other") for patient in many), rates.unknown_gender),
        (Counter(patient.birth_precision != "day" for patient in many), rates.partial_birth_date),
        (Counter(not patient.events for patient in many), rates.no_observations),
        (Counter(patient.deceased is not None for patient in many), rates.deceased),
        (Counter(not patient.in_hospital for patient in many), rates.discharged),
        (
            Counter(all(event.feature != "lactate" for event in patient.events) for patient in seen),
            rates.missing_lactate,
        ),
        (Counter(all(event.feature != "wbc" for event in patient.events) for patient in seen), rates.missing_wbc),
    ):
        assert near(share(found), rate, found.total())
    assert 0 < share(mixed) < rates.other_encounter


def test_lactate_is_missing_more_often_in_the_well(many: list[SyntheticPatient]) -> None:
    missing = Counter(patient.septic for patient in many if all(event.feature != "lactate" for event in patient.events))
    all_patients = Counter(patient.septic for patient in many)
    assert missing[False] / all_patients[False] > 1.5 * missing[True] / all_patients[True]


def test_some_inpatients_have_old_data_only(many: list[SyntheticPatient]) -> None:
    silent = [
        patient
        for patient in many
        if patient.in_hospital and not patient.deceased and patient.events and patient.events[-1].time < NOW - DAY
    ]
    assert near(len(silent) / len(many), Dirt().silent_day, len(many))
    current = [[event for event in p.events if event.stay == len(p.stays) - 1] for p in silent]
    assert all(len(found) > 10 for found in current)


def test_the_dead_have_an_open_encounter_and_nothing_charted_afterwards(many: list[SyntheticPatient]) -> None:
    dead = [patient for patient in many if patient.deceased]
    assert dead
    for patient in dead:
        assert patient.deceased is not None
        assert patient.deceased < NOW
        assert all(event.time <= patient.deceased for event in patient.events)
        record = {resource["id"]: resource for resource in fhir_resources(patient, "loinc")}
        assert record[patient.patient_id]["deceasedDateTime"] == f"{patient.deceased:%Y-%m-%dT%H:%M:%SZ}"
        last = record[patient.encounter_id(len(patient.stays) - 1, "hospital")]
        assert last["status"] == "in-progress"
        assert "end" not in last["period"]


def test_copies_are_what_they_say(many: list[SyntheticPatient]) -> None:
    copies = 0
    for patient in many:
        by_number = {event.number: event for event in patient.events}
        for event in patient.events:
            if event.number % 2 == 0:
                continue
            copies += 1
            original = by_number[event.number - 1]
            assert (event.feature, event.time, event.issued) == (original.feature, original.time, original.issued)
            same = DirtKind.DUPLICATE_ID in event.dirt
            assert (event.charted == original.charted) is same
            assert event.expected == (Expected.DUPLICATE if same else Expected.COUNTS)
            assert original.expected == Expected.COUNTS
    assert copies > 100


def test_only_the_marked_values_are_dropped_and_each_for_one_reason(events: list[Event]) -> None:
    reasons = Counter(event.expected for event in events)
    assert set(reasons) == set(Expected)
    dropping = {DirtKind(kind) for kind in DirtKind} - {
        DirtKind.FAHRENHEIT,
        DirtKind.OTHER_UNIT,
        DirtKind.VARIANT_CODE,
        DirtKind.LOCAL_CODE_FIRST,
        DirtKind.OTHER_STATUS,
        DirtKind.NO_ENCOUNTER,
        DirtKind.OTHER_ENCOUNTER,
        DirtKind.UNLEAPT_CLOCK,
        DirtKind.DUPLICATE_TIME,
    }
    for event in events:
        assert (event.expected == Expected.COUNTS) is not any(kind in dropping for kind in event.dirt)
        assert sum(kind in dropping for kind in event.dirt) <= 1


def test_a_rate_of_one_befalls_everything() -> None:
    hospital = Hospital(5, 11, NOW, replace(Dirt.none(), no_unit=1.0))
    assert {event.expected for patient in hospital.patients() for event in patient.events} == {Expected.NO_UNIT}
