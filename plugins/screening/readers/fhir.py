"""The FHIR reader: Bundles, prefetch or bare resources in, observations table out.

Works on plain JSON. What counts as a value is told in docs/observations.md; every drop is counted by patient, feature and
reason. The order of the input, its paging and its wrapping make no difference to the result.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from screening.observations import Drop, PatientRecord, Reading, Row, patient_table, table
from screening.readers import fhir_fields as fields
from screening.readers import fhir_sources as sources
from screening.readers.fhir_fields import Json
from screening.schema import Schema

NO_PATIENT = ""


@dataclass
class _Kept:
    """The newest version so far of one resource id."""

    version: tuple[int | None, int | None]
    digest: bytes
    rows: list[Row]
    drops: list[Drop]
    patient: PatientRecord | None = None
    conflict: bool = False


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
        The server's base; an absolute reference counts only below it.
    zone
        The site's zone for times without one; None drops such times.
    """

    schema: Schema
    patient_ids: Collection[str] | None = None
    base_url: str | None = None
    zone: tzinfo | None = None
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)
    _urns: dict[str, str] = field(default_factory=dict)
    _loose: Counter[Drop] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._codes = {
            kind: sources.index(self.schema, kind)
            for kind in ("Observation", "Condition", "MedicationRequest", "MedicationAdministration")
        }
        self._stays = self.schema.of("Encounter")
        self._base = self.base_url.rstrip("/") + "/" if self.base_url else None

    def add(self, content: Any) -> None:
        """Take a resource, a Bundle, a CDS Hooks prefetch object, or a list of these."""
        found = list(unwrap(content, self._loose))
        for url, resource in found:
            if resource.get("resourceType") == "Patient" and url.startswith("urn:"):
                self._urns[url] = _id(resource) or url.removeprefix("urn:uuid:")
        for url, resource in found:
            self._take(resource, self._urns.get(url, ""))

    def reading(self) -> Reading:
        """Return all that was taken so far."""
        rows: list[Row] = []
        drops = Counter(self._loose)
        patients: list[PatientRecord] = []
        for (kind, _), kept in self._kept.items():
            if kind == "Patient":
                if kept.patient is not None:
                    patients.append(self._settled(kept))
            elif kept.conflict:
                drops.update((who, name, "conflicting_versions") for who, name in _touched(kept))
            else:
                rows.extend(kept.rows)
                drops.update(kept.drops)
        return Reading(table(rows, drops), patient_table(patients), drops)

    @staticmethod
    def _settled(kept: _Kept) -> PatientRecord:
        assert kept.patient is not None  # noqa: S101 - narrows for the type checker; the caller has looked
        if kept.conflict:
            return PatientRecord(
                kept.patient.patient_id, problem="two Patient resources of one id contradict each other"
            )
        return kept.patient

    def _take(self, resource: Json, known_as: str) -> None:
        kind = resource.get("resourceType")
        if kind == "Patient":
            identity = _id(resource) or known_as
            if not identity:
                self._loose[(NO_PATIENT, "", "no_id")] += 1
            elif self.patient_ids is None or identity in self.patient_ids:
                record = fields.patient(resource, identity, self.zone)
                self._keep(resource, _Kept(sources.version(resource), _digest(resource), [], [], record))
            return
        found = self._found(resource, str(kind))
        if found is None:
            return
        # Kept even where it holds nothing of interest: a newer version without a value must displace the older with one.
        rows, drops = self._rows(resource, found)
        self._keep(resource, _Kept(sources.version(resource), _digest(resource), rows, drops))

    def _found(self, resource: Json, kind: str) -> Iterator[sources.Found | tuple[str, str]] | None:
        if kind == "Observation":
            return sources.observation(resource, self._codes[kind], self.schema.preliminary, self.zone)
        if kind == "Condition" and self._codes[kind]:
            return sources.condition(resource, self._codes[kind], self.zone)
        if kind in ("MedicationRequest", "MedicationAdministration") and self._codes[kind]:
            return sources.medication(resource, self._codes[kind], self.zone)
        if kind == "Encounter" and self._stays:
            return sources.encounter_stay(resource, self._stays, self.zone)
        return None

    def _rows(self, resource: Json, found: Iterator[sources.Found | tuple[str, str]]) -> tuple[list[Row], list[Drop]]:
        rows: list[Row] = []
        drops: list[Drop] = []
        who, refusal = self._whose(resource)
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

    def _whose(self, resource: Json) -> tuple[str, str]:
        """Return the patient of a resource and "", or what is known of the patient and the reason for a drop."""
        subject = resource.get("subject")
        who = self._patient(subject.get("reference") if isinstance(subject, dict) else None)
        if who is None:
            return NO_PATIENT, "no_subject"
        if who == NO_PATIENT or (self.patient_ids is not None and who not in self.patient_ids):
            return NO_PATIENT, "foreign_subject"
        if resource.get("implicitRules") or resource.get("modifierExtension"):
            return who, "modifier_extension"
        focus = resource.get("focus")
        for item in focus if isinstance(focus, list) else [focus] if focus else []:
            if not isinstance(item, dict) or self._patient(item.get("reference")) != who:
                return who, "foreign_focus"
        return who, ""

    def _patient(self, text: Any) -> str | None:
        """Return the logical id that a reference names, "" for somebody else's, None for no reference at all."""
        if not isinstance(text, str) or not text:
            return None
        if text.startswith("urn:"):
            return self._urns.get(text) or text.removeprefix("urn:uuid:")
        if self._base and text.startswith(self._base):
            text = text[len(self._base) :]
        kind, _, rest = text.partition("/")
        identity, _, history = str(rest).partition("/")
        if kind != "Patient" or not identity or (history and not history.startswith("_history/")):
            return NO_PATIENT
        return identity

    def _keep(self, resource: Json, new: _Kept) -> None:
        """Keep the newest version of an id; equal age and unequal content is a conflict, and neither is believed."""
        kind = str(resource.get("resourceType"))
        unnamed = new.patient.patient_id if new.patient else f"#{new.digest.hex()}"
        key = (kind, _id(resource) or unnamed)
        old = self._kept.get(key)
        if old is None or old.digest == new.digest:
            self._kept[key] = old or new
            return
        order = _compare(old.version, new.version)
        if order == 0:
            old.conflict = True
            old.rows += new.rows
            old.drops += new.drops
        elif order < 0:
            self._kept[key] = new


