"""Connections that another thread can end, whatever they wait for: the handshake, a header, the next byte of a body."""

import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from screening.fhir_client.budget import Budget, watch

LONGEST_IDLE = 4.0
"""Seconds for which a connection waits for its next request. Servers close one after 5 or more, and what lies between may
forget it without a word: a request sent into it is lost, and with it the patient's answer where nobody asks twice."""


class _Handle:
    """A second handle on a TCP connection: TLS takes the first one for itself, and a response keeps it at the end.

    It is closed when nobody holds it any more.
    """

    def __init__(self, made: socket.socket) -> None:
        self.budget: Budget | None = None
        self._socket = made.dup()

    def cut(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return

    def __del__(self) -> None:
        self._socket.close()


class _Connection(HTTPConnection):
    _handle: _Handle | None = None
    _used = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether the pool may give this connection out again."""
        return super().is_connected and time.monotonic() - self._used < LONGEST_IDLE

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self._handle = _Handle(made)
        watch(self._handle)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used = time.monotonic()
        if self._handle is not None:
            watch(self._handle)
        super().request(*args, **kwargs)

    def close(self) -> None:
        self._handle = None
        super().close()


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class InterruptibleAdapter(HTTPAdapter):
    """The HTTP library's adapter over connections that a budget's end can cut."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of our own connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
