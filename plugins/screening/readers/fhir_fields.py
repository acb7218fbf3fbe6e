"""Fields of FHIR resources that may hold anything: each function answers with a value or with the reason for a drop.

Servers send broken data; one bad field costs its own resource and never the batch. Nothing here raises on bad input.
"""

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any, NamedTuple

from screening.columns import NOT_A_TIME
from screening.patient_records import PatientRecord
from screening.schema import Feature
from screening.times import birth, span
from screening.units import resolve

Json = dict[str, Any]

ABSURD = 1e30
"""No measurement is this large; sums and 32-bit models would overflow, and one value would fail a whole batch."""


class Dropped(Exception):  # noqa: N818 - a decision, not a failure
    """The value at hand does not count; `reason` is one word of the table in docs/observations.md."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class When(NamedTuple):
    """Effective span and availability in UTC microseconds."""

    start: int
    end: int
    available: int


def text(value: Any) -> str:
    """Return a text that can be stored, "" for anything else: JSON may hold half of a surrogate pair, Parquet may not."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ""
    return value


def codings(concept: Any) -> Iterator[tuple[str, str]]:
    """Yield (system, code) of every coding of a CodeableConcept, without surrounding white space."""
    if not isinstance(concept, dict):
        return
    entries = concept.get("coding")
    for coding in entries if isinstance(entries, list) else ():
        if isinstance(coding, dict):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(system, str) and isinstance(code, str):
                yield system.strip(), code.strip()


def words(concept: Any) -> frozenset[str] | None:
    """Return all by which a status is said: codes whatever their system, a text, a bare code; None where none is said.

    Systems often stand out, and a required value set makes the code clear without. Empty where something is said that
    cannot be read.
    """
    if not concept:
        return None
    if isinstance(concept, str):  # as before R4
        return frozenset({concept.strip()})
    found = []
    if isinstance(concept, dict):
        entries = concept.get("coding")
        found = [one.get("code") for one in (entries if isinstance(entries, list) else ()) if isinstance(one, dict)]
        said = concept.get("text")
        found += [said.lower()] if isinstance(said, str) else []
    return frozenset(word.strip() for word in found if isinstance(word, str))


def quantity(holder: Json, feature: Feature) -> float:
    """Return the value of a resource or component in the feature's canonical unit.

    Raises
    ------
    Dropped
        `no_value`, `not_a_quantity`, `comparator`, `no_unit`, `unknown_unit`, `unit_contradiction`,
        `incompatible_unit` or `out_of_range`.
    """
    if holder.get("dataAbsentReason"):
        raise Dropped("no_value")
    found = holder.get("valueQuantity")
    if not isinstance(found, dict):
        other = any(key.startswith("value") and value not in (None, "", {}, []) for key, value in holder.items())
        raise Dropped("not_a_quantity" if other else "no_value")
    if found.get("comparator") or found.get("modifierExtension"):
        raise Dropped("comparator")
    number = found.get("value")
    if number is None:
        raise Dropped("no_value")
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
        raise Dropped("not_a_quantity")
    if abs(number) > ABSURD:  # asked before float(), which an integer of 400 digits does not fit
        raise Dropped("out_of_range")
    return in_unit(float(number), found.get("system"), found.get("code"), found.get("unit"), feature)


def in_unit(number: float, system: Any, code: Any, unit: Any, feature: Feature) -> float:
    """Convert a number to the feature's canonical unit and hold it against the feature's range; see `quantity`."""
    if feature.unit is None:  # only `count` needs none
        return number
    if not all(part is None or isinstance(part, str) for part in (system, code, unit)):
        raise Dropped("unknown_unit")
    how = resolve(system, code, unit, feature.unit, feature.molar_mass, feature.assume_unit)
    if isinstance(how, str):
        raise Dropped(how)
    value = how(number)
    low, high = feature.range or (-ABSURD, ABSURD)
    if not low <= value <= high or abs(value) > ABSURD:
        raise Dropped("out_of_range")
    return value


def effective(resource: Json, zone: tzinfo | None) -> When:
    """Return when an Observation was true, and when it could be known.

    A Period counts by its end, or by its start while it is open. `issued` is no substitute for a missing time.
    """
    period = resource.get("effectivePeriod")
    if isinstance(period, dict):
        moment = period.get("end") or period.get("start")
    else:
        moment = resource.get("effectiveDateTime") or resource.get("effectiveInstant")
    return when(moment, resource.get("issued"), zone)


def when(moment: Any, issued: Any, zone: tzinfo | None) -> When:
    """Return the span of one time and its availability.

    Raises
    ------
    Dropped
        `no_time`, `bad_time` or `time_without_zone`.
    """
    if not isinstance(moment, str):
        raise Dropped("no_time" if moment is None else "bad_time")
    found = span(moment, zone)
    if isinstance(found, str):
        raise Dropped(found)
    return When(*found, available(issued, zone))


def available(issued: Any, zone: tzinfo | None) -> int:
    """Return when a record could be known, or `NOT_A_TIME` where it does not tell.

    A time that cannot be read is a reason to drop: the value might stem from the future of the prediction.
    """
    if issued is None:
        return NOT_A_TIME
    known = span(issued, zone) if isinstance(issued, str) else "bad_time"
    if isinstance(known, str):
        raise Dropped(known)
    return known[1]


def patient(resource: Json, patient_id: str, zone: tzinfo | None) -> PatientRecord:
    """Return what a Patient resource tells; a field that cannot be read is missing, not an error."""
    if resource.get("implicitRules") or resource.get("modifierExtension"):
        return PatientRecord(patient_id, problem="the Patient carries implicitRules or an unknown modifierExtension")
    born = birth(resource["birthDate"]) if isinstance(resource.get("birthDate"), str) else None
    death = resource.get("deceasedDateTime")
    known = span(death, zone) if isinstance(death, str) else "bad_time"
    links = resource.get("link")
    return PatientRecord(
        patient_id,
        birth_date=born[0].isoformat() if born else "",
        birth_precision=born[1] if born else "",
        gender=text(resource.get("gender")).strip().lower(),
        deceased=resource.get("deceasedBoolean") is True or death is not None,
        deceased_time=NOT_A_TIME if isinstance(known, str) else known[1],
        merged=isinstance(links, list) and any(isinstance(x, dict) and x.get("type") == "replaced-by" for x in links),
        source=reference(resource),
    )


def reference(resource: Json) -> str:
    """Return `Type/id/_history/version`, without the version where it is not known; "" for a resource without an id."""
    kind, identity = resource.get("resourceType"), text(resource.get("id"))
    if not identity:
        return ""
    meta = resource.get("meta")
    version = text(meta.get("versionId")) if isinstance(meta, dict) else ""
    return f"{kind}/{identity}/_history/{version}" if version else f"{kind}/{identity}"


def encounter(resource: Json) -> str:
    """Return the literal reference of the encounter, or ""."""
    found = resource.get("encounter")
    return text(found.get("reference")) if isinstance(found, dict) else ""
