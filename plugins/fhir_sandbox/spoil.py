"""A fault carried out on an answer."""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Response

from fhir_sandbox.faults import Strike
from fhir_sandbox.refusals import FHIR_JSON, outcome_bytes

_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>"


def spoiled(strike: Strike, response: Response | None) -> Response:
    """Break an answer.

    Parameters
    ----------
    strike
        With an action.
    response
        The answer that would have been given; None if the request was not carried out.

    Returns
    -------
    Response
        For `drop` and `truncate` one whose body raises ConnectionAbortedError while it is sent: the server then closes
        the connection.
    """
    if strike.action == "html":
        return Response(_PAGE, 200, content_type="text/html; charset=utf-8")
    if strike.action == "drop":
        return Response(_broken_off(b""), 200)
    refused = Response(_outcome(strike), strike.status, dict(strike.headers), content_type=FHIR_JSON)
    if strike.action == "status":
        return refused
    whole = refused if response is None else response
    body = whole.get_data()
    headers = {**dict(whole.headers), "Content-Length": str(len(body))}
    return Response(_broken_off(body[: len(body) // 2]), whole.status_code, headers)


def _outcome(strike: Strike) -> bytes:
    code = "throttled" if strike.status == HTTPStatus.TOO_MANY_REQUESTS else "transient"
    return outcome_bytes("error", code, "this answer was broken on purpose")


def _broken_off(body: bytes) -> Iterator[bytes]:
    if body:
        yield body
    raise ConnectionAbortedError("broken off on purpose")
