"""A listener on a real socket that misbehaves as a test tells it, and counts who came."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Behave = Callable[[socket.socket, threading.Event], None]
PAUSE = 0.01
FHIR = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"


class RawServer:
    """Behaves the same way on each connection, until `with` ends.

    Attributes
    ----------
    connections
        How many were accepted.
    received
        The first bytes of each, as far as the behaviour read them.
    sent
        Bytes that `flood` got rid of.
    """

    def __init__(self, behave: Behave) -> None:
        self.connections = 0
        self.received: list[bytes] = []
        self._behave = behave
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        return f"{self.origin}/fhir"

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        workers = []
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                break
            self.connections += 1
            self._open.append(connection)
            workers.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            workers[-1].start()
        for worker in workers:
            worker.join(1)

    def _serve(self, connection: socket.socket) -> None:
        try:
            self.received.append(connection.recv(65536))
            self._behave(connection, self._ended)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def drip(head: bytes, piece: bytes) -> Behave:
    """Send a beginning, and then a piece now and then for as long as anybody listens."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head)
        while not ended.wait(PAUSE):
            connection.sendall(piece)

    return behave


def flood(head: bytes, piece: bytes, times: int) -> Behave:
    """Send a beginning and then so many pieces as fast as they are taken."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head)
        for _ in range(times):
            if ended.is_set():
                return
            connection.sendall(piece)

    return behave


def say(answer: bytes) -> Behave:
    """Send these bytes."""
    return lambda connection, ended: connection.sendall(answer)


DRIPS: dict[str, Behave] = {
    "nothing": drip(b"", b""),
    "status line": drip(b"HTTP/1.1 2", b"0"),
    "headers": drip(FHIR, b"X-A: b\r\n"),
    "interim answers": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drip(FHIR + b"Content-Length: 1000000\r\n\r\n{", b" "),
    "body to the end": drip(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{", b" "),
    "body in chunks": drip(FHIR + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n \r\n"),
    "half a chunk": drip(FHIR + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n{", b" "),
    "an error's body": drip(b"HTTP/1.1 500 X\r\nContent-Length: 1000000\r\n\r\n{", b" "),
}
"""Servers that never fall silent for long and never end: no read timeout ends them."""
