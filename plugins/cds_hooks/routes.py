"""The routes of CDS Hooks 2.0.1: discovery, the services, and feedback. Each needs a token where tokens are required."""

import logging
from typing import Any

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from cds_hooks import hook_request, request_log
from cds_hooks.bearer import Caller
from cds_hooks.discovery import discovery
from cds_hooks.feedback_request import parse_feedback
from cds_hooks.host import check_host
from cds_hooks.refusals import Refusal
from cds_hooks.service import Given
from cds_hooks.sidecar import Sidecar, sidecar
from cds_hooks.waiting import will_wait
from screening.feedback.entries import IssuedCard

log = logging.getLogger(__name__)

services = Blueprint("services", __name__)


@services.get("/cds-services", provide_automatic_options=False)
def discover() -> Response:
    """List the services."""
    parts = sidecar()
    _caller(parts)
    return _json(discovery(((screen.id, screen.schema) for screen in parts.screens.values()), parts.settings))


@services.post("/cds-services/<service>", provide_automatic_options=False)
def call(service: str) -> Response:
    """Answer a hook with cards."""
    parts = sidecar()
    _name(parts, service)
    caller = _caller(parts)
    screen = parts.screens.find(service)
    asked = hook_request.parse(
        _body(),
        parts.settings.hooks,
        strict_instance=parts.settings.strict_hook_instance,
        allow_http=parts.settings.allow_http,
    )
    g.facts["hook_instance"] = request_log.identifier(asked.hook_instance)
    given = parts.answers.answer(asked, screen, iss=caller.iss if caller else None)
    _note(parts, service, asked.hook_instance, given)
    return _json(given.body)


@services.post("/cds-services/<service>/feedback", provide_automatic_options=False)
def feedback(service: str) -> Response:
    """Keep what became of cards; answered only when it is kept."""
    parts = sidecar()
    _name(parts, service)
    _caller(parts)
    parts.screens.find(service)
    entries = parse_feedback(_body())
    will_wait()
    added = parts.feedback.add(service, entries, received_at=parts.answers.clock())
    for entry in entries:
        parts.metrics.feedback.labels(service, entry.outcome).inc()
    g.facts.update(
        entries=len(entries),
        repeated=added.repeated or None,
        # Another worker may write these cards a moment later: the report has the last word.
        unknown_cards=len(added.unknown) or None,
        cards_of_other_services=len(added.elsewhere) or None,
    )
    return _json({})


def _name(parts: Sidecar, service: str) -> None:
    """Note whose call this is, refused or not; a made-up id is noted nowhere, for each would become a figure of its own."""
    if service in parts.screens:
        g.facts["service"] = service


def _caller(parts: Sidecar) -> Caller | None:
    """Return who calls, by the token.

    Raises
    ------
    Refusal
        401 where a token is required and there is none that holds; 421 where none is, and the call is by a strange name.
    """
    if parts.verifier is None:
        check_host(request.headers.get("Host"), parts.settings.base_url)
        return None
    caller = parts.verifier.verify(request.headers.get("Authorization"), request.path)
    g.facts.update(iss=request_log.plain(caller.iss), jti=request_log.plain(caller.jti))
    return caller


def _body() -> bytes:
    if request.mimetype != "application/json":
        raise Refusal(415, "the body must be JSON, and say so: Content-Type: application/json")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        # What is packed is not unpacked here, and what only claims to be would be another body to a gateway that unpacks it.
        raise Refusal(415, "the body must not be compressed: no Content-Encoding is read")
    body = request.get_data(cache=False)
    # werkzeug cuts a body in chunks off at the limit, and what it leaves could be taken for a whole one.
    at_limit = request.content_length is None and len(body) == request.max_content_length
    if at_limit and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge
    return body


def _note(parts: Sidecar, service: str, hook_instance: str, given: Given) -> None:
    """Tell the log, the figures and the feedback store what was answered."""
    level = given.level.value if given.level else ""
    model = given.model
    g.facts.update(
        answer=given.kind,
        risk_level=level or None,
        model_version=request_log.plain(model.version) if model else None,
        fetched=given.fetched or None,
    )
    # Of an earlier screening a server tells the version, and what others tell must not become figures.
    version = model.version if model and given.kind != "earlier" else ""
    parts.metrics.answers.labels(service, given.kind, level, version).inc()
    if given.fetched:
        parts.metrics.fetched.labels(service).inc(given.fetched)
    if model is None or given.kind not in ("risk", "not_computed", "earlier"):
        return
    for card in given.body["cards"]:
        parts.feedback.remember(
            IssuedCard(
                card=card["uuid"],
                service=service,
                hook_instance=hook_instance,
                patient=f"Patient/{given.patient_id}",
                model_name=model.name,
                model_version=model.version,
                model_sha256=model.sha256,
                level=level or None,
                probability=given.probability,
                indicator=card["indicator"],
                kind=given.kind,
                suggestions=tuple(one["uuid"] for one in card.get("suggestions", ())),
                issued_at=parts.answers.clock(),
            )
        )


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), mimetype="application/json")
