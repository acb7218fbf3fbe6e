"""FHIR R4 as kind-lab's MIMIC-IV-on-FHIR conversion writes it: MIMIC's item ids and units, local time with its offset.

As there, the birth date is the date of the first transfer less the anchor age; vitals hang on the ICU encounter, labs
on the hospital one; a comparator stands beside its number. Unlike there, an open stay is open (MIMIC knows finished
ones only), and the hospital encounter's class is IMP, so that one search finds the inpatients of both styles.
"""

from datetime import date
from typing import Any

from screening.synthetic.clock import ZONE, local_text
from screening.synthetic.dirt import DirtKind
from screening.synthetic.mimic_reading import mimic_reading
from screening.synthetic.people import Bystander, Event, SyntheticPatient
from screening.synthetic.terms import (
    CHART_ITEMS,
    DIASTOLIC,
    LAB_ITEMS,
    LOCAL_CODES,
    MIMIC,
    MIMIC_CATEGORY,
    MIMIC_UNITS,
    OBSERVATION_CATEGORY,
    SATURATION,
    SYSTOLIC,
    TERMS,
    Item,
)

Resource = dict[str, Any]


def profile(name: str) -> Resource:
    """Return the meta of a resource that claims one of MIMIC-on-FHIR's profiles."""
    return {"profile": [f"{MIMIC}/StructureDefinition/mimic-{name}"]}


def birth_date(person: SyntheticPatient) -> date:
    """Return the date of the first transfer less the anchor age in years; 29 February becomes the 28th."""
    first = person.stays[0].registered.astimezone(ZONE).date()
    year = first.year - person.anchor_age
    try:
        return first.replace(year=year)
    except ValueError:
        return first.replace(year=year, day=28)


def patient(person: SyntheticPatient) -> Resource:
    """Return the Patient; MIMIC knows the day of a death and not the time."""
    resource: Resource = {
        "resourceType": "Patient",
        "id": person.patient_id,
        "meta": profile("patient"),
        "identifier": [{"system": f"{MIMIC}/identifier/patient", "value": str(person.subject_id)}],
        "name": [{"use": "official", "family": f"Patient_{person.subject_id}"}],
        "gender": person.sex,
        "birthDate": birth_date(person).isoformat(),
    }
    if person.deceased is not None:
        resource["deceasedDateTime"] = person.deceased.astimezone(ZONE).date().isoformat()
    return resource


def observation(person: SyntheticPatient, event: Event) -> Resource:
    """Return the Observation of one event that MIMIC can hold."""
    reading = mimic_reading(event)
    item = Item(reading.itemid, reading.label, reading.uom)
    resource = _frame(person, event, item, person.observation_id(event.number), is_lab=event.is_lab)
    resource["status"] = reading.status
    if DirtKind.LOCAL_CODE_FIRST in event.dirt:
        local = {"system": LOCAL_CODES, "code": TERMS[event.feature].local}
        resource["code"]["coding"].insert(0, local)
    if DirtKind.NO_ENCOUNTER in event.dirt:
        del resource["encounter"]
    if event.is_lab:
        number = str(person.labevent_id(event))
        resource["identifier"] = [{"system": f"{MIMIC}/identifier/observation-labevents", "value": number}]
    if reading.comments:
        resource["note"] = [{"text": reading.comments}]
    if reading.is_numeric or reading.comparator:
        resource["valueQuantity"] = _quantity(reading.number, item.uom)
        if reading.comparator:
            resource["valueQuantity"]["comparator"] = reading.comparator
    else:
        resource["valueString"] = reading.value
    return resource


def bystanders(person: SyntheticPatient, reading: Bystander) -> list[Resource]:
    """Return systolic and diastolic pressure and oxygen saturation, each an Observation as in chartevents."""
    found = []
    for part, item, value in (
        ("systolic", SYSTOLIC, reading.systolic),
        ("diastolic", DIASTOLIC, reading.diastolic),
        ("saturation", SATURATION, reading.saturation),
    ):
        identity = person.observation_id(reading.number, part)
        resource = _frame(person, reading, item, identity, is_lab=False)
        found.append(resource | {"valueQuantity": _quantity(value, item.uom)})
    return found


def _frame(
    person: SyntheticPatient, reading: Event | Bystander, item: Item, identity: str, *, is_lab: bool
) -> Resource:
    if is_lab:
        category = {"system": OBSERVATION_CATEGORY, "code": "laboratory", "display": "Laboratory"}
    else:
        category = {"system": MIMIC_CATEGORY, "code": "Routine Vital Signs"}
    encounter = person.encounter_id(reading.stay, "hospital" if is_lab else "icu")
    coding = {"system": LAB_ITEMS if is_lab else CHART_ITEMS, "code": str(item.itemid), "display": item.label}
    return {
        "resourceType": "Observation",
        "id": identity,
        "meta": profile("observation-labevents" if is_lab else "observation-chartevents"),
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [coding]},
        "subject": {"reference": f"Patient/{person.patient_id}"},
        "encounter": {"reference": f"Encounter/{encounter}"},
        "effectiveDateTime": local_text(reading.time),
        "issued": local_text(reading.issued),
    }


def _quantity(value: float, uom: str) -> Resource:
    quantity: Resource = {"value": value, "system": MIMIC_UNITS}
    if uom:
        quantity |= {"unit": uom, "code": uom}
    return quantity
