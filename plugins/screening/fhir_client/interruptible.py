"""Connections that another thread can end, whatever they wait for: the handshake, a header, the next byte of a body."""

import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from screening.fhir_client.budget import Budget, watch


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

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        self._handle = _Handle(made)
        watch(self._handle)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
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
