"""An HTTP request read into a call."""

from typing import Any

import orjson
from flask import Request

from fhir_sandbox.calls import Call
from fhir_sandbox.query import pairs
from fhir_sandbox.refusals import FHIR_JSON, Refusal
from fhir_sandbox.routes import Kind, Route

_FORM = "application/x-www-form-urlencoded"
_JSON = (FHIR_JSON, "application/json")
_WITH_BODY = frozenset({Kind.CREATE, Kind.UPDATE, Kind.CONDITIONAL_UPDATE, Kind.BUNDLE})


def base_url(http: Request, base_path: str) -> str:
    """Give the FHIR base URL as the client addressed it."""
    return http.host_url.rstrip("/") + base_path


def read_call(http: Request, path: str, found: Route, max_body_bytes: int) -> Call:
    """Read what a request asks for.

    Raises
    ------
    Refusal
        413 if the body is too large, 415 if it is not of the type that the interaction takes, 400 if it is not JSON.
    """
    form: tuple[tuple[str, str], ...] = ()
    body = None
    if found.kind in _WITH_BODY:
        body = _json(_body(http, max_body_bytes, _JSON))
    elif found.kind is Kind.SEARCH and http.method == "POST":
        form = pairs(_body(http, max_body_bytes, (_FORM,)).decode("utf-8", "replace"))
    return Call(
        method=http.method,
        path=path,
        query=http.query_string.decode("utf-8", "replace"),
        form=form,
        body=body,
        if_match=http.headers.get("If-Match"),
        if_none_exist=http.headers.get("If-None-Exist"),
        prefer=_prefer(http.headers.get("Prefer", "")),
    )


def _body(http: Request, max_body_bytes: int, allowed: tuple[str, ...]) -> bytes:
    if (http.content_length or 0) > max_body_bytes:
        raise Refusal(413, "too-long", f"the body must not be above {max_body_bytes} bytes")
    if http.mimetype not in allowed:
        raise Refusal(415, "not-supported", f"the body must be {' or '.join(allowed)}")
    return http.get_data()


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "structure", f"the body is not JSON: line {error.lineno}, column {error.colno}") from error


def _prefer(header: str) -> str:
    for preference in header.replace(";", ",").split(","):
        name, _, value = preference.strip().partition("=")
        if name == "return" and value in ("minimal", "representation"):
            return value
    return ""
