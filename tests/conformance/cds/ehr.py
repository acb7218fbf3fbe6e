"""An EHR as the tests need one: it calls the sidecar, and holds every answer that comes back against the rules for all."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from tests.charts import sepsis
from tests.sidecar_rules import problems_of_answer
from tests.unit.cds_hooks.hook_requests import authorization, hook_request
from werkzeug.test import TestResponse

from cds_hooks.app import create_app
from cds_hooks.settings import Settings
from cds_hooks.sidecar import EXTENSION
from screening.hook_client.charts import invented

Json = dict[str, Any]

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SERVICE = "/cds-services/sepsis-risk"
FEEDBACK = f"{SERVICE}/feedback"
LEVELS = {"demo-high": "critical", "demo-moderate": "warning", "demo-low": None}
"""The invented patients, and the indicator of the card that each gets; None gets none."""
KEYS = ("patient", "heart_rate", "temperature", "respiratory_rate", "wbc", "lactate", "creatinine")


class Clock:
    """The sidecar's present, which a test sets."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, span: timedelta) -> None:
        """Let time pass."""
        self.now += span


class Ehr:
    """Calls one app; what breaks a rule fails the call."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app, self.clock = app, clock
        self._client: FlaskClient = app.test_client()

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        """Send whatever a test wants to send."""
        if path.startswith("//"):  # which the client would take for the name of a host
            more["environ_overrides"] = {"PATH_INFO": path.encode().decode("latin-1")} | more.get(
                "environ_overrides", {}
            )
        answer = self._client.open("/" if path.startswith("//") else path, method=method, **more)
        assert problems_of_answer(method, path.partition("?")[0], answer) == [], answer.get_data(as_text=True)
        return answer

    def get(self, path: str = "/cds-services", **more: Any) -> TestResponse:
        """Read."""
        return self.ask("GET", path, **more)

    def post(self, body: Any, path: str = SERVICE, **more: Any) -> TestResponse:
        """Send a body, as JSON unless it is bytes already."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, data=content, **{"content_type": "application/json"} | more)

    def cards(self, body: Json, **more: Any) -> list[Json]:
        """Call the service, which must answer with cards or with none."""
        answer = self.post(body, **more)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert answer.json is not None
        found: list[Json] = answer.json["cards"]
        return found

    def card(self, body: Json, **more: Any) -> Json:
        """Call the service, which must answer with one card."""
        (one,) = self.cards(body, **more)
        return one

    def refused(self, status: int, body: Any, path: str = SERVICE, **more: Any) -> str:
        """Call the service, which must refuse; return what it says: the text, and the diagnostics after it."""
        answer = self.post(body, path, **more)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return said(answer)


@contextmanager
def sidecar(clock: Clock | None = None, **settings: Any) -> Iterator[Ehr]:
    """Make a sidecar that needs no token unless told otherwise, with settings by name (`state` at least), and its EHR."""
    clock = clock or Clock()
    app = create_app(Settings(**{"auth": "off"} | settings), clock=clock, check_every=0.0)
    parts = app.extensions[EXTENSION]
    with ExitStack() as stack:
        stack.callback(parts.feedback.close)
        stack.callback(parts.answers.fetcher.close)
        if parts.verifier:
            stack.callback(parts.verifier.close)
        yield Ehr(app, clock)


def said(answer: TestResponse) -> str:
    """Return what an error says, and of what."""
    assert answer.json is not None
    (issue,) = answer.json["issue"]
    return f"{issue['details']['text']} [{issue.get('diagnostics', '')}]"


@cache
def _charts() -> dict[str, Any]:
    return {chart.patient_id: chart.prefetch for chart in invented(sepsis(), NOW)}


def prefetch(who: str = "demo-high") -> Json:
    """Return a copy of the whole prefetch of an invented patient as of `NOW`."""
    return deepcopy(dict(_charts()[who]))


def call(who: str = "demo-high", without: tuple[str, ...] = (), context: Json | None = None, **more: Any) -> Json:
    """Return the request of a chart that is opened, whole unless keys are left out; a member given as None is left out."""
    sent = {key: value for key, value in prefetch(who).items() if key not in without}
    return hook_request(sent, context={"patientId": who} | (context or {}), **more)


def granting(server: str, who: str = "demo-high", sent: tuple[str, ...] = (), **more: Any) -> Json:
    """Return a request that brings these keys and lends access to a FHIR server for the rest."""
    grant = authorization(**{"patient": who} | more)
    return call(who, tuple(key for key in KEYS if key not in sent), fhirServer=server, fhirAuthorization=grant)


def with_keys(who: str = "demo-high", **values: Any) -> Json:
    """Return a request in which these keys have these values."""
    body = call(who)
    body["prefetch"] |= values
    return body


def no_data(who: str = "demo-high") -> Json:
    """Return the request of a patient of whom the EHR has nothing but who it is."""
    return with_keys(who, **dict.fromkeys(KEYS[1:]))
