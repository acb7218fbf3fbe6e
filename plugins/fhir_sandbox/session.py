"""What can be read and written within one transaction of the store."""

import sqlite3
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from fhir_sandbox import references
from fhir_sandbox.index import index
from fhir_sandbox.moments import instant
from fhir_sandbox.structure import check


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one resource.

    Attributes
    ----------
    seq
        Its place in the order of arrival; None for a version that is no longer the current one.
    updated
        `meta.lastUpdated`, microseconds since 1970 (UTC).
    method
        The HTTP method that made this version.
    body
        Its JSON; None if this version is the deletion.
    """

    seq: int | None
    type: str
    id: str
    version: int
    updated: int
    method: str
    body: bytes | None

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


class Reader:
    """One snapshot of the store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        """Run a query."""
        return self._connection.execute(sql, arguments).fetchall()

    def newest(self, resource_type: str, resource_id: str) -> Stored | None:
        """Give the newest version, which may be the deletion, or None if there never was one."""
        key = (resource_type, resource_id)
        found = self.rows(
            "SELECT seq, type, id, version, updated, method, body FROM resource WHERE type = ? AND id = ?", key
        ) or self.rows(
            "SELECT NULL, type, id, version, updated, method, body FROM history WHERE type = ? AND id = ?"
            " ORDER BY version DESC LIMIT 1",
            key,
        )
        return Stored(*found[0]) if found else None

    def versions_of(self, resource_type: str, resource_id: str) -> list[Stored]:
        """Give all versions, the newest first."""
        key = (resource_type, resource_id)
        found = self.rows(
            "SELECT seq, type, id, version, updated, method, body FROM resource WHERE type = ? AND id = ?"
            " UNION ALL"
            " SELECT NULL, type, id, version, updated, method, body FROM history WHERE type = ? AND id = ?"
            " ORDER BY version DESC",
            key + key,
        )
        return [Stored(*row) for row in found]

    def counts(self) -> dict[str, int]:
        """Count the resources that exist, by type."""
        return dict(self.rows("SELECT type, count(*) FROM resource GROUP BY type ORDER BY type"))

    def versions(self) -> int:
        """Count every version ever stored, deletions among them: equal counts mean that nothing was written."""
        (found,) = self.rows("SELECT (SELECT count(*) FROM resource) + (SELECT count(*) FROM history)")
        return int(found[0])


class Writer(Reader):
    """The one transaction that may write.

    Parameters
    ----------
    now
        `meta.lastUpdated` of all that is written, microseconds since 1970 (UTC).
    """

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        super().__init__(connection)
        self._now = now

    def put(
        self, resource: dict[str, Any], resource_id: str, before: Stored | None, method: str, own_base: str = ""
    ) -> Stored:
        """Store a new version of a resource.

        Parameters
        ----------
        resource
            Without regard to its id and its meta.versionId and lastUpdated, which the store sets.
        before
            The newest version, as `newest` gave it in this transaction.

        Raises
        ------
        Refusal
            400 if an indexed element has not the shape that FHIR gives it.
        """
        entry = index(resource, own_base)
        version = 1 if before is None else before.version + 1
        resource_type = resource["resourceType"]
        body = _body(resource, resource_id, version, self._now)
        columns = (version, self._now, method, entry.subject, entry.encounter, entry.low, entry.high, body)
        seq = None if before is None else before.seq
        if before is None or seq is None:
            seq = self._connection.execute(
                "INSERT INTO resource (version, updated, method, subject, encounter, low, high, body, type, id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*columns, resource_type, resource_id),
            ).lastrowid
        else:
            self._retire(before)
            self._connection.execute(
                "UPDATE resource SET version = ?, updated = ?, method = ?, subject = ?, encounter = ?, low = ?,"
                " high = ?, body = ? WHERE seq = ?",
                (*columns, seq),
            )
        self._connection.executemany(
            "INSERT INTO token VALUES (?, ?, ?, ?)", [(seq, p, c, s) for p, s, c in entry.tokens]
        )
        return Stored(seq, resource_type, resource_id, version, self._now, method, body)

    def delete(self, before: Stored) -> Stored:
        """Delete a resource that exists; its versions remain in the history."""
        self._retire(before)
        self._connection.execute("DELETE FROM resource WHERE seq = ?", (before.seq,))
        gone = Stored(None, before.type, before.id, before.version + 1, self._now, "DELETE", None)
        self._remember(gone)
        return gone

    def save(self, resource: dict[str, Any], own_base: str = "") -> Stored:
        """Store a resource under the id that it brings, or under a new one."""
        check(resource)
        references.check_and_rewrite(resource, {})
        resource_id = resource.get("id") or str(uuid.uuid4())
        return self.put(resource, resource_id, self.newest(resource["resourceType"], resource_id), "PUT", own_base)

    def _retire(self, before: Stored) -> None:
        self._remember(before)
        self._connection.execute("DELETE FROM token WHERE seq = ?", (before.seq,))

    def _remember(self, version: Stored) -> None:
        self._connection.execute(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)",
            (version.type, version.id, version.version, version.updated, version.method, version.body),
        )


def _body(resource: dict[str, Any], resource_id: str, version: int, now: int) -> bytes:
    meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": instant(now)}
    return orjson.dumps({**resource, "id": resource_id, "meta": meta})
