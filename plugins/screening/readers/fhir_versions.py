"""Versions of one resource id: the newest counts; equal age with unequal content is a conflict, and none is believed."""

import hashlib
import json
import marshal
from dataclasses import dataclass, field, replace
from typing import Any

from screening.observations import COLUMNS, Drop, Row
from screening.patient_records import PatientRecord
from screening.readers.fhir_fields import Json
from screening.readers.fhir_sources import version

_SAID = COLUMNS.index("source")  # the columns before it are what a row says


@dataclass(frozen=True)
class Version:
    """What one version of a resource gave.

    Attributes
    ----------
    age
        See `fhir_sources.version`.
    content, meta
        Digests of the resource without `meta`, and of `meta`: a server may leave `meta` out or tag it in one answer and not
        in another, and it is the same version all the same.
    rows, drops, patient
        Its values, its drops, and what it tells of a patient if it is one.
    """

    age: tuple[int | None, int | None]
    content: bytes
    meta: bytes
    rows: list[Row] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    patient: PatientRecord | None = None


def as_version(resource: Json, rows: list[Row], drops: list[Drop], patient: PatientRecord | None = None) -> Version:
    """Make a version of a resource and what it gave."""
    content = _digest({key: value for key, value in resource.items() if key != "meta"})
    return Version(version(resource), content, _digest(resource.get("meta")), rows, drops, patient)


def add(versions: list[Version], new: Version) -> None:
    """Add a version to those of its id, once."""
    if all((known.content, known.meta) != (new.content, new.meta) for known in versions):
        versions.append(new)


def newest(versions: list[Version]) -> list[Version]:
    """Return the versions that none is newer than, one for each different meaning: more than one is a conflict.

    All versions are held against each other, so that the order in which they came makes no difference. Two extracts of one
    record that differ in what does not count here (an encounter left out, a reference written otherwise) do not conflict.
    """
    top = [one for one in versions if not any(_older(one.age, other.age) for other in versions)] or versions
    known = sorted(top, key=lambda one: (one.age[0] is not None, one.age[1] is not None, one.meta, one.content))
    return list({_meaning(one): one for one in known}.values())


def _meaning(one: Version) -> str:
    """Return what a version says apart from its source and encounter; as text, since NaN equals nothing."""
    patient = replace(one.patient, source="") if one.patient else None
    return repr((sorted(repr(row[:_SAID]) for row in one.rows), sorted(one.drops), patient))


def _older(mine: tuple[int | None, int | None], other: tuple[int | None, int | None]) -> bool:
    """Tell by versionId where both have one that differs, else by lastUpdated where both have it."""
    for a, b in zip(mine, other, strict=True):
        if a is not None and b is not None and a != b:
            return a < b
    return False


def _digest(part: Any) -> bytes:
    try:
        said = json.dumps(part, sort_keys=True, default=str).encode()
    except RecursionError:  # a parser lets more nesting in than Python's own writer gets out again
        said = marshal.dumps(part, 2)
    return hashlib.blake2b(said, digest_size=16).digest()
