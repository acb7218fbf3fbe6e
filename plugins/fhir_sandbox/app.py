"""The sandbox as a Flask application: HTTP on the outside, calls and answers within."""

import hmac
import logging
import time
from collections.abc import Callable

import orjson
from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException

from fhir_sandbox import admin, bundles, capability, dispatch
from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.calls import Answer, Call, etag
from fhir_sandbox.faults import Faults
from fhir_sandbox.http_requests import base_url, read_call
from fhir_sandbox.moments import http_date
from fhir_sandbox.refusals import FHIR_JSON, Refusal, outcome_bytes
from fhir_sandbox.routes import WRITES, Kind, Route, route
from fhir_sandbox.spoil import spoiled
from fhir_sandbox.state import Sandbox
from fhir_sandbox.store import Store

BASE_PATH = "/fhir"

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Asked = tuple[Route, Call] | Refusal
_log = logging.getLogger(__name__)


def create_app(
    store: Store,
    behaviour: Behaviour | None = None,
    faults: Faults | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Flask:
    """Make the application: FHIR at `/fhir`, statistics and switches at `/_sandbox`.

    Parameters
    ----------
    store
        Remains the caller's to close.
    behaviour, faults
        None for the defaults; both can be switched while the application runs.
    clock, sleep
        Of the rate limit, the next links and the latency, in seconds.

    Returns
    -------
    Flask
        Its `extensions["fhir_sandbox"]` is the `Sandbox`.
    """
    app = Flask(__name__, static_folder=None)
    # An address is answered where it is: Werkzeug would redirect `/fhir//Patient` and one of `/fhir` and `/fhir/`.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.strict_slashes = False  # clients post Bundles to the base URL with and without a slash
    app.url_map.redirect_defaults = False
    sandbox = Sandbox(store, behaviour or Behaviour(), faults or Faults(), clock=clock, sleep=sleep)
    app.extensions["fhir_sandbox"] = sandbox
    app.register_blueprint(admin.blueprint(sandbox))

    @app.route(BASE_PATH, defaults={"path": ""}, methods=_METHODS, provide_automatic_options=False)
    @app.route(f"{BASE_PATH}/", defaults={"path": ""}, methods=_METHODS, provide_automatic_options=False)
    @app.route(f"{BASE_PATH}/<path:path>", methods=_METHODS, provide_automatic_options=False)
    def fhir(path: str) -> Response:
        sandbox.stats.enter()
        try:
            return _respond(sandbox, path)
        finally:
            sandbox.stats.leave()

    @app.errorhandler(HTTPException)
    def no_page(error: HTTPException) -> Response:
        return _plain_refusal(error.code or 500, "not-found", f"FHIR is at {BASE_PATH}, the switches are at /_sandbox")

    @app.errorhandler(Exception)
    def defect(error: Exception) -> Response:
        _log.error("unexpected failure", exc_info=error)
        return _plain_refusal(500, "exception", "the sandbox failed: this is a defect of the sandbox")

    return app


def _respond(sandbox: Sandbox, path: str) -> Response:
    """Count a request, let faults strike it, and carry it out if they let it through."""
    asked = _read(sandbox, path)
    sandbox.stats.request(request.method, "refused" if isinstance(asked, Refusal) else _word(*asked))
    strike = sandbox.strike(request.method, _address(request, path))
    if strike.action is None:
        return _carry_out(sandbox, asked)
    sandbox.stats.fault(strike.action)
    # The answer to a read must exist to be cut off; a write that is not to be carried out has no answer of its own.
    reads = not isinstance(asked, Refusal) and asked[0].kind not in (*WRITES, Kind.BUNDLE)
    wanted = strike.commit or (strike.action == "truncate" and reads)
    return spoiled(strike, _carry_out(sandbox, asked) if wanted else None)


def _read(sandbox: Sandbox, path: str) -> Asked:
    try:
        found = route(request.method, path, sandbox.behaviour)
        return found, read_call(request, path, found, sandbox.behaviour.max_body_bytes)
    except Refusal as refusal:
        return refusal


def _carry_out(sandbox: Sandbox, asked: Asked) -> Response:
    try:
        headers = _admit(sandbox, asked)
        answer = _answer(sandbox, asked)
    except Refusal as refusal:
        return _refused(refusal)
    return _answered(answer, headers)


def _word(found: Route, call: Call) -> str:
    if found.kind is Kind.BUNDLE:
        kind = call.body.get("type") if isinstance(call.body, dict) else None
        return kind if kind in ("batch", "transaction") else "refused"
    return found.stated(call.if_none_exist)


def _address(http: Request, path: str) -> str:
    query = http.query_string.decode("utf-8", "replace")
    return f"/{path}?{query}" if query else f"/{path}"


def _admit(sandbox: Sandbox, asked: Asked) -> dict[str, str]:
    """Check the token and the rate limit; give the headers of an answer."""
    wanted = sandbox.behaviour.bearer_token
    if wanted is not None and (isinstance(asked, Refusal) or asked[0].kind is not Kind.METADATA):
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {wanted}".encode()):
            challenge = {"WWW-Authenticate": 'Bearer realm="fhir"'}
            raise Refusal(401, "login", "a valid bearer token is needed", headers=challenge)
    return sandbox.limiter.admit(sandbox.behaviour)


def _answer(sandbox: Sandbox, asked: Asked) -> Answer:
    if isinstance(asked, Refusal):
        raise asked
    found, call = asked
    context = sandbox.context(base_url(request, BASE_PATH), BASE_PATH)
    if found.kind is Kind.METADATA:
        return Answer(200, capability.statement(context.behaviour, context.base))
    if found.kind is Kind.BUNDLE:
        return bundles.answer(sandbox.store, call.body, call.prefer, context)
    return dispatch.perform(sandbox.store, call, found, context)


def _answered(answer: Answer, headers: dict[str, str]) -> Response:
    response = Response(answer.body or b"", answer.status, {**headers, **answer.headers})
    response.content_type = FHIR_JSON
    if answer.body is None:
        del response.headers["Content-Type"]
    version = answer.version
    if version is not None:
        response.headers["ETag"] = etag(version)
        response.headers["Last-Modified"] = http_date(version.updated)
        if answer.status == 201:
            base = base_url(request, BASE_PATH)
            response.headers["Location"] = f"{base}/{version.reference}/_history/{version.version}"
    return response


def _refused(refusal: Refusal) -> Response:
    return Response(orjson.dumps(refusal.outcome()), refusal.status, refusal.headers, content_type=FHIR_JSON)


def _plain_refusal(status: int, code: str, diagnostics: str) -> Response:
    return Response(outcome_bytes("error", code, diagnostics), status, content_type=FHIR_JSON)
