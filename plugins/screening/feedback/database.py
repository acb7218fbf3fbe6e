"""The database behind: one URL, an engine for each process, transactions that are on the disk when they return."""

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, insert, inspect, select
from sqlalchemy import exc as wrong
from sqlalchemy.util import immutabledict

from screening.errors import DataFileError, FatalError, TemporaryError
from screening.feedback import tables
from screening.feedback.engines import READING, checked, make_engine, make_private

T = TypeVar("T")
_TRIES = 3  # of a transaction that another one overtook
_INHERITED: list[Engine] = []
"""Engines of the parent process: kept, and never used. SQLite forbids a child even to close what it inherited."""


class Database:
    """One database, to be used by any thread of this process and of those forked from it.

    Parameters
    ----------
    url
        SQLAlchemy's, such as `sqlite:////var/lib/cds/feedback.db` or `postgresql+psycopg://user@host/name`.
    wait_seconds
        How long a call waits for a lock, or for a server to answer.

    Raises
    ------
    FatalError
        The URL is none, its driver is not installed, or it names a database that lives in memory alone.

    Attributes
    ----------
    failing
        Whether the last call failed.
    """

    def __init__(self, url: str, *, wait_seconds: float = 5.0) -> None:
        self._url = checked(url)
        self._wait = wait_seconds
        self.failing = False
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._engine_made()  # says now if the driver is missing; it connects to nothing yet
        this = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forget(this))

    @property
    def name(self) -> str:
        """The URL without user, password and options."""
        # `set` would take None for "as it is".
        return self._url._replace(username=None, password=None, query=immutabledict()).render_as_string()

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for a server."""
        return Path(str(self._url.database)) if self._url.get_backend_name() == "sqlite" else None

    def prepare(self) -> None:
        """Make the file and the tables where there are none yet.

        Raises
        ------
        FatalError
            The tables are of a newer version, or the file cannot be made or is no database.
        TemporaryError
            The database cannot be reached or is locked.
        """
        if self.file is not None:
            make_private(self.file)
        self.write(self._make_tables)

    def check(self) -> None:
        """Make sure that there are tables, and of a version that can be read; make nothing.

        Raises
        ------
        DataFileError
            There is no such file, or no table of ours.
        FatalError, TemporaryError
            As `prepare`.
        """
        if self.file is not None and not self.file.is_file():
            raise DataFileError(f"{self.file}: no such file: the sidecar makes it when it starts; mend --url")
        if not self.read(self._has_tables):
            raise DataFileError(f"{self.name}: holds no feedback tables: the sidecar makes them when it starts")

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do work in one transaction; it is all on the disk when this returns, or nothing is.

        Work may run more than once: again where a transaction of another process was in its way.

        Raises
        ------
        TemporaryError
            Locked, full, unreachable.
        FatalError
            Whatever a repeat will not mend.
        """
        with self._in_our_words():
            for _ in range(_TRIES - 1):
                try:
                    return self._once(work)
                except (wrong.IntegrityError, wrong.ProgrammingError):
                    continue  # a row, or in PostgreSQL a table, that somebody else has just made
            return self._once(work)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do work that only reads, in one transaction that hinders no writer. Raises as `write`."""
        with self._in_our_words(), self._engine_made().connect() as connection:
            connection = connection.execution_options(**{READING: True})
            with connection.begin():
                return work(connection)

    def close(self) -> None:
        """Close the connections of this process; the next call opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _once(self, work: Callable[[Connection], T]) -> T:
        # SQLite lets one write at a time and has the others look again now and then: threads of one process, who can
        # be told when it is their turn, need not be among those.
        if self.file is None:
            return self._transaction(work)
        if not self._turn.acquire(timeout=self._wait):
            raise TemporaryError(f"{self.name}: the feedback database is busy")
        try:
            return self._transaction(work)
        finally:
            self._turn.release()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self._engine_made().begin() as connection:
            return work(connection)

    def _engine_made(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self._url, self._wait)
            return self._engine

    def _has_tables(self, connection: Connection) -> bool:
        if not inspect(connection).has_table(tables.version.name):
            return False
        found = connection.execute(select(tables.version.c.version)).scalar()
        if found is not None and found > tables.SCHEMA_VERSION:
            raise FatalError(
                f"{self.name}: its tables are of version {found}, and this release knows them up to "
                f"{tables.SCHEMA_VERSION}: a newer release made them; install that one, or take another database"
            )
        return found is not None

    def _make_tables(self, connection: Connection) -> None:
        if not self._has_tables(connection):
            tables.metadata.create_all(connection)
            connection.execute(insert(tables.version).values(version=tables.SCHEMA_VERSION))

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        # What a driver says may repeat rows: only its error's kind is told.
        done = False
        try:
            yield
            done = True
        except wrong.TimeoutError:
            raise TemporaryError(f"{self.name}: all connections are in use") from None
        except wrong.DBAPIError as error:
            kind = _kind(error.orig)
            if isinstance(error, wrong.OperationalError | wrong.InterfaceError) or error.connection_invalidated:
                raise TemporaryError(
                    f"{self.name}: the feedback database is locked, full or out of reach ({kind})"
                ) from None
            raise FatalError(f"{self.name}: the feedback database cannot be used ({kind})") from None
        except wrong.SQLAlchemyError as error:
            raise FatalError(f"{self.name}: the feedback database cannot be used ({type(error).__name__})") from None
        finally:
            self.failing = not done


def _kind(error: Any) -> str:
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def _forget(this: "weakref.ref[Database]") -> None:
    database = this()
    if database is not None:
        if database._engine is not None:
            _INHERITED.append(database._engine)
        database._engine, database._lock, database._turn = None, threading.Lock(), threading.Lock()
