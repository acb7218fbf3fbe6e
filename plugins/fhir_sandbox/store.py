"""Where the resources are kept: one SQLite file, one writer at a time, any number of readers.

The current version of every resource that exists is in `resource` together with the columns that are searched by;
versions that were replaced, and deletions, are in `history`.
"""

import itertools
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fhir_sandbox.moments import micros
from fhir_sandbox.session import Reader, Writer

_VERSION = 1
_SCHEMA = f"""
BEGIN;
CREATE TABLE resource (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival; never used again, so that a page's cursor stays true
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated INTEGER NOT NULL,               -- microseconds since 1970 (UTC)
    method TEXT NOT NULL,                   -- the HTTP method that made this version
    subject TEXT,
    encounter TEXT,
    low INTEGER,                            -- span of the type's date parameter
    high INTEGER,
    body BLOB NOT NULL                      -- the JSON that a read answers with
);
CREATE UNIQUE INDEX resource_id ON resource (type, id);
CREATE INDEX resource_type ON resource (type);
CREATE INDEX resource_updated ON resource (type, updated);
CREATE INDEX resource_subject ON resource (type, subject, low, high) WHERE subject IS NOT NULL;
CREATE INDEX resource_encounter ON resource (type, encounter) WHERE encounter IS NOT NULL;
CREATE INDEX resource_date ON resource (type, low, high) WHERE low IS NOT NULL;
CREATE TABLE token (
    seq INTEGER NOT NULL,
    param TEXT NOT NULL,
    code TEXT NOT NULL,
    system TEXT NOT NULL,
    PRIMARY KEY (seq, param, code, system)
) WITHOUT ROWID;
CREATE INDEX token_code ON token (param, code, system);
CREATE TABLE history (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    method TEXT NOT NULL,
    body BLOB,                              -- NULL: this version is the deletion
    PRIMARY KEY (type, id, version)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_LOAD_SIZE = 5_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The sandbox's resources.

    Parameters
    ----------
    path
        The SQLite file, made if absent. None keeps the resources in a temporary folder that `close` deletes.
    clock
        Gives the current time, aware; it stamps `meta.lastUpdated`, which never runs backwards even if the clock does.

    Raises
    ------
    ValueError
        If the file holds another version of the sandbox's tables.
    sqlite3.Error
        If the file cannot be opened or is no SQLite file.
    """

    def __init__(self, path: Path | None = None, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fhir-sandbox-") if path is None else None
        self.path = Path(self._folder.name) / "fhir.sqlite" if self._folder is not None else Path(path or "")
        self._clock = clock
        self._pool: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._connections: list[sqlite3.Connection] = []
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        self._newest = 0
        try:
            self._prepare()
        except (ValueError, sqlite3.Error):
            self.close()
            raise

    def _prepare(self) -> None:
        with self._connection() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
            elif version != _VERSION:
                raise ValueError(f"{self.path.name} is of sandbox version {version}, this one reads version {_VERSION}")
            self._newest = connection.execute("SELECT coalesce(max(updated), 0) FROM resource").fetchone()[0]

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if self._folder is None else 'OFF'}")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA temp_store = MEMORY")
        with self._opening:
            self._connections.append(connection)
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._pool.get_nowait()
        except queue.Empty:
            connection = self._open()
        try:
            yield connection
        finally:
            self._pool.put(connection)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Read from one snapshot: what others write meanwhile is not seen."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield Reader(connection)
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Write as the only one; what was written becomes durable together at the end, or not at all on an exception."""
        with self._writing, self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._newest = max(self._newest, micros(self._clock()) // 1000 * 1000)
            try:
                yield Writer(connection, self._newest)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def load(self, resources: Iterable[dict[str, Any]], own_base: str = "") -> int:
        """Store resources directly, past HTTP and past all switches, keeping the ids that they bring.

        Returns
        -------
        int
            How many were given; one that is stored already is replaced by a new version.

        Raises
        ------
        Refusal
            If a resource is not one that the sandbox can store; those of earlier thousands remain stored.
        """
        count = 0
        supply = iter(resources)
        while chunk := list(itertools.islice(supply, _LOAD_SIZE)):
            with self.writing() as writer:
                for resource in chunk:
                    writer.save(resource, own_base)
            count += len(chunk)
        return count

    def counts(self) -> dict[str, int]:
        """Count the resources that exist, by type."""
        with self.reading() as reader:
            return reader.counts()

    def versions(self) -> int:
        """Count every version ever stored."""
        with self.reading() as reader:
            return reader.versions()

    def close(self) -> None:
        """Close the file; a temporary one is deleted."""
        with self._opening:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        if self._folder is not None:
            self._folder.cleanup()
