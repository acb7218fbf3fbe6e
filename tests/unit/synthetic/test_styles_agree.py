"""The same hospital read back from its three outputs, by readers that know nothing of the generator."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.synthetic.oracle import Found, instant, read_csv, read_fhir, rows

from screening.synthetic import Dirt, DirtKind, Hospital, fhir_resources, write_mimic_csv

SUMMER = datetime(2026, 6, 1, 12, tzinfo=UTC)
AFTER_LEAP = datetime(2026, 3, 8, 18, tzinfo=UTC)
AFTER_REPEAT = datetime(2026, 11, 1, 18, tzinfo=UTC)
SHIFTED = datetime(2150, 3, 8, 18, tzinfo=UTC)  # MIMIC's dates lie in a far future, beyond the 32-bit end of time zones

days = pytest.mark.parametrize("now", [SUMMER, AFTER_LEAP, AFTER_REPEAT, SHIFTED], ids=lambda now: f"{now:%Y-%m-%d}")


def truth(hospital: Hospital) -> list[Found]:
    return [
        (patient.patient_id, event.feature, event.time, event.value)
        for patient in hospital.patients()
        for event in patient.events
        if event.expected == "counts"
    ]


def same(found: list[Found], expected: list[Found], *, tolerance: float) -> None:
    found, expected = sorted(found), sorted(expected)
    assert [item[:3] for item in found] == [item[:3] for item in expected]
    assert [item[3] for item in found] == pytest.approx([item[3] for item in expected], rel=tolerance)


@days
def test_what_counts_is_the_same_in_all_three(now: datetime, tmp_path: Path) -> None:
    hospital = Hospital(30, 3, now)
    write_mimic_csv(hospital, tmp_path)
    ids = {str(patient.subject_id): patient.patient_id for patient in hospital.patients()}
    loinc, loinc_drops = read_fhir(item for patient in hospital.patients() for item in fhir_resources(patient, "loinc"))
    mimic, mimic_drops = read_fhir(item for patient in hospital.patients() for item in fhir_resources(patient, "mimic"))
    table, table_drops = read_csv(tmp_path)
    assert len(truth(hospital)) > 2000
    same(loinc, truth(hospital), tolerance=1e-5)  # the oracle knows creatinine's molar mass to six digits only
    same(mimic, truth(hospital), tolerance=1e-12)
    assert sorted(mimic) == sorted((ids[who], *rest) for who, *rest in table)  # bit for bit

    events = [event for patient in hospital.patients() for event in patient.events if event.expected != "counts"]
    assert loinc_drops == Counter((event.feature, str(event.expected)) for event in events)
    held = [event for event in events if event.in_mimic]
    assert mimic_drops == table_drops == Counter((event.feature, str(event.expected)) for event in held)
    assert 0 < len(held) < len(events)


def test_clean_data_loses_nothing_anywhere(tmp_path: Path) -> None:
    hospital = Hospital(10, 3, SUMMER, Dirt.none())
    write_mimic_csv(hospital, tmp_path, gz=True)
    expected = truth(hospital)
    assert len(expected) == sum(len(patient.events) for patient in hospital.patients())
    for style in ("loinc", "mimic"):
        found, drops = read_fhir(item for p in hospital.patients() for item in fhir_resources(p, style))
        assert sorted(found) == sorted(expected)
        assert not drops
    table, drops = read_csv(tmp_path)
    assert sorted(item[1:] for item in table) == sorted(item[1:] for item in expected)
    assert not drops


def test_charts_of_the_hour_that_never_was(tmp_path: Path) -> None:
    hospital = Hospital(60, 3, AFTER_LEAP, Dirt(unleapt_clock=0.5), vitals_per_day=24)
    write_mimic_csv(hospital, tmp_path)
    charted = [row["charttime"] for row in rows(tmp_path, "icu/chartevents")]
    never = [text for text in charted if text.startswith("2026-03-08 02:")]
    leapt = [text for text in charted if text.startswith("2026-03-08 03:")]
    assert len(never) > 10
    assert len(leapt) > 10
    assert not any(text.startswith("2026-03-08T02:") for text in effective_times(hospital, "mimic"))
    marked = [event for p in hospital.patients() for event in p.events if DirtKind.UNLEAPT_CLOCK in event.dirt]
    assert {event.time.hour for event in marked} == {7}


def test_nothing_is_charted_twice_an_hour_apart_under_one_time(tmp_path: Path) -> None:
    hospital = Hospital(60, 3, AFTER_REPEAT, vitals_per_day=24)
    write_mimic_csv(hospital, tmp_path)
    charted = [row["charttime"] for row in rows(tmp_path, "icu/chartevents")]
    assert any(text.startswith("2026-11-01 01:") for text in charted)
    assert all(
        "T01:" not in text or "-04:00" in text for text in effective_times(hospital, "mimic") if "11-01T" in text
    )
    for name, columns in (
        ("icu/icustays", ("intime", "outtime")),
        ("hosp/admissions", ("admittime", "dischtime", "edregtime")),
    ):
        exact = {
            moment
            for patient in hospital.patients()
            for stay in patient.stays
            for moment in (stay.icu_in, stay.icu_out, stay.admitted, stay.discharged, stay.registered)
        }
        assert {instant(row[column]) for row in rows(tmp_path, name) for column in columns} <= exact


def effective_times(hospital: Hospital, style: str) -> list[str]:
    return [
        item["effectiveDateTime"]
        for patient in hospital.patients()
        for item in fhir_resources(patient, style)  # type: ignore[arg-type]
        if "effectiveDateTime" in item
    ]
