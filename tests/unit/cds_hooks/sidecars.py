"""Sidecars to call in a test: with models that anybody can work out in the head, and a clock that stands still at `T`."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
from flask import Flask
from flask.testing import FlaskClient
from tests.charts import ROOT, SICK, WEIGHTS, Rule, T, chart, sepsis
from tests.unit.cds_hooks.hook_requests import hook_request

from cds_hooks.app import create_app
from cds_hooks.settings import Settings
from cds_hooks.sidecar import EXTENSION, Sidecar
from screening.model.bundle import ModelBundle
from screening.model.registry import publish
from screening.results.cards.invariants import problems_of_response

SERVICE = "/cds-services/sepsis-risk"
SCHEMA_FILE = ROOT / "include/schemas/sepsis.yaml"

Json = dict[str, Any]


def model_bytes(intercept: float = 0.0, names: tuple[str, ...] = tuple(WEIGHTS), **metadata: Any) -> bytes:
    """Return a model file's content; by the intercept one model is told from another."""
    rule = Rule({name: WEIGHTS.get(name, (0.0, 1.0)) for name in names}, intercept)
    file = io.BytesIO()
    joblib.dump({"model": rule, "metadata": {"feature_names": list(names), **metadata}}, file)
    return file.getvalue()


def published(
    models: Path, version: str, intercept: float = 0.0, *, promoted: bool = True, card: str = "# Card", **content: Any
) -> ModelBundle:
    """Publish a version of the model `sepsis`."""
    return publish(
        models, "sepsis", version, model=model_bytes(intercept, **content), synthetic=True, training_data="invented",
        created=T, metrics={}, model_card=card, promoted=promoted,
    )  # fmt: skip


@contextmanager
def running(
    state: Path, models: Path, *, at: datetime = T, check_every: float = 0.0, **settings: Any
) -> Iterator[Flask]:
    """Make an app that asks nobody for a token unless told, and close what it opened."""
    told = {"auth": "off", "state": state, "models": models, "schemas": SCHEMA_FILE, "fetch_seconds": 5.0} | settings
    app = create_app(Settings(**told), clock=lambda: at, check_every=check_every)
    try:
        yield app
    finally:
        close(app)


def close(app: Flask) -> None:
    """Close what an app opened."""
    held = parts(app)
    held.answers.fetcher.close()
    held.feedback.close()
    if held.verifier:
        held.verifier.close()


def parts(app: Flask) -> Sidecar:
    """Return what the app is made of."""
    found: Sidecar = app.extensions[EXTENSION]
    return found


def prefetch(resources: list[Json], *, leave_out: tuple[str, ...] = ()) -> Json:
    """Make the whole prefetch of the sepsis screen of a chart, empty searches included, but for the keys left out."""
    found: Json = {"patient": next((one for one in resources if one["resourceType"] == "Patient"), None)}
    for feature in sepsis().of("Observation"):
        codes = {(one.system, one.code) for one in feature.codes}
        mine = [
            one
            for one in resources
            if one["resourceType"] == "Observation"
            and any((coding["system"], coding["code"]) in codes for coding in one["code"]["coding"])
        ]
        entry = {"entry": [{"resource": one, "search": {"mode": "match"}} for one in mine]} if mine else {}
        found[feature.name] = {"resourceType": "Bundle", "type": "searchset", **entry}
    return {key: value for key, value in found.items() if key not in leave_out}


def asked(resources: list[Json] | None = None, *, who: str = "p", leave_out: tuple[str, ...] = (), **more: Any) -> Json:
    """Make a request about a patient with the whole prefetch of a chart, a sick one's unless given."""
    resources = chart(who, SICK) if resources is None else resources
    context = {"patientId": who} | more.pop("context", {})
    return hook_request(prefetch(resources, leave_out=leave_out), context=context, **more)


def post(client: FlaskClient, body: Json, path: str = SERVICE, **how: Any) -> Any:
    """Call a service; whatever it answers holds what CDS Hooks says of answers."""
    answer = client.post(path, json=body, **how)
    if answer.status_code == 200:
        assert problems_of_response(answer.json) == []
    else:
        assert answer.json["resourceType"] == "OperationOutcome"
        assert answer.json["issue"][0]["details"]["text"]
    assert answer.mimetype == "application/json"
    return answer


def card(client: FlaskClient, body: Json, **how: Any) -> Json:
    """Call a service and return its one card."""
    answer = post(client, body, **how)
    assert answer.status_code == 200, answer.text
    (one,) = answer.json["cards"]
    found: Json = one
    return found
