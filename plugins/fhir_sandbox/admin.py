"""Statistics and switches at `/_sandbox`, as plain JSON."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
from flask import Blueprint, Response, request

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults
from fhir_sandbox.state import Sandbox

Switches = TypeVar("Switches", Behaviour, Faults)


def blueprint(sandbox: Sandbox) -> Blueprint:
    """Make the routes below `/_sandbox`; faults, the token and the rate limit do not touch them."""
    routes = Blueprint("sandbox", __name__, url_prefix="/_sandbox")

    @routes.get("/stats")
    def stats() -> Response:
        return _json(_stats(sandbox))

    @routes.post("/stats/reset")
    def reset() -> Response:
        sandbox.stats.reset()
        return _json(_stats(sandbox))

    @routes.get("/behaviour")
    def behaviour() -> Response:
        return _json(sandbox.behaviour.to_json())

    @routes.put("/behaviour")
    def switch_behaviour() -> Response:
        return _switch(Behaviour.from_json, lambda switches: setattr(sandbox, "behaviour", switches))

    @routes.get("/faults")
    def faults() -> Response:
        return _json(sandbox.faults.to_json())

    @routes.put("/faults")
    def switch_faults() -> Response:
        return _switch(Faults.from_json, lambda switches: setattr(sandbox, "faults", switches))

    return routes


def _stats(sandbox: Sandbox) -> dict[str, Any]:
    stored = {"resources": sandbox.store.counts(), "versions": sandbox.store.versions()}
    return {**sandbox.stats.to_json(), **stored}


def _switch(read: Callable[[Mapping[str, Any]], Switches], use: Callable[[Switches], None]) -> Response:
    """Replace all switches: one that the body does not name has its default afterwards."""
    try:
        switches = read(orjson.loads(request.get_data()))
    except ValueError as error:  # broken JSON among it
        return _json({"error": str(error)}, 400)
    use(switches)
    return _json(switches.to_json())


def _json(data: object, status: int = 200) -> Response:
    return Response(orjson.dumps(data, option=orjson.OPT_INDENT_2), status, content_type="application/json")
