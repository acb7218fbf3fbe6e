"""The FHIR reader: Bundles, prefetch or bare resources in, observations table out.

Works on plain JSON. What counts as a value is told in docs/observations.md; every drop is counted by patient, feature and
reason. The order of the input, its paging and its wrapping make no difference to the result.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from screening.observations import Drop, Observations, Reading, Row
from screening.patient_records import PatientRecord
from screening.readers import fhir_fields as fields
from screening.readers import fhir_sources as sources
from screening.readers import fhir_versions
from screening.readers.fhir_content import NO_PATIENT, unwrap
from screening.readers.fhir_fields import Json, text
from screening.readers.fhir_versions import Version, Versions, as_version
from screening.schema import Schema


@dataclass
class FhirReader:
    """Collects resources and turns them into a `Reading`; one reader a batch of patients.

    Attributes
    ----------
    schema
        Decides which codes matter and in which unit.
    patient_ids
        Whose data counts; None takes every Patient that is read.
    base_url
        The server's base; an absolute reference counts only below it. Several where one server has several names.
    zone
        The site's zone for times without one; None drops such times.
    """

    schema: Schema
    patient_ids: Collection[str] | None = None
    base_url: str | tuple[str, ...] | None = None
    zone: tzinfo | None = None
    _kept: dict[tuple[str, str], Versions] = field(default_factory=dict)
    _urns: dict[str, str] = field(default_factory=dict)
    _waiting: list[Json] = field(default_factory=list)
    _loose: Counter[Drop] = field(default_factory=Counter)
    _held: list[Version] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._codes = sources.index(self.schema)
        self._stays = self.schema.of("Encounter")
        bases = (self.base_url,) if isinstance(self.base_url, str) else self.base_url or ()
        self._bases = tuple(base.rstrip("/") + "/" for base in bases if base)

    def add(self, content: Any) -> None:
        """Take a resource, a Bundle, a CDS Hooks prefetch object, or a list of these, unchanged until `reading`."""
        for part in content if isinstance(content, list) else [content]:
            self._add(part)

    def _add(self, content: Any) -> None:
        """Take one Bundle or resource; a urn means the Patient that its own Bundle names by it, before any other's."""
        found = list(unwrap(content, self._loose))
        own: dict[str, str] = {}
        for url, resource in found:
            if resource.get("resourceType") == "Patient" and url.startswith("urn:"):
                _name(own, url, text(resource.get("id")) or url.removeprefix("urn:uuid:"))
        for url, identity in own.items():
            _name(self._urns, url, identity)
        for url, resource in found:
            if resource.get("resourceType") == "Patient":
                self._take_patient(resource, own.get(url, ""))
            elif any(_is_open(_reference(holder), own) for holder in _whom(resource)):
                self._waiting.append(resource)
            else:
                self._take(resource, own)

    def reading(self) -> Reading:
        """Return all that was taken so far."""
        for resource in self._waiting:
            self._take(resource, self._urns)
        self._waiting.clear()
        rows: list[Row] = []
        drops = Counter(self._loose)
        patients: list[PatientRecord] = []
        for (kind, identity), known in self._kept.items():
            newest = known.newest()
            if kind == "Patient":
                patients.append(_settled(identity, newest))
            elif len(newest) > 1:
                drops.update((who, name, "conflicting_versions") for who, name in _touched(newest))
            else:
                rows.extend(newest[0].rows)
                drops.update(newest[0].drops)
        return Reading(Observations.of_rows(rows).distinct(drops), patients, drops)

    def _take_patient(self, resource: Json, known_as: str) -> None:
        identity = text(resource.get("id")) or known_as
        if not identity:
            self._loose[(NO_PATIENT, "", "no_id")] += 1
        elif self.patient_ids is None or identity in self.patient_ids:
            record = fields.patient(resource, identity, self.zone)
            self._keep(identity, resource, as_version(resource, [], [], record))

    def _take(self, resource: Json, urns: Mapping[str, str]) -> None:
        found = self._found(resource, str(resource.get("resourceType")))
        if found is not None:
            # Kept even where it holds nothing of interest: a newer version without a value displaces the older with one.
            rows, drops = self._rows(resource, found, urns)
            self._keep(text(resource.get("id")), resource, as_version(resource, rows, drops))

    def _found(self, resource: Json, kind: str) -> Iterator[sources.Found | tuple[str, str]] | None:
        codes = self._codes.get(kind)
        if kind == "Observation":
            return sources.observation(resource, codes or {}, self.schema.preliminary, self.zone)
        if kind == "Condition" and codes:
            return sources.condition(resource, codes, self.zone)
        if kind in ("MedicationRequest", "MedicationAdministration") and codes:
            return sources.medication(resource, codes, self.zone)
        if kind == "Encounter" and self._stays:
            return sources.encounter_stay(resource, self._stays, self.zone)
        return None

    def _rows(
        self, resource: Json, found: Iterator[sources.Found | tuple[str, str]], urns: Mapping[str, str]
    ) -> tuple[list[Row], list[Drop]]:
        rows: list[Row] = []
        drops: list[Drop] = []
        who, refusal = self._whose(resource, urns)
        source = fields.reference(resource)
        stay = (
            source.split("/_history/")[0] if resource.get("resourceType") == "Encounter" else fields.encounter(resource)
        )
        for item in found:
            if len(item) == 2:
                drops.append((who, item[0], refusal or item[1]))
                continue
            feature, time, value = item
            if refusal:
                drops.append((who, feature.name, refusal))
            else:
                unit = feature.unit or ""
                rows.append((who, feature.name, time.end, time.start, time.available, value, unit, source, stay))
        return rows, drops

    def _whose(self, resource: Json, urns: Mapping[str, str]) -> tuple[str, str]:
        """Return the patient of a resource and "", or what is known of the patient and the reason for a drop."""
        who = self._patient(_reference(resource.get("subject")), urns)
        if who is None:
            return NO_PATIENT, "no_subject"
        if who == NO_PATIENT or (self.patient_ids is not None and who not in self.patient_ids):
            return NO_PATIENT, "foreign_subject"
        if resource.get("implicitRules") or resource.get("modifierExtension"):
            return who, "modifier_extension"
        if any(self._patient(_reference(holder), urns) != who for holder in _foci(resource)):
            return who, "foreign_focus"
        return who, ""

    def _patient(self, reference: str, urns: Mapping[str, str]) -> str | None:
        """Return the logical id that a reference names, "" for somebody else's, None for no reference at all."""
        if not reference:
            return None
        if reference.startswith("urn:"):
            return urns.get(reference, reference.removeprefix("urn:uuid:"))
        for base in self._bases:
            if reference.startswith(base):
                reference = reference[len(base) :]
                break
        kind, _, rest = reference.partition("/")
        identity, _, history = rest.partition("/")
        if kind != "Patient" or not identity or (history and not history.startswith("_history/")):
            return NO_PATIENT
        return identity

    def _keep(self, identity: str, resource: Json, version: Version) -> None:
        # What has no id is known by its content, so that it counts once in however many Bundles it comes.
        key = (str(resource.get("resourceType")), identity or f"#{version.content.hex()}")
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = Versions()
        known.add(version)
        self._held.append(version)
        if len(self._held) >= fhir_versions.HELD:
            for one in self._held:
                one.digests()
            self._held.clear()


