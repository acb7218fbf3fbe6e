"""Threads that take turns at a worker's loop: the one whose turn it is reads, answers and writes, and one that waits for
something, or takes long, loses its turn to another.

A thread for the loop and others for the answers would do the same work, and spend a twelfth of it on handing the
interpreter to each other, at every call of the system and every sort. Here threads answer side by side only where one of
them would keep the rest waiting.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 0.02
"""Seconds within which an answer is not disturbed; what takes twice as long has lost its turn."""


class Turns:
    """A fixed number of threads, one of which has the turn.

    Parameters
    ----------
    threads
        How many.
    work
        Does one round of the loop; returns whether there is another. Called by the thread that has the turn, again and
        again while it has it.
    """

    def __init__(self, threads: int, work: Callable[[], bool]) -> None:
        self._threads, self._work = threads, work
        self._turn, self._changing = threading.Lock(), threading.Lock()
        self._whose: int | None = None
        self._since: float | None = None  # when the thread whose turn it is began what it may lose its turn by
        self._away = 0
        self._begun, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Have the threads work until there is no more work.

        The calling thread only watches. If it is the main thread, it is there to handle signals: see `stir`.

        Raises
        ------
        BaseException
            What the work has raised: nothing goes on after it.
        """
        for _ in range(self._threads):  # daemons: none may keep a worker from ending
            threading.Thread(target=self._take_turns, daemon=True).start()
        while not self._ended.is_set():
            self._begun.wait()  # so that nothing wakes where there is nothing to watch
            self._begun.clear()  # before a look at the end, which is told first: else its call could be missed
            while self._since is not None and not self._ended.wait(PATIENCE):
                self._watch(time.monotonic())
        if self._error is not None:
            raise self._error

    def stir(self) -> None:
        """Wake the thread that watches: Python handles a signal in the main thread, and only once that does something."""
        self._begun.set()

    @property
    def spare(self) -> bool:
        """Whether there is a thread that could take the turn. The last one is to begin nothing that may take long."""
        return self._away < self._threads - 1

    @contextmanager
    def lending(self) -> Iterator[None]:
        """Work on something, within the turn, that may have to wait or take long: the turn may be another's meanwhile."""
        self._since = time.monotonic()
        if not self._begun.is_set():
            self._begun.set()
        try:
            yield
        finally:
            with self._changing:
                if self.mine:
                    self._since = None

    @property
    def mine(self) -> bool:
        """Whether it is the calling thread's turn."""
        return self._whose == threading.get_ident()

    def hand_on(self) -> None:
        """Let another thread have the turn, if it is the calling one's: that is away then, until it calls `come_back`."""
        with self._changing:
            if self.mine:
                self._pass()

    def come_back(self) -> None:
        """Tell that the calling thread, which was away, will wait for its turn next."""
        with self._changing:
            self._away -= 1

    def _watch(self, now: float) -> None:
        """Give the turn to another thread where the one that has it takes long."""
        with self._changing:
            if self._since is not None and now - self._since >= PATIENCE and self.spare:
                self._pass()

    def _pass(self) -> None:
        self._whose = self._since = None
        self._away += 1
        self._turn.release()

    def _take_turns(self) -> None:
        while True:
            self._turn.acquire()
            self._whose = threading.get_ident()
            try:
                while self.mine and not self._ended.is_set():
                    if not self._work():
                        self._end()
            except BaseException as error:  # noqa: BLE001 - the thread that watches raises it
                self._error = error
                self._end()
            with self._changing:
                if self.mine:
                    self._whose = None
                    self._turn.release()
            if self._ended.is_set():
                return

    def _end(self) -> None:
        self._ended.set()
        self._begun.set()
