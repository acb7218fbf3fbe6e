"""Which search parameters there are, and from which elements each is filled.

This one table decides what is indexed, what can be searched for and what the CapabilityStatement lists, so that the
three cannot come apart.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """FHIR's type of a search parameter; the values are those of the CapabilityStatement."""

    TOKEN = "token"  # noqa: S105 - FHIR's word for a coded value
    DATE = "date"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type.

    Attributes
    ----------
    name, kind
        As in FHIR's definition of the parameter.
    elements
        Top-level elements that are read, in this order; a resource has at most one of several.
    system
        The code system that an element of type `code` implies; "" where the element says it itself.
    targets
        Resource types that a bare id may stand for; empty unless a reference.
    """

    name: str
    kind: Kind
    elements: tuple[str, ...]
    system: str = ""
    targets: tuple[str, ...] = ()


_HL7 = "http://hl7.org/fhir"
_PATIENT = Parameter("patient", Kind.REFERENCE, ("subject",), targets=("Patient",))
_ENCOUNTER = Parameter("encounter", Kind.REFERENCE, ("encounter",), targets=("Encounter",))
_IDENTIFIER = Parameter("identifier", Kind.TOKEN, ("identifier",))
_CODE = Parameter("code", Kind.TOKEN, ("code",))
_MEDICATION = Parameter("code", Kind.TOKEN, ("medicationCodeableConcept",))


def _subject(*targets: str) -> Parameter:
    return Parameter("subject", Kind.REFERENCE, ("subject",), targets=targets)


def _status(system: str) -> Parameter:
    return Parameter("status", Kind.TOKEN, ("status",), system)


def _date(name: str, *elements: str) -> Parameter:
    return Parameter(name, Kind.DATE, elements)


_BY_TYPE: dict[str, tuple[Parameter, ...]] = {
    "Patient": (
        _IDENTIFIER,
        Parameter("gender", Kind.TOKEN, ("gender",), f"{_HL7}/administrative-gender"),
        Parameter("active", Kind.TOKEN, ("active",)),
    ),
    "Observation": (
        _PATIENT,
        _subject("Patient", "Group", "Device", "Location"),
        _ENCOUNTER,
        _IDENTIFIER,
        _CODE,
        _date("date", "effectiveDateTime", "effectivePeriod", "effectiveInstant"),
        _status(f"{_HL7}/observation-status"),
        Parameter("category", Kind.TOKEN, ("category",)),
    ),
    "Encounter": (
        _PATIENT,
        _subject("Patient", "Group"),
        _IDENTIFIER,
        Parameter("class", Kind.TOKEN, ("class",)),
        _status(f"{_HL7}/encounter-status"),
        _date("date", "period"),
    ),
    "Condition": (_PATIENT, _subject("Patient", "Group"), _IDENTIFIER, _CODE),
    "MedicationRequest": (
        _PATIENT,
        _subject("Patient", "Group"),
        _IDENTIFIER,
        _MEDICATION,
        _date("authoredon", "authoredOn"),
        _status(f"{_HL7}/CodeSystem/medicationrequest-status"),
    ),
    "MedicationAdministration": (
        _PATIENT,
        _subject("Patient", "Group"),
        _IDENTIFIER,
        _MEDICATION,
        _date("effective-time", "effectiveDateTime", "effectivePeriod"),
        _status("http://terminology.hl7.org/CodeSystem/medication-admin-status"),
    ),
    "RiskAssessment": (
        _PATIENT,
        _subject("Patient", "Group"),
        _IDENTIFIER,
        _date("date", "occurrenceDateTime", "occurrencePeriod"),
        Parameter("method", Kind.TOKEN, ("method",)),
    ),
    "Group": (_IDENTIFIER,),
    "Device": (_IDENTIFIER,),
}

PARAMETERS: dict[str, dict[str, Parameter]] = {
    resource_type: {parameter.name: parameter for parameter in parameters}
    for resource_type, parameters in _BY_TYPE.items()
}

# Search parameters that every type has, beside its own.
COMMON = {"_id": Kind.TOKEN, "_lastUpdated": Kind.DATE}


def date_parameter(resource_type: str) -> Parameter | None:
    """Give the type's one date parameter, or None."""
    for parameter in PARAMETERS.get(resource_type, {}).values():
        if parameter.kind is Kind.DATE:
            return parameter
    return None
