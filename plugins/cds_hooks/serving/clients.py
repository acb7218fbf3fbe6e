"""The connections of one worker: what each is waited for, what all of them hold in memory, and how one ends."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cds_hooks.refusals import Refusal
from cds_hooks.serving import answers
from cds_hooks.serving.arrival import Arrival
from cds_hooks.serving.connection import Connection, State


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client can cost at most.

    Attributes
    ----------
    connections
        Clients at a time.
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
    """

    connections: int
    max_body: int
    request_seconds: float = 10.0
    send_seconds: float = 10.0
    linger_seconds: float = 2.0
    max_held: int = 2**26
    max_dropped: int = 2**27


class Clients:
    """The connections.

    Parameters
    ----------
    selector
        Of the worker's loop.
    limits
        See `Limits`.
    arrival
        Makes what puts the requests of a client's address together.
    changed
        Is told how many there are, where that has changed.
    log
        gunicorn's.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        limits: Limits,
        arrival: Callable[[Any], Arrival],
        changed: Callable[[int], None],
        log: Any,
    ) -> None:
        self._selector, self._limits, self._arrival, self._changed, self._log = selector, limits, arrival, changed, log
        self._all: set[Connection] = set()
        self._held = 0

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._all

    def __iter__(self) -> Iterator[Connection]:
        """Iterate over those that there are now, whichever end meanwhile."""
        return iter(list(self._all))

    def add(self, sock: socket.socket, peer: Any) -> None:
        """Take in a new client, in another's place where there are too many."""
        while len(self._all) >= self._limits.connections and self.make_room():
            pass
        connection = Connection(sock, peer, self._arrival(peer), time.monotonic() + self._limits.request_seconds)
        self._all.add(connection)
        self._changed(len(self._all))
        self.wait_for(connection, selectors.EVENT_READ)

    def wait_for(self, connection: Connection, events: int) -> None:
        """Wait until it can be read or written; 0 for neither."""
        if events == connection.events:
            return
        if not connection.events:
            self._selector.register(connection.sock, events, connection)
        elif events:
            self._selector.modify(connection.sock, events, connection)
        else:
            self._selector.unregister(connection.sock)
        connection.events = events

    def hold(self, connection: Connection, held: int) -> None:
        """Note how many bytes of a request it has in memory; where all have too many, refuse the longest still to come."""
        self._note(connection, held)
        while self._held > self._limits.max_held and (longest := self._first(State.RECEIVING)):
            self.refuse(longest, answers.BUSY)

    def wait_until_sent(self, connection: Connection) -> None:
        """Wait for the client to take the rest of an answer."""
        if connection.state is not State.SENDING:
            connection.state, connection.deadline = State.SENDING, time.monotonic() + self._limits.send_seconds
        self.wait_for(connection, selectors.EVENT_WRITE)

    # How one ends

    def refuse(self, connection: Connection, refusal: Refusal) -> None:
        """Answer what can be no request, and end."""
        self._log.warning("a request was refused before it was whole: %s %s", refusal.status, refusal.text)
        self._forget(connection)
        connection.keep = False
        connection.send(answers.closing(refusal))
        if connection.unsent:
            self.wait_until_sent(connection)
        else:
            self.linger(connection)

    def linger(self, connection: Connection) -> None:
        """End after the last answer, which the client may not have read yet."""
        self._forget(connection)
        connection.end_sending()
        now = time.monotonic()
        connection.state, connection.deadline = State.LINGERING, now + self._limits.linger_seconds
        connection.lingers_until = now + self._limits.request_seconds
        if connection.dropped > self._limits.max_dropped:
            self.close(connection)
        else:
            self.wait_for(connection, selectors.EVENT_READ)

    def drop(self, connection: Connection, data: bytes) -> None:
        """Throw away what a client sends after its last answer."""
        connection.dropped += len(data)
        connection.deadline = min(time.monotonic() + self._limits.linger_seconds, connection.lingers_until)
        if connection.dropped > self._limits.max_dropped:
            self.close(connection)

    def expire(self, connection: Connection) -> None:
        """End what has taken too long."""
        if connection.state is State.RECEIVING and connection.arrival.begun:
            self.refuse(connection, answers.SLOW)
        else:
            self.close(connection)

    def close(self, connection: Connection) -> None:
        """End at once."""
        self.wait_for(connection, 0)
        self._forget(connection)
        self._all.discard(connection)
        self._changed(len(self._all))
        connection.sock.close()

    def make_room(self) -> bool:
        """Close the connection that is missed least: one between two requests, else one that takes longest."""
        oldest = self._first(State.IDLE) or self._first(State.RECEIVING, State.SENDING, State.LINGERING)
        if oldest is not None:
            self.close(oldest)
        return oldest is not None

    def _note(self, connection: Connection, held: int) -> None:
        self._held += held - connection.held
        connection.held = held

    def _forget(self, connection: Connection) -> None:
        """Free what has arrived of a request."""
        self._note(connection, 0)
        connection.arrival = self._arrival(connection.peer)

    def _first(self, *states: State) -> Connection | None:
        found = (connection for connection in self._all if connection.state in states)
        return min(found, key=lambda connection: connection.deadline, default=None)
