"""A real server around the app, and bytes on a socket: what a test client would put right before it sends it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

from flask import Flask, Response
from tests.sidecar_rules import problems_of_answer
from werkzeug.serving import make_server


@contextmanager
def served(app: Flask) -> Iterator[int]:
    """Serve an app on a free port; give the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sent(port: int, method: str, path: str, head: bytes, body: bytes = b"", *, half_closed: bool = False) -> Response:
    """Send a request line, a head and a body as they are; return the answer, which keeps the rules for all.

    Parameters
    ----------
    head
        Header lines, without the empty one.
    half_closed
        Whether nothing more is sent after the body, and the connection says so.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n".encode("latin-1") + head + b"\r\n" + body)
        if half_closed:
            connection.shutdown(socket.SHUT_WR)
        arrived = HTTPResponse(connection, method=method)
        arrived.begin()
        answer = Response(arrived.read(), arrived.status, dict(arrived.getheaders()))
    assert problems_of_answer(method, path.partition("?")[0], answer) == [], answer.get_data(as_text=True)
    return answer


def chunked(*parts: bytes) -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))
