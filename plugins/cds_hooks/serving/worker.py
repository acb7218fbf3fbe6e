"""A gunicorn worker that no slow client can hold up.

gunicorn's threaded worker reads a request within a thread of its pool, without a deadline, and closes connections in its
main loop, waiting for the client: a few clients that dribble bytes take all threads, and a few that do not hang up stop
the loop for seconds each. Here one loop reads and writes all connections without ever waiting for one of them, and a
thread gets a request only when it is there as a whole and gives back its answer as a whole. What a client can cost is
bounded: time for a request, an answer, an idle connection; bytes of a head, of a body, of all bodies together;
connections.
"""

import os
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.workers.base import Worker

from cds_hooks.refusals import Refusal
from cds_hooks.serving import answers
from cds_hooks.serving.arrival import Arrival
from cds_hooks.serving.balance import Loads
from cds_hooks.serving.connection import Connection, State
from cds_hooks.serving.listeners import Listeners
from cds_hooks.serving.threads import Threads, read_up

_PIECE = 2**16
_TICK = 0.5


class LoopWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """The worker; `cfg.threads` requests are answered at a time, `cfg.worker_connections` clients are connected.

    Attributes
    ----------
    request_seconds
        For a request to arrive as a whole, from its first byte on, however many it has: EHRs wait for half a second.
    send_seconds
        For a client to take an answer.
    linger_seconds
        For a client to hang up after its last answer, or to send on what is thrown away; and how long a stopping worker
        listens to kept connections, on which a client may just be sending.
    max_body
        Bytes of the longest body that the application is given. Of a longer one it gets the head alone, and refuses it.
    max_held
        Bytes of all requests in the worker together that are not answered yet.
    max_dropped
        Bytes of a refused body that are read and thrown away, so that the client comes to read the refusal.
    loads
        The counts of all workers.
    """

    request_seconds, send_seconds, linger_seconds = 10.0, 10.0, 2.0
    max_body, max_held, max_dropped = 5 * 2**20, 2**26, 2**27
    loads = Loads()
    alive: bool

    def init_process(self) -> None:
        """Make what must not be shared with the parent process, then serve."""
        self.selector = selectors.DefaultSelector()
        self.connections: set[Connection] = set()
        self.held = 0
        self.next_tick = 0.0
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop, and then until what was begun is finished."""
        self.threads = Threads(self.wsgi, self.cfg, self.log, self._closing)
        self.selector.register(self.threads.ready, selectors.EVENT_READ, self._answered)
        self.selector.register(self.PIPE[0], selectors.EVENT_READ, partial(read_up, self.PIPE[0]))  # a signal
        self.listeners = Listeners(self.sockets, self.selector, self.loads, self.age, self._take, self._full)
        while self.alive:
            self._turn()
            if self.ppid != os.getppid():
                self.log.info("the parent process has ended: so does this worker")
                self.alive = False
        self._finish()

    # The loop

    def _turn(self) -> None:
        until = self.listeners.until(self.next_tick)
        for key, events in self.selector.select(max(0.0, until - time.monotonic())):
            if isinstance(key.data, Connection):
                self._ready(key.data, events)
            else:
                key.data()
        self.listeners.resume()
        if (now := time.monotonic()) >= self.next_tick:
            self.next_tick = now + _TICK
            self._tick(now)

    def _answered(self) -> None:
        for connection in self.threads.answered():
            self._sent(connection)

    def _tick(self, now: float) -> None:
        """Show the parent that this worker lives, and end what has taken too long."""
        self.notify()
        for connection in [one for one in self.connections if one.deadline <= now]:
            if connection.state is not State.RUNNING:
                self._expire(connection)
            elif self.alive:
                self.log.critical("a request runs for more than %s s: this worker is given up", self.cfg.timeout)
                self.alive = False

    def _finish(self) -> None:
        """Take in who has connected, let nobody else, and answer everybody."""
        self.listeners.close()
        now = time.monotonic()
        for connection in self.connections:
            if connection.state is State.IDLE:
                connection.deadline = min(connection.deadline, now + self.linger_seconds)
        end = now + self.cfg.graceful_timeout - 2 * _TICK
        while self.connections and time.monotonic() < end:
            self._turn()

    def _take(self, sock: socket.socket, peer: Any) -> None:
        while len(self.connections) >= self.cfg.worker_connections and self._make_room():
            pass
        arrival = Arrival(self.cfg, peer, self.max_body)
        connection = Connection(sock, peer, arrival, time.monotonic() + self.request_seconds)
        self.connections.add(connection)
        self._tell()
        self._wait_for(connection, selectors.EVENT_READ)

    def _full(self, reason: str) -> None:
        self.log.warning("no connection could be taken: %s", reason)
        self._make_room()

    def _ready(self, connection: Connection, events: int) -> None:
        if connection not in self.connections:  # closed by another event of this turn
            return
        if events & selectors.EVENT_WRITE:
            connection.send()
            self._sent(connection)
        elif connection.state is State.RUNNING:  # it sends ahead, or has hung up: told when the answer is there
            self._wait_for(connection, 0)
        elif (data := connection.receive(_PIECE)) is not None:
            self._received(connection, data)

    def _received(self, connection: Connection, data: bytes) -> None:
        if not data:
            self._close(connection)
        elif connection.state is State.LINGERING:
            connection.dropped += len(data)
            connection.deadline = min(time.monotonic() + self.linger_seconds, connection.lingers_until)
            if connection.dropped > self.max_dropped:
                self._close(connection)
        else:
            if connection.state is State.IDLE:
                connection.state, connection.deadline = State.RECEIVING, time.monotonic() + self.request_seconds
            connection.arrival.feed(data)
            self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """Hand a request to the threads once it is there."""
        arrival = connection.arrival
        try:
            request = arrival.take()
        except Refusal as refusal:
            self._refuse(connection, refusal)
            return
        self._hold(connection, len(arrival) + (request.body.getbuffer().nbytes if request else 0))
        while self.held > self.max_held and (longest := self._first(State.RECEIVING)):
            self._refuse(longest, answers.BUSY)
        if connection.state is not State.RECEIVING:
            return
        if request is not None:
            connection.state = State.RUNNING
            connection.deadline = time.monotonic() + self.cfg.timeout
            self.threads.put(connection, request)
        elif arrival.invites():
            connection.send(answers.CONTINUE)

    def _sent(self, connection: Connection) -> None:
        """Go on after an answer, or a part of it, has left."""
        if connection.unsent:
            if connection.state is not State.SENDING:
                connection.state, connection.deadline = State.SENDING, time.monotonic() + self.send_seconds
            self._wait_for(connection, selectors.EVENT_WRITE)
        elif connection.keep:
            patience = self.cfg.keepalive if self.alive else self.linger_seconds
            connection.state, connection.deadline = State.IDLE, time.monotonic() + patience
            self._wait_for(connection, selectors.EVENT_READ)
            self._hold(connection, len(connection.arrival))
            if connection.held:  # the client sent ahead
                connection.state, connection.deadline = State.RECEIVING, time.monotonic() + self.request_seconds
                self._advance(connection)
        else:
            self._linger(connection)

    # How a connection ends

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        self.log.warning("a request was refused before it was whole: %s %s", refusal.status, refusal.text)
        self._forget(connection)
        connection.keep = False
        connection.send(answers.closing(refusal))
        self._sent(connection)

    def _linger(self, connection: Connection) -> None:
        self._forget(connection)
        connection.end_sending()
        now = time.monotonic()
        connection.state, connection.deadline = State.LINGERING, now + self.linger_seconds
        connection.lingers_until = now + self.request_seconds
        if connection.dropped > self.max_dropped:
            self._close(connection)
        else:
            self._wait_for(connection, selectors.EVENT_READ)

    def _expire(self, connection: Connection) -> None:
        if connection.state is State.RECEIVING and connection.arrival.begun:
            self._refuse(connection, answers.SLOW)
        else:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._wait_for(connection, 0)
        self._forget(connection)
        self.connections.discard(connection)
        self._tell()
        connection.sock.close()

    def _hold(self, connection: Connection, held: int) -> None:
        self.held += held - connection.held
        connection.held = held

    def _closing(self) -> bool:
        """Return whether a connection ends with its answer, so that the client's next is another worker's."""
        return not self.alive or bool(self.loads.has_too_many(self.age))

    def _tell(self) -> None:
        if self.alive:
            self.loads.tell(self.age, len(self.connections))

    def _forget(self, connection: Connection) -> None:
        """Free what has arrived of a request."""
        self._hold(connection, 0)
        connection.arrival = Arrival(self.cfg, connection.peer, self.max_body)

    def _make_room(self) -> bool:
        """Close the connection that is missed least: one between two requests, else one that takes longest."""
        oldest = self._first(State.IDLE) or self._first(State.RECEIVING, State.SENDING, State.LINGERING)
        if oldest is not None:
            self._close(oldest)
        return oldest is not None

    def _first(self, *states: State) -> Connection | None:
        found = (connection for connection in self.connections if connection.state in states)
        return min(found, key=lambda connection: connection.deadline, default=None)

    def _wait_for(self, connection: Connection, events: int) -> None:
        if events == connection.events:
            return
        if not connection.events:
            self.selector.register(connection.sock, events, connection)
        elif events:
            self.selector.modify(connection.sock, events, connection)
        else:
            self.selector.unregister(connection.sock)
        connection.events = events
