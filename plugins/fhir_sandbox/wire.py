"""HTTP/1.1 with connections that stay open, for one WSGI application.

Werkzeug's own server closes the connection after every answer, and a client's pool of connections could not be tested
with it. Bodies are taken with a Content-Length only, and answers are held in memory until they are whole: enough here.
"""

import io
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_IDLE_S = 75
_MOST_UNREAD = 256 * 1024 * 1024
_log = logging.getLogger(__name__)


class WireServer(ThreadingMixIn, TCPServer):
    """Serves a WSGI application, each connection in a thread of its own.

    Parameters
    ----------
    address
        Host and port; port 0 is any free one.
    on_connection
        Called for every connection that a client opens.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], app: "WSGIApplication", on_connection: Callable[[], None]) -> None:
        self.app = app
        self._on_connection = on_connection
        self._open: dict[socket.socket, bool] = {}  # whether a request is under way on it
        self._changed = threading.Condition()
        super().__init__(address, Exchange)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection; called by socketserver."""
        self._on_connection()
        with self._changed:
            self._open[request] = False
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; called by socketserver."""
        super().shutdown_request(request)
        with self._changed:
            self._open.pop(request, None)
            self._changed.notify_all()

    def mark(self, connection: socket.socket, busy: bool) -> None:
        """Note whether a request is under way on a connection."""
        with self._changed:
            if connection in self._open:
                self._open[connection] = busy
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Log what a connection died of; called by socketserver. That a client went away is no event."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            _log.error("a connection failed", exc_info=error)

    def stop(self, grace_s: float = 5.0) -> None:
        """Take no more connections, let requests under way finish, and close every connection.

        Parameters
        ----------
        grace_s
            Seconds to wait for requests under way.
        """
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + grace_s
        with self._changed:
            self._changed.wait_for(lambda: not any(self._open.values()), grace_s)
            for connection in self._open:
                _shut(connection)
            self._changed.wait_for(lambda: not self._open, max(deadline - time.monotonic(), 1.0))


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster


class Exchange(BaseHTTPRequestHandler):
    """One connection: its requests, one after another, handed to the application."""

    server: WireServer
    protocol_version = "HTTP/1.1"
    server_version = "fhir-sandbox"
    sys_version = ""
    timeout = _IDLE_S
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        self.server.mark(self.connection, True)
        try:
            self._exchange()
        finally:
            self.server.mark(self.connection, False)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - http.server's names

    def _exchange(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.close_connection = True
            self._send("411 Length Required", [("Content-Length", "0")], b"")
            return
        body = _Body(self.rfile, int(length))
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: Any = None,  # noqa: ARG001 - WSGI's signature
        ) -> Callable[[bytes], None]:
            started.append((status, headers))
            return sent.append

        sent: list[bytes] = []
        answer = self.server.app(self._environ(body), start_response)
        try:
            sent.extend(answer)
        except ConnectionAbortedError:  # a fault: send what there is and hang up
            self.close_connection = True
            if not b"".join(sent):
                return
        finally:
            if hasattr(answer, "close"):
                answer.close()
        if body.left and not body.skip(_MOST_UNREAD):
            self.close_connection = True
        status, headers = started[-1]
        self._send(status, headers, b"".join(sent))

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        own = [("Server", self.server_version), ("Date", self.date_time_string())]
        if self.close_connection:
            own.append(("Connection", "close"))
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in own + headers), "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        # One write: sent apart, the body would wait for the acknowledgement of the headers.
        self.wfile.write(head if self.command == "HEAD" else head + body)

    def _environ(self, body: "_Body") -> "WSGIEnvironment":
        path, _, query = self.path.partition("?")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(body.left),
            "REMOTE_ADDR": str(self.client_address[0]),
            "SERVER_NAME": str(self.server.server_address[0]),
            "SERVER_PORT": str(self.server.port),
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BufferedReader(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            if "_" not in name:
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        return environ

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: an address carries what was searched for."""


class _Body(io.RawIOBase):
    """The body of a request: no more of the connection than belongs to it."""

    def __init__(self, source: io.BufferedIOBase, length: int) -> None:
        self._source = source
        self.left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._source.read(min(len(buffer), self.left)) if self.left else b""
        if self.left and not chunk:
            raise ConnectionResetError("the client left before the end of its body")
        self.left -= len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def skip(self, most: int) -> bool:
        """Read the rest and throw it away, if it is not too long."""
        while 0 < self.left <= most and (chunk := self._source.read(min(65536, self.left))):
            self.left -= len(chunk)
        return self.left == 0
