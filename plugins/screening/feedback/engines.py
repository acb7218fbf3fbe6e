"""An engine for each kind of database, set up so that what is committed is on the disk.

SQLite writes ahead and syncs each commit (WAL, synchronous=FULL), and a transaction that will write takes the lock at its
beginning, so that it waits its turn instead of failing at its end. PostgreSQL is asked to flush each commit where its
default is not to.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy import exc as wrong
from sqlalchemy.engine import URL, make_url

from screening.errors import FatalError

_ROWS = 50
"""In one INSERT. sqlite3 keeps the last 128 statements, each as long as it has rows: with all cards of a second in one, a
worker came to hold 30 MB of them."""
READING = "reading"
"""An option of a connection whose transactions only read: they then hinder no writer."""


def checked(text: str) -> URL:
    """Read SQLAlchemy's URL; FatalError, without repeating it, for none and for a database in memory."""
    try:
        url = make_url(text)
    except (wrong.ArgumentError, ValueError):
        raise FatalError(
            "the feedback database's URL is none: write it like sqlite:////var/lib/cds/feedback.db or "
            "postgresql+psycopg://user:password@host/name"
        ) from None
    if url.get_backend_name() == "sqlite" and (not url.database or ":memory:" in url.database):
        raise FatalError(
            "a database in memory keeps no feedback: name a file, such as sqlite:////var/lib/cds/feedback.db"
        )
    return url


def make_engine(url: URL, wait: float) -> Engine:
    """Return an engine; it connects to nothing yet.

    Parameters
    ----------
    wait
        Seconds that a call waits for a lock, a connection or a server.

    Raises
    ------
    FatalError
        There is no such database, or its driver is not installed.
    """
    kind = url.get_backend_name()
    known: dict[str, dict[str, Any]] = {
        "sqlite": {"timeout": wait, "isolation_level": None},
        "postgresql": {"connect_timeout": max(2, round(wait))},
    }
    try:
        # An error's text must not repeat what was to be written.
        made = create_engine(
            url,
            hide_parameters=True,
            pool_timeout=wait,
            pool_pre_ping=kind != "sqlite",
            insertmanyvalues_page_size=_ROWS,
            connect_args=known.get(kind, {}),
        )
    except (ImportError, wrong.SQLAlchemyError):
        raise FatalError(
            f"{url.drivername}: there is no such database, or its driver is not installed; PostgreSQL is postgresql+psycopg"
        ) from None
    if kind == "sqlite":
        # One statement for many rows. Of a statement for each, sqlite3 lets go of the interpreter at every row, and a
        # thread that writes beside threads that compute waits its turn as often: thirty times as long in all.
        made.dialect.use_insertmanyvalues_wo_returning = True
        event.listen(made, "connect", _careful_sqlite)
        event.listen(made, "begin", _begin_sqlite)
    if kind == "postgresql":
        event.listen(made, "connect", _careful_postgresql)
    return made


def _careful_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    # fullfsync: macOS alone, whose fsync leaves data in the drive's own memory.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "fullfsync=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _careful_postgresql(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def make_private(file: Path) -> None:
    """Make the file, for its owner alone: comments may tell of patients. SQLite gives its helper files the same rights."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise FatalError(f"{file}: cannot be made or written: {error.strerror}") from None
