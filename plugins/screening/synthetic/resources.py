"""A synthetic patient as FHIR R4 resources, in either style."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from screening.errors import FatalError
from screening.synthetic import loinc_style, mimic_style
from screening.synthetic.clock import local_text, utc_text
from screening.synthetic.people import Bystander, Event, Stay, SyntheticPatient
from screening.synthetic.terms import ACT_CODE, MIMIC, Style

Resource = dict[str, Any]


class _Writer(NamedTuple):
    patient: Callable[[SyntheticPatient], Resource]
    observation: Callable[[SyntheticPatient, Event], Resource]
    bystanders: Callable[[SyntheticPatient, Bystander], list[Resource]]
    time: Callable[[datetime], str]


_WRITERS: dict[str, _Writer] = {
    "loinc": _Writer(loinc_style.patient, loinc_style.observation, loinc_style.bystanders, utc_text),
    "mimic": _Writer(mimic_style.patient, mimic_style.observation, mimic_style.bystanders, local_text),
}


def fhir_resources(patient: SyntheticPatient, style: Style) -> list[Resource]:
    """Return a patient's record as plain JSON: Patient, Encounters, then Observations in order of time.

    Ids are the same in both styles, so one server can hold one of them only. Every stay is two Encounters: the
    hospital's of class IMP, and within it the ICU's of class ACUTE. No resource shares an object with another.

    Raises
    ------
    FatalError
        When `style` is neither `loinc` nor `mimic`.
    """
    writer = _WRITERS.get(style)
    if writer is None:
        raise FatalError(f"the synthetic hospital has no FHIR style {style!r}: use one of {', '.join(_WRITERS)}")
    found = [writer.patient(patient)]
    for number, stay in enumerate(patient.stays):
        found += _encounters(patient, number, stay, style)
    found += [writer.observation(patient, event) for event in patient.events if style == "loinc" or event.in_mimic]
    for reading in patient.bystanders:
        found += writer.bystanders(patient, reading)
    return found


def _encounters(patient: SyntheticPatient, number: int, stay: Stay, style: Style) -> list[Resource]:
    is_open = patient.in_hospital and number == len(patient.stays) - 1
    identities = [patient.encounter_id(number, kind) for kind in ("hospital", "icu")]
    text = _WRITERS[style].time
    found: list[Resource] = []
    for identity, code, display, start, end in (
        (identities[0], "IMP", "inpatient encounter", stay.admitted, stay.discharged),
        (identities[1], "ACUTE", "inpatient acute", stay.icu_in, stay.icu_out),
    ):
        period = {"start": text(start)} if is_open else {"start": text(start), "end": text(end)}
        found.append(
            {
                "resourceType": "Encounter",
                "id": identity,
                "status": "in-progress" if is_open else "finished",
                "class": {"system": ACT_CODE, "code": code, "display": display},
                "subject": {"reference": f"Patient/{patient.patient_id}"},
                "period": period,
            }
        )
    found[1]["partOf"] = {"reference": f"Encounter/{identities[0]}"}
    names = (("encounter-hosp", "encounter", stay.hadm_id), ("encounter-icu", "encounter-icu", stay.stay_id))
    for encounter, (system, profile, value) in zip(found, names, strict=True):
        if style == "mimic":
            encounter["meta"] = mimic_style.profile(profile)
            encounter["identifier"] = [{"system": f"{MIMIC}/identifier/{system}", "value": str(value)}]
        else:
            encounter["identifier"] = [{"system": loinc_style.VISIT, "value": encounter["id"]}]
    return found
