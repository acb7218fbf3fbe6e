"""The sockets on which clients connect, and which of the workers takes the next one."""

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from cds_hooks.serving.balance import Loads

YIELD_SECONDS = 0.01
"""For a worker with fewer connections to take a new one, before this one does."""


class Listeners:
    """The listening sockets of one worker, which all workers share.

    Parameters
    ----------
    sockets
        As gunicorn has bound them.
    selector
        Of the worker's loop; its data is what to call when a socket is ready.
    loads, worker
        The counts of all workers, and the number of this one.
    take
        Is given a client's socket and address.
    full
        Is called where no descriptor is left, to make room.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        selector: selectors.BaseSelector,
        loads: Loads,
        worker: int,
        take: Callable[[socket.socket, Any], None],
        full: Callable[[str], None],
    ) -> None:
        self._sockets, self._selector, self._loads, self._worker = sockets, selector, loads, worker
        self._take, self._full = take, full
        self._yielded: deque[tuple[float, socket.socket]] = deque()  # until when
        loads.tell(worker, 0)
        for listener in sockets:
            listener.setblocking(False)
            self._listen(listener)

    def until(self, other: float) -> float:
        """Return the earlier of a monotonic time and the one at which `resume` has something to do."""
        return min(other, self._yielded[0][0]) if self._yielded else other

    def resume(self) -> None:
        """Take those clients for whom the other workers had their moment."""
        while self._yielded and self._yielded[0][0] <= time.monotonic():
            _, listener = self._yielded.popleft()
            self._accept(listener)
            self._listen(listener)

    def close(self) -> None:
        """Take in who has connected already, and let nobody else."""
        self._loads.leave(self._worker)
        self._yielded.clear()
        for listener in self._sockets:
            while self._accept(listener):
                pass
            if listener in self._selector.get_map():
                self._selector.unregister(listener)
            listener.close()

    def _listen(self, listener: socket.socket) -> None:
        self._selector.register(listener, selectors.EVENT_READ, partial(self._accept_or_yield, listener))

    def _accept_or_yield(self, listener: socket.socket) -> None:
        if self._loads.is_lightest(self._worker):
            self._accept(listener)
        else:
            self._selector.unregister(listener)
            self._yielded.append((time.monotonic() + YIELD_SECONDS, listener))

    def _accept(self, listener: socket.socket) -> bool:
        try:
            sock, peer = listener.accept()
        except (BlockingIOError, ConnectionError):
            return False
        except OSError as error:  # the client waits on and is taken at the next turn
            self._full(error.strerror or "")
            return False
        self._take(sock, peer)
        return True
