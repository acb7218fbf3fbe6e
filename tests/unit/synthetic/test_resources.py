import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient

from screening.errors import FatalError
from screening.synthetic import Dirt, DirtKind, Hospital, SyntheticPatient, fhir_resources
from screening.synthetic.terms import Style

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MODELS = {"Patient": Patient, "Encounter": Encounter, "Observation": Observation}
STATUSES = {"final", "amended", "corrected", "preliminary", "cancelled", "entered-in-error"}
FILTHY = Dirt(
    partial_birth_date=0.5, unknown_gender=0.5, deceased=0.2, discharged=0.2, zero_value=0.04, no_unit=0.04,
    fahrenheit_as_celsius=0.04, comparator=0.04, string_value=0.04, cancelled=0.04, entered_in_error=0.04, no_time=0.04,
    foreign_focus=0.04, duplicate_id=0.04, duplicate_time=0.04,
)  # fmt: skip
STYLES: tuple[Style, ...] = ("loinc", "mimic")
styles = pytest.mark.parametrize("style", STYLES)


@pytest.fixture(scope="module")
def patients() -> list[SyntheticPatient]:
    hospital = Hospital(25, 5, NOW, FILTHY, vitals_per_day=4)
    return [*hospital.patients(), *hospital.named()]


@pytest.fixture(scope="module")
def records(patients: list[SyntheticPatient]) -> dict[str, list[list[dict[str, Any]]]]:
    return {style: [fhir_resources(patient, style) for patient in patients] for style in STYLES}


Records = dict[str, list[list[dict[str, Any]]]]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


@styles
def test_even_filthy_data_is_valid_fhir(records: Records, style: str) -> None:
    kinds: Counter[str] = Counter()
    for resource in (resource for record in records[style] for resource in record):
        MODELS[resource["resourceType"]].model_validate(resource)
        kinds[resource["resourceType"]] += 1
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])
        assert resource["resourceType"] != "Observation" or resource["status"] in STATUSES
    assert kinds["Patient"] == 28
    assert kinds["Encounter"] >= 56
    assert kinds["Observation"] > 1500


@styles
def test_every_dirt_that_the_style_can_hold_was_among_the_validated(
    patients: list[SyntheticPatient], style: str
) -> None:
    events = [event for patient in patients for event in patient.events if style == "loinc" or event.in_mimic]
    found = {kind for event in events for kind in event.dirt}
    missing = {DirtKind.UNLEAPT_CLOCK} | ({DirtKind.NO_TIME, DirtKind.FOREIGN_FOCUS} if style == "mimic" else set())
    assert found == set(DirtKind) - missing


@styles
def test_ids_are_unique_and_references_resolve(records: Records, style: str) -> None:
    names = Counter(f"{item['resourceType']}/{item['id']}" for record in records[style] for item in record)
    assert set(names.values()) == {1}
    for record in records[style]:
        own = {f"{resource['resourceType']}/{resource['id']}" for resource in record}
        for resource in record:
            contained = {f"#{item['id']}" for item in resource.get("contained", ())}
            assert set(references(resource)) <= own | contained


@styles
def test_resources_share_no_object(records: Records, style: str) -> None:
    before = json.dumps(records[style][0])
    record = json.loads(before)
    again = fhir_resources(Hospital(25, 5, NOW, FILTHY, vitals_per_day=4).patient(0), style)  # type: ignore[arg-type]
    assert again == record
    for resource in again[3:]:
        resource.setdefault("code", {}).clear()
        resource.get("encounter", {}).clear()
        for category in resource.get("category", ()):
            category.clear()
    assert again[:3] == record[:3]
    assert json.dumps(records[style][0]) == before


@styles
def test_one_search_finds_each_inpatient_once(records: Records, patients: list[SyntheticPatient], style: str) -> None:
    found = [
        resource["subject"]["reference"]
        for record in records[style]
        for resource in record
        if resource["resourceType"] == "Encounter"
        and resource["class"] == {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "IMP",
            "display": "inpatient encounter",
        }
        and resource["status"] == "in-progress"
    ]  # fmt: skip
    inpatients = [f"Patient/{patient.patient_id}" for patient in patients if patient.in_hospital]
    assert Counter(found) == Counter(inpatients)
    assert len(inpatients) < len(patients)


@styles
def test_the_icu_is_part_of_the_hospital(records: Records, style: str) -> None:
    for record in records[style]:
        encounters = {item["id"]: item for item in record if item["resourceType"] == "Encounter"}
        codes = Counter(item["class"]["code"] for item in encounters.values())
        assert codes["IMP"] == codes["ACUTE"] == len(encounters) / 2
        for item in encounters.values():
            if item["class"]["code"] == "ACUTE":
                outer = encounters[item["partOf"]["reference"].removeprefix("Encounter/")]
                assert outer["class"]["code"] == "IMP"
                assert outer["period"]["start"] <= item["period"]["start"]


