"""The four stages against a running sandbox, without Airflow: what the faults of talking to a server are tried on."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import requests
from tests.charts import ROOT

from fhir_sandbox.server import SandboxServer
from screening import stages
from screening.fhir_client.auth import Auth, NoAuth
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.bundle import ModelBundle
from screening.model.registry import champion
from screening.results.risk_assessment import AssessmentContext
from screening.results.summary import Line
from screening.schema import Schema, load_schema
from screening.synthetic import Hospital, fhir_resources

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


@cache
def sepsis() -> Schema:
    """Return the shipped schema."""
    return load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")


@cache
def model() -> ModelBundle:
    """Return the shipped model."""
    return champion(ROOT / "include" / "models", "sepsis")


def admit(server: SandboxServer, size: int, seed: int = 11) -> list[str]:
    """Load a hospital and its three named patients; return their ids."""
    made = Hospital(size=size, seed=seed, now=NOW)
    people = [*made.named(), *made.patients()]
    server.load(resource for person in people for resource in fhir_resources(person, "loinc"))
    return [person.patient_id for person in people]


def connected(
    server: SandboxServer, auth: Auth | None = None, sleep: Callable[[float], None] = lambda _: None, **settings: Any
) -> FhirClient:
    """Return a client of the sandbox that does not sleep."""
    return FhirClient(ClientSettings(base_url=server.base_url, **settings), auth or NoAuth(), sleep=sleep)


def screen(
    client: FhirClient, server: SandboxServer, ids: list[str], folder: Path, *, tolerate: bool = False
) -> dict[str, Line]:
    """Run all four stages for one batch; return every patient's line."""
    schema, bundle = sepsis(), model()
    named = {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256, "synthetic": bundle.synthetic}
    stages.fetch(client, schema, ids, NOW, folder, base_url=server.base_url, tolerate=tolerate)
    stages.featurize(folder, schema, ids, NOW)
    stages.predict(folder, schema, bundle)
    lines, _ = stages.write(client, folder, AssessmentContext.of(schema, named), tolerate=tolerate)
    assert [line.patient_id for line in lines] == ids  # nobody is lost and nobody is added, whatever happens
    return {line.patient_id: line for line in lines}


def probabilities(lines: dict[str, Line]) -> dict[str, float | None]:
    """Return what each patient was given."""
    return {who: line.probability for who, line in lines.items()}


def on_server(server: SandboxServer) -> list[dict[str, Any]]:
    """Return every RiskAssessment that the server holds."""
    found: list[dict[str, Any]] = []
    url = f"{server.base_url}/RiskAssessment?_count=1000"
    while url:
        page = requests.get(url, timeout=30).json()
        found += [entry["resource"] for entry in page.get("entry", []) if entry["search"]["mode"] == "match"]
        links = {link["relation"]: link["url"] for link in page["link"]}
        url = requests.compat.urljoin(url, links["next"]) if "next" in links else ""
    return found
