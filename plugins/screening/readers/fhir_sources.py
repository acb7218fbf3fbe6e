"""From one FHIR resource to rows of the observations table, by resource type."""

import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo

from screening.columns import NOT_A_TIME
from screening.readers.fhir_fields import Dropped, Json, When, available, codings, effective, quantity, when, words
from screening.schema import Feature, Schema
from screening.times import span

COUNTED = ("final", "amended", "corrected")
REFUTED = frozenset({"refuted", "entered-in-error"})
BELIEVED = frozenset({"confirmed", "provisional", "differential", "unconfirmed"})
"""https://hl7.org/fhir/R4/valueset-condition-ver-status.html"""
HOUR = 3_600_000_000  # microseconds
_NUMBER = re.compile(r"[0-9]{1,64}")

Found = tuple[Feature, When, float]
Index = Mapping[tuple[str, str], tuple[Feature, ...]]


def index(schema: Schema) -> dict[str, Index]:
    """Map each resource type to its codes, and each (system, code) to the features that it feeds."""
    found: dict[str, dict[tuple[str, str], tuple[Feature, ...]]] = {}
    for feature in schema.features.values():
        known = found.setdefault(feature.fhir_resource, {})
        for coding in feature.codes:
            key = (coding.system, coding.code)
            known[key] = (*known.get(key, ()), feature)
    return dict(found)


def features_of(concept: object, known: Index) -> list[Feature]:
    """Return the features that any coding of a concept feeds, each once, in the schema's order of discovery."""
    found: dict[str, Feature] = {}
    for pair in codings(concept):
        for feature in known.get(pair, ()):
            found[feature.name] = feature
    return list(found.values())


def observation(
    resource: Json, known: Index, preliminary: bool, zone: tzinfo | None
) -> Iterator[Found | tuple[str, str]]:
    """Yield what an Observation holds for the schema: its own value, and each component as one of its own.

    Yields
    ------
    (feature, when, value), or (feature name, reason) for a drop.
    """
    parts = resource.get("component")
    holders = [resource, *(part for part in (parts if isinstance(parts, list) else ()) if isinstance(part, dict))]
    wanted = [(holder, feature) for holder in holders for feature in features_of(holder.get("code"), known)]
    if not wanted:
        return
    try:
        if resource.get("status") not in COUNTED and not (preliminary and resource.get("status") == "preliminary"):
            raise Dropped("status")  # noqa: TRY301 - one way out for all that concerns the whole resource
        time = effective(resource, zone)
    except Dropped as drop:
        yield from ((feature.name, drop.reason) for _, feature in wanted)
        return
    for holder, feature in wanted:
        try:
            if holder is not resource and holder.get("modifierExtension"):
                raise Dropped("modifier_extension")  # noqa: TRY301
            value = 1.0 if feature.how == "count" and feature.unit is None else quantity(holder, feature)
        except Dropped as drop:
            yield feature.name, drop.reason
        else:
            yield feature, time, value


def condition(resource: Json, known: Index, zone: tzinfo | None) -> Iterator[Found | tuple[str, str]]:
    """Yield the Condition features present: active, or of unsaid status and not abated; not refuted; with a time.

    A status that is said in a way that cannot be read is no unsaid one: it may say that the patient is well.
    Effective from its onset, or from its record where the onset is not told; available from its record.
    """
    wanted = features_of(resource.get("code"), known)
    try:
        certainty = words(resource.get("verificationStatus"))
        if certainty is not None and (certainty & REFUTED or not certainty & BELIEVED):
            raise Dropped("status")  # noqa: TRY301
        states = words(resource.get("clinicalStatus"))
        if states is not None and not states & {"active", "recurrence", "relapse"}:
            raise Dropped("not_active")  # noqa: TRY301
        if states is None and any(key.startswith("abatement") for key in resource):
            raise Dropped("not_active")  # noqa: TRY301
        period = resource.get("onsetPeriod")
        onset = resource.get("onsetDateTime") or (period.get("start") if isinstance(period, dict) else None)
        recorded = resource.get("recordedDate")
        time = when(onset or recorded, recorded, zone)
    except Dropped as drop:
        yield from ((feature.name, drop.reason) for feature in wanted)
        return
    yield from ((feature, time, 1.0) for feature in wanted)


def medication(resource: Json, known: Index, zone: tzinfo | None) -> Iterator[Found | tuple[str, str]]:
    """Yield the medication features present: orders active or completed, administrations in progress or completed.

    The medication must be coded in the resource; a reference to a Medication is dropped as `medication_by_reference`.
    """
    order = resource.get("resourceType") == "MedicationRequest"
    concept = resource.get("medicationCodeableConcept")
    if concept is None and resource.get("medicationReference"):
        yield "", "medication_by_reference"
        return
    wanted = features_of(concept, known)
    try:
        if resource.get("status") not in (("active", "completed") if order else ("in-progress", "completed")):
            raise Dropped("status")  # noqa: TRY301
        if order and (resource.get("doNotPerform") is True or resource.get("intent") in ("proposal", "plan", "option")):
            raise Dropped("status")  # noqa: TRY301
        time = when(resource.get("authoredOn"), None, zone) if order else effective(resource, zone)
    except Dropped as drop:
        yield from ((feature.name, drop.reason) for feature in wanted)
        return
    yield from ((feature, time, 1.0) for feature in wanted)


def encounter_stay(
    resource: Json, features: tuple[Feature, ...], zone: tzinfo | None
) -> Iterator[Found | tuple[str, str]]:
    """Yield the stay of an Encounter: effective from its start, its value the end in hours since 1970, NaN while open."""
    period = resource.get("period")
    try:
        if resource.get("status") not in ("arrived", "triaged", "in-progress", "onleave", "finished"):
            raise Dropped("status")  # noqa: TRY301
        time = when(period.get("start") if isinstance(period, dict) else None, None, zone)
        if time.end - time.start >= 23 * HOUR:  # a day in spring has no more
            raise Dropped("no_time")  # noqa: TRY301 - hours cannot be counted from a date
        end = available(period.get("end"), zone) if isinstance(period, dict) else NOT_A_TIME
        if end == NOT_A_TIME and resource.get("status") == "finished":
            raise Dropped("no_time")  # noqa: TRY301 - over, and nobody knows since when
    except Dropped as drop:
        yield from ((feature.name, drop.reason) for feature in features)
        return
    value = float("nan") if end == NOT_A_TIME else end / HOUR
    yield from ((feature, time, value) for feature in features)


def version(resource: Json) -> tuple[int | None, int | None]:
    """Return what tells a resource's age among its versions: the versionId as a number, and lastUpdated; None if neither."""
    meta = resource.get("meta")
    if not isinstance(meta, dict):
        return None, None
    number, updated = meta.get("versionId"), meta.get("lastUpdated")
    known = span(updated, None) if isinstance(updated, str) else "bad_time"
    return (
        int(number) if isinstance(number, str) and _NUMBER.fullmatch(number) else None,
        None if isinstance(known, str) else known[1],
    )