def observations(records: Records, style: str) -> Iterator[dict[str, Any]]:
    return (item for record in records[style] for item in record if item["resourceType"] == "Observation")


def test_loinc_style_has_other_observations_to_leave_out(records: Records) -> None:
    codes = Counter(item["code"]["coding"][-1]["code"] for item in observations(records, "loinc"))
    assert {"85354-9", "2708-6"} <= set(codes)
    assert set(codes) == {
        "8867-4", "9279-1", "8310-5", "8331-1", "6690-2", "2524-7", "32693-4", "2160-0", "38483-4", "85354-9", "2708-6",
    }  # fmt: skip
    panel = next(item for item in observations(records, "loinc") if item["code"]["coding"][0]["code"] == "85354-9")
    parts = {part["code"]["coding"][0]["code"]: part["valueQuantity"]["value"] for part in panel["component"]}
    assert parts["8480-6"] > parts["8462-4"]
    assert "valueQuantity" not in panel


def test_loinc_style_units_are_ucum(records: Records) -> None:
    units = {
        item["valueQuantity"]["code"]
        for item in observations(records, "loinc")
        if "code" in item.get("valueQuantity", {})
    }
    assert units == {"/min", "Cel", "[degF]", "10*3/uL", "10*9/L", "/uL", "mmol/L", "mg/dL", "umol/L", "%"}


def test_local_code_comes_first(records: Records) -> None:
    for style in STYLES:
        several = [item["code"]["coding"] for item in observations(records, style) if len(item["code"]["coding"]) > 1]
        assert several
        assert all("synthetic-hospital" in coding[0]["system"] and len(coding) == 2 for coding in several)


def test_mimic_style_is_in_the_shape_of_mimic_on_fhir(records: Records) -> None:
    pairs = set()
    for item in observations(records, "mimic"):
        coding = item["code"]["coding"][-1]
        is_lab = coding["system"].endswith("mimic-d-labitems")
        quantity = item.get("valueQuantity", {})
        if "unit" in quantity:
            pairs.add((coding["code"], quantity["unit"]))
            assert quantity["system"] == "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-units"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00-0[45]:00", item["effectiveDateTime"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00-0[45]:00", item["issued"])
        assert is_lab or item["status"] == "final"
        assert ("note" in item) == (item["status"] != "final")
    assert pairs == {
        ("220045", "bpm"), ("220210", "insp/min"), ("223761", "°F"), ("223762", "°C"), ("51301", "K/uL"),
        ("50813", "mmol/L"), ("50912", "mg/dL"), ("220179", "mmHg"), ("220180", "mmHg"), ("220277", "%"),
    }  # fmt: skip


def test_mimic_vitals_hang_on_the_icu_and_labs_on_the_hospital(records: Records) -> None:
    seen: Counter[tuple[bool, str | None]] = Counter()
    for record in records["mimic"]:
        classes = {item["id"]: item["class"]["code"] for item in record if item["resourceType"] == "Encounter"}
        for item in record:
            if item["resourceType"] == "Observation":
                is_lab = item["code"]["coding"][-1]["system"].endswith("labitems")
                encounter = item.get("encounter", {}).get("reference", "").removeprefix("Encounter/")
                seen[(is_lab, classes.get(encounter))] += 1
    assert set(seen) == {(False, "ACUTE"), (True, "IMP"), (True, None)}


def test_mimic_birth_date_is_the_first_transfer_less_the_anchor_age(
    records: Records, patients: list[SyntheticPatient]
) -> None:
    for record, patient in zip(records["mimic"], patients, strict=True):
        first = patient.stays[0].registered
        assert int(record[0]["birthDate"][:4]) + patient.anchor_age in (first.year, first.year - 1)
        assert record[0]["birthDate"][5:7] in (f"{first:%m}", f"{(first.month - 2) % 12 + 1:02}")


def test_mimic_birth_date_of_a_first_transfer_on_the_29th_of_february() -> None:
    patient = Hospital(1, 5, NOW).patient(0)
    leap_day = replace(patient.stays[0], registered=datetime(2024, 2, 29, 18, tzinfo=UTC))
    assert fhir_resources(replace(patient, stays=(leap_day,), anchor_age=41), "mimic")[0]["birthDate"] == "1983-02-28"


def test_birth_dates_of_every_precision(records: Records, patients: list[SyntheticPatient]) -> None:
    lengths = {"day": 10, "month": 7, "year": 4}
    for record, patient in zip(records["loinc"], patients, strict=True):
        assert len(record[0]["birthDate"]) == lengths[patient.birth_precision]
        assert patient.birth_date.isoformat().startswith(record[0]["birthDate"])
    assert {patient.birth_precision for patient in patients} == set(lengths)
    assert {record[0]["gender"] for record in records["loinc"]} == {"male", "female", "unknown", "other"}


def test_an_unknown_style_is_refused(patients: list[SyntheticPatient]) -> None:
    with pytest.raises(FatalError, match="snomed"):
        fhir_resources(patients[0], "snomed")  # type: ignore[arg-type]
