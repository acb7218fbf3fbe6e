"""A sandbox without a network, its clock in the test's hand, and small resources to put into it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from werkzeug.test import TestResponse

from fhir_sandbox.app import create_app
from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults
from fhir_sandbox.state import Sandbox
from fhir_sandbox.store import Store

LOINC = "http://loinc.org"


class Clock:
    """The time of day and the seconds that only go up, both moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
        self.seconds = 1000.0
        self.slept: list[float] = []

    def day(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Fhir:
    """Speaks FHIR to the sandbox's application."""

    sandbox: Sandbox
    client: Any
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        address = path if path.startswith(("/", "http://")) else f"/fhir/{path}"
        sent = {"Content-Type": "application/fhir+json", **self.headers, **sent}
        return self.client.open(address, method=method, data=data, headers=sent)

    def search(self, resource_type: str, *pairs: tuple[str, str], **parameters: str) -> dict[str, Any]:
        query = urlencode([*pairs, *parameters.items()])
        response = self("GET", f"{resource_type}?{query}" if query else resource_type)
        assert response.status_code == 200, response.get_data()
        return orjson.loads(response.get_data())

    def ids(self, resource_type: str, *pairs: tuple[str, str], **parameters: str) -> list[str]:
        """Search and give the ids of the first page, in order."""
        bundle = self.search(resource_type, *pairs, **parameters)
        return [entry["resource"]["id"] for entry in bundle.get("entry", [])]

    def put(self, *resources: dict[str, Any]) -> None:
        """Store resources under their ids, past HTTP."""
        self.sandbox.store.load(resources, "http://localhost/fhir")

    def bundle(self, kind: str, *entries: dict[str, Any], **headers: str) -> TestResponse:
        return self("POST", "", {"resourceType": "Bundle", "type": kind, "entry": list(entries)}, **headers)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_fhir(clock: Clock) -> Iterator[Callable[..., Fhir]]:
    """Make a sandbox: behaviour by keyword, or `faults=`."""
    stores: list[Store] = []

    def make(*, faults: Faults | None = None, **behaviour: Any) -> Fhir:
        store = Store(clock=clock.day)
        stores.append(store)
        app = create_app(store, Behaviour(**behaviour), faults, clock=clock.monotonic, sleep=clock.sleep)
        return Fhir(app.extensions["fhir_sandbox"], app.test_client())

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def fhir(make_fhir: Callable[..., Fhir]) -> Fhir:
    return make_fhir()


@pytest.fixture
def observation() -> Callable[..., dict[str, Any]]:
    """Make an Observation: id, patient, code, time."""

    def make(
        resource_id: str, patient: str = "p1", code: str = "8867-4", time: str = "2024-05-01T10:00:00Z", **more: Any
    ) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "id": resource_id,
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": time,
            **more,
        }

    return make


@pytest.fixture
def risk() -> Callable[..., dict[str, Any]]:
    """Make a RiskAssessment without id: the value of its identifier, its patient."""

    def make(value: str = "r1", patient: str = "p1", **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "RiskAssessment",
            "identifier": [{"system": "urn:example:screening", "value": value}],
            "status": "final",
            "subject": {"reference": f"Patient/{patient}"},
            **more,
        }

    return make


@pytest.fixture
def says() -> Callable[[TestResponse], tuple[int, str, str]]:
    """Give the status, the issue code and the diagnostics of an OperationOutcome."""

    def read(response: TestResponse) -> tuple[int, str, str]:
        assert response.headers["Content-Type"] == "application/fhir+json"
        outcome = orjson.loads(response.get_data())
        assert outcome["resourceType"] == "OperationOutcome"
        issue = outcome["issue"][0]
        return response.status_code, issue["code"], issue["diagnostics"]

    return read
