"""Writes behind the answer: what a request hands over is written by a thread, many at once.

A request only appends to a queue. The thread empties it once a second. When the database cannot keep up, the newest
are dropped and counted; when the process is killed, what it had not written is lost. Either way only the link from a card
to its model is: feedback on it is kept, as feedback on an unknown card.
"""

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from screening.errors import FatalError, TemporaryError
from screening.feedback.entries import IssuedCard

log = logging.getLogger(__name__)

Notice: TypeAlias = Callable[[int, int], None]
"""Is told how many cards wait to be written, and how many more were lost."""

_BATCH = 500  # more than come in a round, mostly; some 8 ms of the interpreter, which requests share
_LOG_SECONDS = 30.0  # between two lines about the same trouble


class Remembering:
    """A bounded queue of cards and the thread that writes them.

    Parameters
    ----------
    write
        Writes some cards. TemporaryError: they are tried again. FatalError: they are given up and counted.
    limit
        Cards that may wait.
    every
        Seconds between two rounds of writing. A round is a transaction, which a disk takes its time for: five of them a
        second cost a loaded worker a seventeenth of its answers.
    notice
        Is called after each round and each loss.
    """

    def __init__(
        self,
        write: Callable[[list[IssuedCard]], None],
        *,
        limit: int = 10_000,
        every: float = 1.0,
        notice: Notice | None = None,
    ) -> None:
        self._write, self._limit, self._every, self._notice = write, limit, every, notice
        self._lost = 0
        self._reset()
        this = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _call(this, Remembering._reset))
        atexit.register(_call, this, Remembering.close)

    def _reset(self) -> None:
        # In a forked child: its parent's cards are its parent's to write, and its parent's thread is not there.
        self._waiting: deque[IssuedCard] = deque()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._told, self._told_lost = -_LOG_SECONDS, self._lost

    @property
    def lost(self) -> int:
        """Cards of this process that were dropped."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Cards that are not written yet."""
        return len(self._waiting)

    def remember(self, card: IssuedCard) -> None:
        """Hand over a card; never waits and never fails."""
        if len(self._waiting) >= self._limit:
            self._drop(1)
            return
        self._waiting.append(card)
        if self._thread is None:
            self._begin()

    def close(self) -> None:
        """Write what waits and end the thread; a card that is handed over later begins a new one."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is None:
            return
        thread.join()
        left = len(self._waiting)
        if left:
            self._waiting.clear()
            self._drop(left)
        self._tell_losses(now=True)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._stop = threading.Event()
            thread = threading.Thread(target=self._run, args=(self._stop,), name="remembers-cards", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread to be had, or the interpreter is ending: the next card tries again
                return
            self._thread = thread

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._every):
            # What comes meanwhile waits for the next round: written as it comes, each card would be a transaction.
            self._write_out(len(self._waiting))
        self._write_out(self._limit)

    def _write_out(self, most: int) -> None:
        while batch := [self._waiting.popleft() for _ in range(min(_BATCH, most, len(self._waiting)))]:
            most -= len(batch)
            try:
                self._write(batch)
            except TemporaryError as error:
                self._waiting.extendleft(reversed(batch))
                self._say("cards wait to be remembered: %s", error)
                break
            except FatalError as error:
                self._drop(len(batch))
                self._say("cards cannot be remembered: %s", error)
        self._count(0)
        self._tell_losses()

    def _drop(self, cards: int) -> None:
        with self._lock:
            self._lost += cards
        self._count(cards)

    def _count(self, lost: int) -> None:
        if self._notice is not None:
            self._notice(len(self._waiting), lost)

    def _tell_losses(self, *, now: bool = False) -> None:
        if self._lost > self._told_lost and self._say(
            "%s cards were not remembered since the process began; feedback on them will count as of unknown cards",
            self._lost, now=now,
        ):  # fmt: skip
            self._told_lost = self._lost

    def _say(self, words: str, about: object, *, now: bool = False) -> bool:
        moment = time.monotonic()
        if not now and moment - self._told < _LOG_SECONDS:
            return False
        self._told = moment
        log.warning(words, about)
        return True


def _call(this: "weakref.ref[Remembering]", method: Callable[[Remembering], None]) -> None:
    found = this()
    if found is not None:
        method(found)
