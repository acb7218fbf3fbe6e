"""The head of the application's answers; and answers made before or beside it, as bytes: an OperationOutcome, and the
connection ends."""

import json
import time
from functools import lru_cache
from http import HTTPStatus

from gunicorn import util
from gunicorn.http import wsgi

from cds_hooks.refusals import Refusal, operation_outcome

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SLOW = Refusal(408, "The request did not arrive as a whole in time.")
BUSY = Refusal(503, "The service holds as many unfinished requests as it can. Try again.", headers={"Retry-After": "1"})
FAILED = Refusal(500, "The service failed on this request; its log tells why. No score was made.")


class Response(wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's response, but for its first lines: they took a twentieth of a whole call, by the writing of the date."""

    def default_headers(self) -> list[str]:
        """Return the status line and the headers that are the server's to give."""
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_date(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return str(util.http_date(second))


def closing(refusal: Refusal) -> bytes:
    """Return the whole response of a refusal; the connection must be closed after it."""
    body = json.dumps(operation_outcome(refusal.status, refusal.text, refusal.diagnostics)).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **refusal.headers,
    }
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
