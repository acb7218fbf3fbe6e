"""A gunicorn worker that no slow client can hold up.

gunicorn's threaded worker reads a request within a thread of its pool, without a deadline, and closes connections in its
main loop, waiting for the client: a few clients that dribble bytes take all threads, and a few that do not hang up stop
the loop for seconds each. Here one loop reads and writes all connections without ever waiting for one of them. It asks the
application only what is there as a whole, and takes its answer as a whole; where that waits or takes long, another thread
goes on with the loop (`turns`). What a client can cost is bounded (`clients`).
"""

import contextlib
import os
import selectors
import time
from collections import deque
from typing import Any

from gunicorn.workers.base import Worker

from cds_hooks import waiting
from cds_hooks.refusals import Refusal
from cds_hooks.serving import answers
from cds_hooks.serving.application import Application
from cds_hooks.serving.arrival import Arrival
from cds_hooks.serving.balance import Loads
from cds_hooks.serving.clients import Clients, Limits
from cds_hooks.serving.connection import Connection, State
from cds_hooks.serving.listeners import Listeners
from cds_hooks.serving.turns import Turns

_PIECE = 2**16
_TICK = 0.5


class LoopWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """The worker; `cfg.threads` of its requests may wait for something, or take long, at a time.

    Attributes
    ----------
    limits
        What a client can cost.
    loads
        The counts of all workers.
    """

    limits: Limits
    loads = Loads()
    alive: bool

    def init_process(self) -> None:
        """Make what must not be shared with the parent process, then serve."""
        self.selector = selectors.DefaultSelector()
        self.clients = Clients(self.selector, self.limits, self._arrival, self._tell, self.log)
        self.requests: deque[tuple[Connection, Any]] = deque()
        """Whole, and not asked yet."""
        self.answered: deque[Connection] = deque()
        """By threads that had lost their turn."""
        self.ready, self.wake = os.pipe()
        for end in (self.ready, self.wake):
            os.set_blocking(end, False)
        self.next_tick = 0.0
        self.end: float | None = None
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop, and then until what was begun is finished."""
        self.call_seconds, self.idle_seconds = self.cfg.timeout, self.cfg.keepalive
        self.application = Application(self.wsgi, self.cfg, self.log, self._closing)
        self.selector.register(self.ready, selectors.EVENT_READ, self._take_answered)
        self.selector.register(self.PIPE[0], selectors.EVENT_READ, self._signalled)
        self.listeners = Listeners(self.sockets, self.selector, self.loads, self.age, self.clients.add, self._full)
        self.turns = Turns(self.cfg.threads + 1, self._round)
        self.turns.run()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop, and let the loop know."""
        super().handle_exit(sig, frame)
        self._wake()

    # The loop

    def _round(self) -> bool:
        """Do what the connections are ready for, then answer one request; return whether there is more to come."""
        answering = bool(self.requests) and self.turns.spare
        until = 0.0 if answering else self.listeners.until(self.next_tick)
        for key, events in self.selector.select(max(0.0, until - time.monotonic())):
            if isinstance(key.data, Connection):
                self._ready(key.data, events)
            else:
                key.data()
        self.listeners.resume()
        if (now := time.monotonic()) >= self.next_tick:
            self.next_tick = now + _TICK
            self._tick(now)
        if not self.alive and self.end is None:
            self.end = self._begin_to_finish(now)
        if self.end is not None and (now >= self.end or not self.clients):
            return False
        if self.requests and self.turns.spare:
            self._answer(*self.requests.popleft())
        return True

    def _answer(self, connection: Connection, request: Any) -> None:
        waiting.tell(self.turns.hand_on)
        with self.turns.lending():
            answer = self.application.answer(connection, request)
        connection.send(answer)
        if self.turns.mine:
            self._sent(connection)
            return
        self.answered.append(connection)  # the loop is another thread's now
        self.turns.come_back()
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self.wake, b".")

    def _signalled(self) -> None:
        _read_up(self.PIPE[0])
        self.turns.stir()

    def _take_answered(self) -> None:
        _read_up(self.ready)
        while self.answered:
            self._sent(self.answered.popleft())

    def _tick(self, now: float) -> None:
        """Show the parent that this worker lives, and end what has taken too long."""
        self.notify()
        if self.ppid != os.getppid():
            self.log.info("the parent process has ended: so does this worker")
            self.alive = False
        for connection in self.clients:
            if connection.deadline > now:
                continue
            if connection.state is not State.RUNNING:
                self.clients.expire(connection)
            elif self.alive:
                self.log.critical("a request runs for more than %s s: this worker is given up", self.call_seconds)
                self.alive = False

    def _begin_to_finish(self, now: float) -> float:
        """Take in who has connected, and let nobody else; return until when everybody is to be answered."""
        self.listeners.close()
        for connection in self.clients:
            if connection.state is State.IDLE:
                connection.deadline = min(connection.deadline, now + self.limits.linger_seconds)
        return float(now + self.cfg.graceful_timeout - 2 * _TICK)

    # One connection

    def _ready(self, connection: Connection, events: int) -> None:
        if connection not in self.clients:  # closed by another event of this round
            return
        if events & selectors.EVENT_WRITE:
            connection.send()
            self._sent(connection)
        elif connection.state is State.RUNNING:  # it sends ahead, or has hung up: told when the answer is there
            self.clients.wait_for(connection, 0)
        elif (data := connection.receive(_PIECE)) is not None:
            self._received(connection, data)

    def _received(self, connection: Connection, data: bytes) -> None:
        if not data:
            self.clients.close(connection)
        elif connection.state is State.LINGERING:
            self.clients.drop(connection, data)
        else:
            if connection.state is State.IDLE:
                self._expect(connection)
            connection.arrival.feed(data)
            self._advance(connection)

    def _expect(self, connection: Connection) -> None:
        connection.state, connection.deadline = State.RECEIVING, time.monotonic() + self.limits.request_seconds

    def _advance(self, connection: Connection) -> None:
        """Take a request once it is there."""
        arrival = connection.arrival
        try:
            request = arrival.take()
        except Refusal as refusal:
            self.clients.refuse(connection, refusal)
            return
        self.clients.hold(connection, len(arrival) + (request.body.getbuffer().nbytes if request else 0))
        if connection.state is not State.RECEIVING:
            return
        if request is not None:
            connection.state, connection.deadline = State.RUNNING, time.monotonic() + self.call_seconds
            self.requests.append((connection, request))
        elif arrival.invites():
            connection.send(answers.CONTINUE)

    def _sent(self, connection: Connection) -> None:
        """Go on after an answer, or a part of it, has left."""
        if connection.unsent:
            self.clients.wait_until_sent(connection)
        elif connection.keep:
            patience = self.idle_seconds if self.alive else self.limits.linger_seconds
            connection.state, connection.deadline = State.IDLE, time.monotonic() + patience
            self.clients.wait_for(connection, selectors.EVENT_READ)
            self.clients.hold(connection, len(connection.arrival))
            if connection.held:  # the client sent ahead
                self._expect(connection)
                self._advance(connection)
        else:
            self.clients.linger(connection)

    def _closing(self) -> bool:
        """Return whether a connection ends with its answer, so that the client's next is another worker's."""
        return not self.alive or bool(self.loads.has_too_many(self.age))

    def _full(self, reason: str) -> None:
        self.log.warning("no connection could be taken: %s", reason)
        self.clients.make_room()

    def _arrival(self, peer: Any) -> Arrival:
        return Arrival(self.cfg, peer, self.limits.max_body)

    def _tell(self, connections: int) -> None:
        if self.alive:
            self.loads.tell(self.age, connections)


def _read_up(descriptor: int) -> None:
    """Empty a pipe that only wakes."""
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4096)
