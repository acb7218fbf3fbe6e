"""What the requests of one call may use together: seconds, bytes and pages.

A read timeout bounds the pause between two parcels, so that a server which sends a byte now and then holds its caller for
as long as it likes: in the TLS handshake, in the headers, in the body. A budget's end therefore cuts the connections
themselves (`interruptible`), and whatever waits for one wakes up.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_here = threading.local()


class Cuttable(Protocol):
    """A connection under way.

    Attributes
    ----------
    budget
        Of the call that uses it now: a pooled connection goes from call to call.
    """

    budget: "Budget | None"

    def cut(self) -> None:
        """End the connection under whoever reads from it or writes to it."""


class Budget:
    """Shared by the threads of one call; its time begins when it is made.

    Parameters
    ----------
    seconds
        From now to the end.
    max_bytes
        Of all answers, after decompression.
    max_pages
        Of one search.
    clock
        Gives seconds that only ever grow.

    Attributes
    ----------
    max_pages
        As given.
    """

    def __init__(
        self, seconds: float, max_bytes: int, max_pages: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_pages = max_pages
        self._clock = clock
        self._end = clock() + seconds
        self._bytes = max_bytes
        self._ended = False
        self._watched: set[Cuttable] = set()
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at the end."""
        return 0.0 if self._ended else max(0.0, self._end - self._clock())

    @property
    def over(self) -> bool:
        """Whether the time is used up."""
        return self.left <= 0.0

    def take(self, size: int) -> bool:
        """Count bytes that came; False where they are more than was left."""
        with self._lock:
            self._bytes -= size
            return self._bytes >= 0

    def end(self) -> None:
        """Cut the connections of all requests under way, and let no other begin."""
        with self._lock:
            self._ended = True
            mine = [one for one in self._watched if one.budget is self]
        for one in mine:
            one.cut()

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        """Watch every connection that this thread uses while the block lasts."""
        _here.budget, _here.used = self, set()
        try:
            yield
        finally:
            with self._lock:
                self._watched -= _here.used
            _here.budget, _here.used = None, set()

    def _watch(self, connection: Cuttable) -> None:
        _here.used.add(connection)
        with self._lock:
            self._watched.add(connection)
            late = self._ended
        if late:
            connection.cut()


def watch(connection: Cuttable) -> None:
    """Put a connection that this thread is about to use under its budget, if it has one."""
    budget: Budget | None = getattr(_here, "budget", None)
    connection.budget = budget
    if budget is not None:
        budget._watch(connection)