def _name(urns: dict[str, str], url: str, identity: str) -> None:
    """Note whom a urn names: nobody where two Bundles name two by it, for then a reference tells neither."""
    urns[url] = identity if urns.get(url, identity) == identity else NO_PATIENT


def _is_open(reference: str, urns: Mapping[str, str]) -> bool:
    """Tell whether a reference is one within a Bundle whose Patient may come in a later part of it."""
    return reference.startswith("urn:") and reference not in urns


def _settled(identity: str, newest: list[Version]) -> PatientRecord:
    if len(newest) == 1 and newest[0].patient is not None:
        return newest[0].patient
    return PatientRecord(identity, problem="two Patient resources of one id contradict each other")


def _touched(newest: list[Version]) -> set[tuple[str, str]]:
    in_rows = {(row[0], row[1]) for version in newest for row in version.rows}
    return in_rows | {(drop[0], drop[1]) for version in newest for drop in version.drops}


def _reference(holder: Any) -> str:
    return text(holder.get("reference")) if isinstance(holder, dict) else ""


def _whom(resource: Json) -> Iterator[Any]:
    """Yield the subject and each focus as they stand in the resource."""
    yield resource.get("subject")
    yield from _foci(resource)


def _foci(resource: Json) -> list[Any]:
    focus = resource.get("focus")
    return focus if isinstance(focus, list) else [focus] if focus else []


def read(
    contents: Iterable[Any],
    schema: Schema,
    *,
    patient_ids: Collection[str] | None = None,
    base_url: str | None = None,
    zone: tzinfo | None = None,
) -> Reading:
    """Read FHIR content in one go; see `FhirReader` for the arguments."""
    reader = FhirReader(schema, patient_ids, base_url, zone)
    for content in contents:
        reader.add(content)
    return reader.reading()
