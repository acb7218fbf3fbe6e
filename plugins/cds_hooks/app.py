"""The app factory: the parts of a process put together, and what holds for every call whatever its route.

Every error leaves as an OperationOutcome in JSON, with the cross-origin headers of its caller; none shows a stack, a value
or a token.
"""

import logging
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from cds_hooks import request_log
from cds_hooks.bearer import Verifier
from cds_hooks.cors import allow_origins
from cds_hooks.ehrs import Ehr, load_ehrs, strangers
from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.metrics import Metrics
from cds_hooks.operations import operations
from cds_hooks.refusals import Refusal, operation_outcome
from cds_hooks.routes import services
from cds_hooks.screens import CHECK_EVERY, Screens
from cds_hooks.service import Answers
from cds_hooks.settings import Settings
from cds_hooks.sidecar import EXTENSION, Sidecar
from screening.errors import ScreeningError, TemporaryError
from screening.feedback.store import FeedbackStore

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the present: here, at the edge, the clock is read, and nowhere behind it."""
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    check_every: float = CHECK_EVERY,
    shared_metrics: Path | None = None,
) -> Flask:
    """Make the app.

    Parameters
    ----------
    clock
        Gives the present with its zone.
    check_every
        Seconds between two looks for a new champion.
    shared_metrics
        See `Metrics`.

    Raises
    ------
    ScreeningError
        A setting, a schema, a model or the file of the EHRs is not what it must be. A model that is merely not there yet is
        no reason: its service answers 503.
    """
    ehrs: tuple[Ehr, ...] = load_ehrs(settings.ehrs, allow_http=settings.allow_http) if settings.ehrs else ()
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    _warn_of_openness(settings.state)
    if settings.allow_http:
        log.warning("CDS_ALLOW_HTTP=true: to EHRs with http URLs, access tokens and patients' data go unencrypted")
    servers = [(ehr.iss, url) for ehr in ehrs for url in ehr.fhir_servers]
    fetcher = Fetcher(
        settings,
        servers,
        strangers=strangers(ehrs, own_connection=settings.fhir_conn is not None),
        allow_http=settings.allow_http,
        verify=settings.verify,
    )
    metrics = Metrics(shared_metrics)
    parts = Sidecar(
        settings=settings,
        screens=Screens(settings, check_every),
        answers=Answers(settings, fetcher, clock),
        verifier=_verifier(settings, ehrs, clock),
        feedback=_feedback(settings, metrics),
        metrics=metrics,
    )
    app = Flask("cds_hooks", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.url_map.merge_slashes = False  # else a second slash is answered by a redirect in HTML
    app.url_map.strict_slashes = True
    app.extensions[EXTENSION] = parts
    _watch(app)
    allow_origins(app, settings.cors_origins)
    app.register_blueprint(services)
    app.register_blueprint(operations)
    _answer_errors(app)
    return app


def _warn_of_openness(state: Path) -> None:
    mode = state.stat().st_mode & 0o777
    if mode & 0o077:
        log.warning(
            "CDS_STATE: other users of this machine can look into %s, or write there and make a used token good again; "
            "its mode is %o and should be 700",
            state,
            mode,
        )


def _verifier(settings: Settings, ehrs: tuple[Ehr, ...], clock: Callable[[], datetime]) -> Verifier | None:
    if settings.auth == "required":
        return Verifier(
            ehrs,
            settings.base_url,
            settings.state,
            clock=lambda: clock().timestamp(),
            verify=settings.verify,
        )
    log.warning("CDS_AUTH=off: whoever reaches %s is answered", settings.bind)
    return None


def _feedback(settings: Settings, metrics: Metrics) -> FeedbackStore:
    store = FeedbackStore(settings.feedback_url, notice=metrics.remembered)
    try:
        store.start()
    except TemporaryError as error:
        log.error("feedback cannot be kept for now, and calls of it get 503: %s", error)  # noqa: TRY400 - a sentence
    return store


def _watch(app: Flask) -> None:
    """Give every call an id, a duration and a line in the log."""

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = request_log.request_id(request.headers.get("X-Request-ID"))
        g.facts = {}

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        seconds = time.perf_counter() - g.started
        request_log.write(
            logging.INFO if response.status_code < 500 else logging.ERROR,
            request_id=g.request_id,
            method=request.method,
            route=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            ms=round(seconds * 1000, 2),
            **g.facts,
        )
        service = g.facts.get("service")
        if service:
            metrics: Metrics = app.extensions[EXTENSION].metrics
            metrics.calls.labels(service, str(response.status_code)).inc()
            metrics.seconds.labels(service).observe(seconds)
        return response


def _answer_errors(app: Flask) -> None:
    @app.errorhandler(Refusal)
    def refused(error: Refusal) -> Response:
        return outcome(error.status, error.text, error.diagnostics, error.headers)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        if isinstance(error, RequestEntityTooLarge):
            limit = app.config["MAX_CONTENT_LENGTH"]
            return outcome(
                413, f"the body is longer than the {limit} bytes that are taken", None, {"Connection": "close"}
            )
        methods = error.valid_methods if isinstance(error, MethodNotAllowed) else None
        headers = {"Allow": ", ".join(sorted(methods))} if methods else {}
        return outcome(status, f"HTTP {status}: {error.name}", None, headers)

    @app.errorhandler(TemporaryError)
    def temporary(error: TemporaryError) -> Response:
        log.error("request %s: %s", g.request_id, error)
        return outcome(503, "something that this service needs is not available now", None, {"Retry-After": "5"})

    @app.errorhandler(ScreeningError)
    def failed(error: ScreeningError) -> Response:
        log.error("request %s: %s: %s", g.request_id, type(error).__name__, error)
        return outcome(500, "this service failed; its log tells why under the request's id", g.request_id)

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        # The message of a foreign exception may quote a value, and locals may hold a token: neither is logged.
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames))
        log.error("request %s: %s at %s", g.request_id, type(error).__name__, where)
        return outcome(500, "this service failed; its log tells where under the request's id", g.request_id)


def outcome(status: int, text: str, diagnostics: str | None, headers: dict[str, str] | None = None) -> Response:
    """Return an error as the response that it is."""
    body = orjson.dumps(operation_outcome(status, text, diagnostics))
    response = Response(body, status, mimetype="application/json")
    response.headers.update(headers or {})
    return response
