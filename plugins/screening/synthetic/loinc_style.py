"""FHIR R4 as most EHRs send it: LOINC codes, UCUM units, times in UTC."""

from typing import Any, Literal

from screening.synthetic.clock import utc_text
from screening.synthetic.dirt import DirtKind
from screening.synthetic.mimic_reading import flagged_text, number_text
from screening.synthetic.people import Bystander, Event, SyntheticPatient
from screening.synthetic.terms import LOCAL_CODES, LOINC, OBSERVATION_CATEGORY, TERMS, UCUM

Resource = dict[str, Any]

MRN = "https://synthetic-hospital.example.org/mrn"
VISIT = "https://synthetic-hospital.example.org/visit"
_BIRTH_DATE_LENGTH = {"day": 10, "month": 7, "year": 4}


def patient(person: SyntheticPatient) -> Resource:
    """Return the Patient; a birth date of the precision that the record has."""
    resource: Resource = {
        "resourceType": "Patient",
        "id": person.patient_id,
        "identifier": [{"system": MRN, "value": person.patient_id}],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": person.sex,
        "birthDate": person.birth_date.isoformat()[: _BIRTH_DATE_LENGTH[person.birth_precision]],
    }
    if person.deceased is not None:
        resource["deceasedDateTime"] = utc_text(person.deceased)
    return resource


def observation(person: SyntheticPatient, event: Event) -> Resource:
    """Return the Observation of one event."""
    dirt = event.dirt
    kind: Literal["icu", "hospital"] = "icu" if DirtKind.OTHER_ENCOUNTER in dirt else "hospital"
    resource = _frame(person, event, event.number, "observation", "laboratory" if event.is_lab else "vital-signs")
    resource["status"] = event.status
    resource["code"] = _code(event)
    if DirtKind.NO_ENCOUNTER not in dirt:
        resource["encounter"] = {"reference": f"Encounter/{person.encounter_id(event.stay, kind)}"}
    if DirtKind.NO_TIME in dirt:
        del resource["effectiveDateTime"]
    if DirtKind.FOREIGN_FOCUS in dirt:
        # What a monitor of the unborn writes into the mother's chart.
        subject = {"reference": f"Patient/{person.patient_id}"}
        resource["contained"] = [{"resourceType": "RelatedPerson", "id": "unborn", "patient": subject}]
        resource["focus"] = [{"reference": "#unborn"}]
    if DirtKind.STRING_VALUE in dirt:
        resource["valueString"] = flagged_text(number_text(event.charted))
    else:
        resource["valueQuantity"] = _quantity(event)
    return resource


def _frame(person: SyntheticPatient, reading: Event | Bystander, number: int, part: str, category: str) -> Resource:
    return {
        "resourceType": "Observation",
        "id": person.observation_id(number, part),
        "status": "final",
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": category}]}],
        "code": {},
        "subject": {"reference": f"Patient/{person.patient_id}"},
        "effectiveDateTime": utc_text(reading.time),
        "issued": utc_text(reading.issued),
    }


def _code(event: Event) -> Resource:
    term = TERMS[event.feature]
    code, display = term.loinc[1 if DirtKind.VARIANT_CODE in event.dirt else 0]
    coding = [{"system": LOINC, "code": code, "display": display}]
    if DirtKind.LOCAL_CODE_FIRST in event.dirt:
        coding.insert(0, {"system": LOCAL_CODES, "code": term.local})
    return {"coding": coding}


def _quantity(event: Event) -> Resource:
    if DirtKind.NO_UNIT in event.dirt:
        return {"value": event.charted}
    quantity: Resource = {"value": event.charted, "unit": event.unit, "system": UCUM, "code": event.unit}
    if DirtKind.COMPARATOR in event.dirt:
        quantity["comparator"] = "<"
    return quantity


def bystanders(person: SyntheticPatient, reading: Bystander) -> list[Resource]:
    """Return a blood pressure panel with its two components, and an oxygen saturation."""
    encounter = {"reference": f"Encounter/{person.encounter_id(reading.stay, 'hospital')}"}
    pressure = _frame(person, reading, reading.number, "pressure", "vital-signs")
    pressure["code"] = _loinc("85354-9", "Blood pressure panel with all children optional")
    pressure["encounter"] = encounter
    pressure["component"] = [
        {"code": _loinc(code, display), "valueQuantity": _measure(value, "mm[Hg]")}
        for code, display, value in (
            ("8480-6", "Systolic blood pressure", reading.systolic),
            ("8462-4", "Diastolic blood pressure", reading.diastolic),
        )
    ]
    saturation = _frame(person, reading, reading.number, "saturation", "vital-signs")
    saturation["code"] = _loinc("2708-6", "Oxygen saturation in Arterial blood")
    saturation["encounter"] = dict(encounter)
    saturation["valueQuantity"] = _measure(reading.saturation, "%")
    return [pressure, saturation]


def _loinc(code: str, display: str) -> Resource:
    return {"coding": [{"system": LOINC, "code": code, "display": display}]}


def _measure(value: int, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}
