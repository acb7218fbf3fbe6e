"""One client's connection: its socket, what of a request has arrived, and what of an answer has not left."""

import socket
from enum import Enum, auto
from typing import Any

from cds_hooks.serving.arrival import Arrival


class State(Enum):
    """What a connection waits for."""

    RECEIVING = auto()
    """The rest of a request; a new connection's first one too."""
    IDLE = auto()
    """The next request on a kept connection."""
    RUNNING = auto()
    """The application's answer."""
    SENDING = auto()
    """The client, to take the answer."""
    LINGERING = auto()
    """The client's end: the last answer has left, and closing at once could tear it away (RFC 9112, 9.6)."""


class Connection:
    """A non-blocking socket and its state.

    Attributes
    ----------
    deadline
        Monotonic time at which the loop's patience with the present state ends.
    events
        What the loop's selector waits for; 0 for nothing.
    keep
        Whether another request may follow the present one.
    held
        Bytes of its request that are kept in memory.
    dropped, lingers_until
        Bytes thrown away while lingering, and the monotonic time at which that ends though more comes.
    """

    __slots__ = (
        "_unsent", "arrival", "deadline", "dropped", "events", "held", "keep", "lingers_until", "peer", "server", "sock",
        "state",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, peer: Any, arrival: Arrival, deadline: float) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.peer, self.arrival, self.deadline = sock, peer, arrival, deadline
        self.server = sock.getsockname()
        self.state = State.RECEIVING
        self.events = 0
        self.keep = True
        self.held = self.dropped = 0
        self.lingers_until = 0.0
        self._unsent = b""

    @property
    def unsent(self) -> bool:
        """Whether a part of the answer has not left."""
        return bool(self._unsent)

    def send(self, data: bytes = b"") -> None:
        """Send as much as the client takes now; what it does not take stays unsent.

        Where the client is gone there is nothing more to send: the loop's next read finds the end.
        """
        data = self._unsent + data
        try:
            self._unsent = data[self.sock.send(data) :]
        except BlockingIOError:
            self._unsent = data
        except OSError:
            self._unsent, self.keep = b"", False

    def receive(self, most: int) -> bytes | None:
        """Return what has come in; nothing at the client's end, and None where there is nothing to read yet."""
        try:
            return self.sock.recv(most)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def end_sending(self) -> None:
        """Tell the client that nothing more comes."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.dropped = 2**62  # the client is gone: no more is waited for