def _compare(old: tuple[int | None, int | None], new: tuple[int | None, int | None]) -> int:
    for mine, yours in zip(old, new, strict=True):
        if mine is not None and yours is not None and mine != yours:
            return -1 if mine < yours else 1
    return 0


def _touched(kept: _Kept) -> set[tuple[str, str]]:
    return {(row[0], row[1]) for row in kept.rows} | {(drop[0], drop[1]) for drop in kept.drops}


def _id(resource: Json) -> str:
    found = resource.get("id")
    return found if isinstance(found, str) else ""


def _digest(resource: Json) -> bytes:
    return hashlib.blake2b(json.dumps(resource, sort_keys=True, default=str).encode(), digest_size=16).digest()


def unwrap(content: Any, drops: Counter[Drop]) -> Iterator[tuple[str, Json]]:
    """Yield (fullUrl, resource) of everything in a Bundle, a prefetch object, a list or a bare resource.

    Entries of search mode `outcome`, and OperationOutcome wherever it stands, are never data; what is no resource is
    counted as `not_a_resource`.
    """
    if isinstance(content, list):
        for item in content:
            yield from unwrap(item, drops)
    elif not isinstance(content, dict):
        if content is not None:  # a prefetch key of null says "no data" (CDS Hooks 2.0)
            drops[(NO_PATIENT, "", "not_a_resource")] += 1
    elif content.get("resourceType") == "Bundle":
        yield from _entries(content.get("entry") or [], drops)
    elif isinstance(content.get("resourceType"), str):
        if content["resourceType"] != "OperationOutcome":
            yield "", content
    elif "prefetch" in content:
        yield from unwrap(list(content["prefetch"].values()) if isinstance(content["prefetch"], dict) else 0, drops)
    elif content and all(isinstance(value, dict | list) or value is None for value in content.values()):
        yield from unwrap(list(content.values()), drops)
    else:
        drops[(NO_PATIENT, "", "not_a_resource")] += 1


def _entries(entries: Any, drops: Counter[Drop]) -> Iterator[tuple[str, Json]]:
    for entry in entries if isinstance(entries, list) else [entries]:
        yield from _entry(entry, drops)


def _entry(entry: Any, drops: Counter[Drop]) -> Iterator[tuple[str, Json]]:
    if not isinstance(entry, dict):
        drops[(NO_PATIENT, "", "not_a_resource")] += 1
        return
    search = entry.get("search")
    if isinstance(search, dict) and search.get("mode") == "outcome":
        return
    resource, url = entry.get("resource"), entry.get("fullUrl")
    if resource is None:
        return
    for inner, found in unwrap(resource, drops):
        yield (url if isinstance(url, str) else inner), found


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
