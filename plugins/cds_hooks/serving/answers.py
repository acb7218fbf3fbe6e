"""Answers made before or beside the application, as bytes: an OperationOutcome, and the connection ends."""

import json
from http import HTTPStatus

from cds_hooks.refusals import Refusal, operation_outcome

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SLOW = Refusal(408, "The request did not arrive as a whole in time.")
BUSY = Refusal(503, "The service holds as many unfinished requests as it can. Try again.", headers={"Retry-After": "1"})
FAILED = Refusal(500, "The service failed on this request; its log tells why. No score was made.")


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
