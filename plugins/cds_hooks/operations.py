"""The routes for whoever runs the sidecar: health, figures, and the model cards that every risk card links to.

They need no token and tell nothing of any patient.
"""

import orjson
from flask import Blueprint, Response

from cds_hooks import model_cards
from cds_hooks.health import feedback_warnings, readiness
from cds_hooks.metrics import CONTENT_TYPE
from cds_hooks.sidecar import sidecar

operations = Blueprint("operations", __name__)


@operations.get("/health/live", provide_automatic_options=False)
def live() -> Response:
    """Tell that the process answers."""
    return _json({"status": "live"})


@operations.get("/health", provide_automatic_options=False)
@operations.get("/health/ready", provide_automatic_options=False)
def ready() -> Response:
    """Tell which model every service answers with, and trouble with feedback; 503 where a service has no model."""
    parts = sidecar()
    yes, body = readiness(parts.screens, parts.settings)
    kept = parts.feedback
    if told := feedback_warnings(failing=kept.failing, waiting=kept.waiting, lost=parts.metrics.lost()):
        body["warnings"] = told
    return _json(body, 200 if yes else 503)


@operations.get("/metrics", provide_automatic_options=False)
def metrics() -> Response:
    """Give the figures of all workers."""
    return Response(sidecar().metrics.text(), content_type=CONTENT_TYPE)


@operations.get("/models/<name>/<version>/model-card", provide_automatic_options=False)
def model_card(name: str, version: str) -> Response:
    """Show the model card of a model that a service answers or answered with."""
    parts = sidecar()
    page = model_cards.page(parts.screens, name, version, parts.settings)
    # The page is made of texts of ours and of a trainer's: no script may run in it, whatever they hold.
    return Response(page, mimetype="text/html", headers={"Content-Security-Policy": model_cards.POLICY})


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, mimetype="application/json")
