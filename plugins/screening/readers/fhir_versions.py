"""Versions of one resource id: the newest counts; equal age with unequal content is a conflict, and none is believed.

A digest each of content and `meta` tells versions apart, and costs more than all else that is read from a resource. It is
made where an id comes twice or there is none, and of all that is held once that is `HELD` resources: a batch of one patient
seldom needs any, and a bulk file is not kept in memory.
"""

import hashlib
import json
import marshal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from screening.observations import COLUMNS, Drop, Row
from screening.patient_records import PatientRecord
from screening.readers.fhir_fields import Json
from screening.readers.fhir_sources import version

_SAID = COLUMNS.index("source")  # the columns before it are what a row says


HELD = 1000
"""So many resources are held until their digests are made; a resource is a few kB."""


@dataclass(slots=True)
class Version:
    """What one version of a resource gave.

    Attributes
    ----------
    age
        See `fhir_sources.version`.
    rows, drops, patient
        Its values, its drops, and what it tells of a patient if it is one.
    """

    age: tuple[int | None, int | None]
    rows: list[Row]
    drops: list[Drop]
    patient: PatientRecord | None
    _resource: Json | None
    _digests: tuple[bytes, bytes] | None = None

    @property
    def content(self) -> bytes:
        """Return the digest of the resource without `meta`."""
        return self.digests()[0]

    @property
    def meta(self) -> bytes:
        """Return the digest of `meta`.

        A server may leave `meta` out or tag it in one answer and not in another, and it is the same version all the same.
        """
        return self.digests()[1]

    def digests(self) -> tuple[bytes, bytes]:
        """Return both; the resource itself is let go."""
        if self._digests is None:
            resource = self._resource or {}
            content = _digest({key: value for key, value in resource.items() if key != "meta"})
            self._digests, self._resource = (content, _digest(resource.get("meta"))), None
        return self._digests


def as_version(resource: Json, rows: list[Row], drops: list[Drop], patient: PatientRecord | None = None) -> Version:
    """Make a version of a resource and what it gave."""
    return Version(version(resource), rows, drops, patient, resource)


class Versions:
    """What is known of one resource id: each version once, however often it came."""

    __slots__ = ("_known", "_seen")

    def __init__(self) -> None:
        self._known: list[Version] = []
        self._seen: set[tuple[bytes, bytes]] | None = None

    def __iter__(self) -> Iterator[Version]:
        return iter(self._known)

    def add(self, new: Version) -> None:
        """Add a version, once."""
        if self._known:  # most ids come once, and then nobody needs a digest
            if self._seen is None:
                self._seen = {self._known[0].digests()}
            if new.digests() in self._seen:
                return
            self._seen.add(new.digests())
        self._known.append(new)

    def newest(self) -> list[Version]:
        """Return the versions that none is newer than, one for each different meaning: more than one is a conflict.

        All versions are held against each other, so that the order in which they came makes no difference. Two extracts of
        one record that differ in what does not count here (an encounter left out, a reference written otherwise) do not
        conflict.
        """
        if len(self._known) == 1:
            return self._known
        top = _not_older(self._known) or self._known
        known = sorted(top, key=lambda one: (one.age[0] is not None, one.age[1] is not None, one.meta, one.content))
        return list({_meaning(one): one for one in known}.values())


def _not_older(versions: list[Version]) -> list[Version]:
    """Return the versions that none is newer than; none where their ages run in a circle.

    One is older than another by versionId where both have one that differs, else by lastUpdated where both have it. Told by
    the highest of each, for a thousand versions held against a thousand are a million.
    """
    number = max((one.age[0] for one in versions if one.age[0] is not None), default=None)
    any_time = _latest(versions)
    # Whom a version of the highest number, or of none, is held against by time: those whose number does not decide.
    undecided = _latest(one for one in versions if one.age[0] in (None, number))
    found = []
    for one in versions:
        mine, time = one.age
        newest = any_time if mine is None else undecided
        if mine in (None, number) and (time is None or newest is None or time >= newest):
            found.append(one)
    return found


def _latest(versions: Iterable[Version]) -> int | None:
    return max((one.age[1] for one in versions if one.age[1] is not None), default=None)


def _meaning(one: Version) -> str:
    """Return what a version says apart from its source and encounter; as text, since NaN equals nothing."""
    patient = replace(one.patient, source="") if one.patient else None
    return repr((sorted(repr(row[:_SAID]) for row in one.rows), sorted(one.drops), patient))


def _digest(part: Any) -> bytes:
    try:
        said = json.dumps(part, sort_keys=True, default=str).encode()
    except RecursionError:  # a parser lets more nesting in than Python's own writer gets out again
        said = marshal.dumps(part, 2)
    return hashlib.blake2b(said, digest_size=16).digest()
