"""The tokens that were used, shared by all workers: one SQLite file, one row for each (iss, jti) until it expires.

A row is a promise for minutes, not for years. It must outlive a killed worker, and does: what SQLite wrote is with the
operating system. It need not outlive a power cut (`synchronous=NORMAL` in WAL mode: no wait for the disk at each row, and no
broken file afterwards).
"""

import os
import sqlite3
import threading
import weakref
from pathlib import Path

from cds_hooks.bearer.rejections import CannotVerify

BUSY_SECONDS = 1.0
"""For how long a call waits for another worker's row."""

_TABLE = (
    "CREATE TABLE IF NOT EXISTS used (iss TEXT, jti TEXT, until REAL NOT NULL, PRIMARY KEY (iss, jti)) WITHOUT ROWID"
)
_INDEX = "CREATE INDEX IF NOT EXISTS used_until ON used (until)"
# One statement, hence one decision: a row that is no longer of use gives way, any other stays and nothing is changed.
_USE = (
    "INSERT INTO used VALUES (:iss, :jti, :until) "
    "ON CONFLICT (iss, jti) DO UPDATE SET until = excluded.until WHERE until < :now"
)
_PURGE = "DELETE FROM used WHERE (iss, jti) IN (SELECT iss, jti FROM used WHERE until < ? ORDER BY until LIMIT ?)"
_EACH, _MOST = 64, 256  # after how many rows, and how many at once, expired ones are deleted


class UsedTokens:
    """The store; used by several threads and, after a fork, several processes.

    Parameters
    ----------
    path
        The file; its folder is made. It must lie on a disk of this machine: SQLite's WAL does not work over a network.

    Raises
    ------
    OSError or sqlite3.Error
        It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # For its owner alone, and SQLite's helper files are made like it: whoever can write here makes a token good again.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_TABLE)
            connection.execute(_INDEX)
        finally:
            connection.close()
        self._inode = self._path.stat().st_ino
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inherited: sqlite3.Connection | None = None
        self._count = 0
        _STORES.add(self)

    def use(self, iss: str, jti: str, *, until: float, now: float) -> bool:
        """Record a token.

        Parameters
        ----------
        until
            Unix time until which it would be accepted.
        now
            Unix time.

        Returns
        -------
        bool
            False where it was used before.

        Raises
        ------
        CannotVerify
            It cannot be recorded: the file is locked, gone or broken, or the disk is full.
        """
        row = {"iss": iss, "jti": jti, "until": until, "now": now}
        lock = self._lock
        # A timeout here too: threads that wait for a locked file must not wait one after another.
        if not lock.acquire(timeout=BUSY_SECONDS):
            raise CannotVerify("the used tokens cannot be recorded: another call waits for the file")
        try:
            connection = self._open()
            self._count += 1
            if self._count % _EACH == 0:  # first: what fails here leaves the token unused
                connection.execute(_PURGE, (now, _MOST))
            return connection.execute(_USE, row).rowcount == 1
        except (sqlite3.Error, OSError) as error:
            raise CannotVerify(f"the used tokens cannot be recorded: {type(error).__name__}: {error}") from None
        finally:
            lock.release()

    def close(self) -> None:
        """Close this process' connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        """Give this process' connection, as long as the file is the one that the other workers have too."""
        if not self._path.exists() or self._path.stat().st_ino != self._inode:
            raise OSError("the file was removed or replaced; restart the sidecar")
        if self._connection is None:
            # mode=rw: a file that is gone is not made anew behind the other workers' backs.
            uri = f"{self._path.as_uri()}?mode=rw"
            connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA synchronous = NORMAL")
            self._connection = connection
        return self._connection

    def _forked(self) -> None:
        # SQLite: a connection must not be carried over a fork, nor even be closed there; so it is kept and not touched.
        self._inherited, self._connection, self._lock = self._connection, None, threading.Lock()


_STORES: "weakref.WeakSet[UsedTokens]" = weakref.WeakSet()


def _after_fork() -> None:
    for store in _STORES:
        store._forked()


os.register_at_fork(after_in_child=_after_fork)
