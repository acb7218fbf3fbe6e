"""P4: the tutorial's three prefetch files through HTTP and through the batch, by its own model and schema and by ours.

The files are of the years 2131 to 2172, so that each is looked at as of its newest value.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.charts import ROOT
from werkzeug.serving import make_server

from cds_hooks.app import create_app
from cds_hooks.settings import from_environment
from fhir_sandbox.server import SandboxServer
from screening import stages, staging
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.hook_client.charts import Chart, from_files
from screening.hook_client.exchange import HookClient
from screening.hook_client.request_bodies import request
from screening.model.bundle import ModelBundle
from screening.model.files import load_file
from screening.model.registry import champion
from screening.outcome import Outcome, PatientResult
from screening.results.wording import short_percentage
from screening.schema import Schema, load_schema

HIGH, MODERATE, LOW = "high_risk_patient.json", "moderate_risk_patient.json", "low_risk_patient.json"
INDICATORS = {"high": "critical", "moderate": "warning"}


@dataclass(frozen=True)
class Site:
    """A schema and a model, and how a sidecar is told of them."""

    schema: Schema
    model: ModelBundle
    settings: Mapping[str, str]


@pytest.fixture(scope="module")
def charts(real_data: Path) -> list[Chart]:
    return from_files(real_data / "healthchain-demo-patients")


@pytest.fixture(scope="module")
def ours() -> Site:
    path, models = ROOT / "include" / "schemas" / "sepsis.yaml", ROOT / "include" / "models"
    return Site(load_schema(path), champion(models, "sepsis"), {"CDS_SCHEMAS": str(path)})


@pytest.fixture(scope="module")
def theirs(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The tutorial's files as they are, with one line more: none of its patients has the lactate that it asks for."""
    folder, schema = real_data / "healthchain-demo-patients", tmp_path_factory.mktemp("theirs") / "sepsis_vitals.yaml"
    text = (folder / "sepsis_vitals.yaml").read_text(encoding="utf-8")
    schema.write_text(f"{text}\nmissing: impute\n", encoding="utf-8")
    model = folder / "sepsis_model.pkl"
    settings = {"CDS_SCHEMAS": str(schema), "CDS_MODEL_FILE": str(model), "CDS_ALLOW_UNVERIFIED_MODEL": "true"}
    loaded = load_file(model, models_dir=ROOT / "include" / "models", allow_unverified=True)
    return Site(load_schema(schema), loaded, settings)


def by_batch(site: Site, charts: list[Chart], folder: Path) -> dict[str, PatientResult]:
    """Screen the patients of the files on a server; return the results by file."""
    names = {chart.patient_id: chart.name for chart in charts}
    ids = list(names)
    with SandboxServer() as server, FhirClient(ClientSettings(base_url=server.base_url)) as client:
        server.load(one for chart in charts for part in chart.prefetch.values() for one in resources(part))
        stages.fetch(client, site.schema, ids, None, folder, base_url=server.base_url)
    stages.featurize(folder, site.schema, ids, "latest")
    stages.predict(folder, site.schema, site.model)
    return {names[one.patient_id]: one for one in staging.load_results(folder)}


def resources(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in part["entry"]] if part["resourceType"] == "Bundle" else [part]


@contextmanager
def served(site: Site, folder: Path) -> Iterator[str]:
    """Serve a sidecar on a port of its own."""
    given = {"CDS_AUTH": "off", "CDS_STATE": str(folder), "CDS_PREDICTION_TIME": "latest"}
    server = make_server("127.0.0.1", 0, create_app(from_environment(given | site.settings)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def by_http(site: Site, charts: list[Chart], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Open the charts over HTTP; return the cards by file."""
    found = {}
    with served(site, folder) as url, HookClient(url) as client:
        (service,) = client.discover()
        for chart in charts:
            answer = client.call(service, request(chart, service))
            assert answer.status == 200, answer.text
            assert set(answer.body) == {"cards"}
            found[chart.name] = answer.body["cards"]
    return found


def says(cards: list[dict[str, Any]], result: PatientResult, site: Site) -> bool:
    """Tell whether cards say a result."""
    if result.outcome is not Outcome.SCORED:
        names = [site.schema.features[name].display for name in result.detail]
        return [card["indicator"] for card in cards] == ["info"] and all(
            f"| {name} |" in cards[0]["detail"] for name in names
        )
    assert result.probability is not None
    assert result.risk_level is not None
    if result.risk_level == "low":
        return cards == []
    (card,) = cards
    shown = f"{result.risk_level.name} ({short_percentage(result.probability, site.schema.risk_levels)}%)"
    return card["indicator"] == INDICATORS[result.risk_level] and card["summary"].endswith(f" Risk: {shown}")


def test_p4_with_the_tutorials_own_model_and_schema_its_own_answers(
    theirs: Site, charts: list[Chart], tmp_path: Path
) -> None:
    results, cards = by_batch(theirs, charts, tmp_path / "batch"), by_http(theirs, charts, tmp_path / "state")
    assert {name: one.imputed for name, one in results.items()} == dict.fromkeys((HIGH, LOW, MODERATE), ("lactate",))
    assert results[HIGH].probability == pytest.approx(0.90, abs=0.02)
    assert results[MODERATE].probability == pytest.approx(0.58, abs=0.02)
    assert [results[name].risk_level for name in (HIGH, MODERATE, LOW)] == ["high", "moderate", "low"]
    assert all(says(cards[name], results[name], theirs) for name in results)
    assert [len(cards[name]) for name in (HIGH, MODERATE, LOW)] == [1, 1, 0]


def test_p4_with_ours_one_is_scored_and_two_have_no_value_of_the_day(
    ours: Site, charts: list[Chart], tmp_path: Path
) -> None:
    """Their vital signs are two and five days older than their newest laboratory value: what is stale is no score."""
    results, cards = by_batch(ours, charts, tmp_path / "batch"), by_http(ours, charts, tmp_path / "state")
    assert results[HIGH].risk_level == "moderate"
    assert results[HIGH].imputed == ("lactate",)
    lacking = ("heart_rate", "temperature", "respiratory_rate", "lactate")
    assert [results[name].detail for name in (MODERATE, LOW)] == [lacking, lacking]
    assert all(says(cards[name], results[name], ours) for name in results)
    assert [cards[name][0]["indicator"] for name in (HIGH, MODERATE, LOW)] == ["warning", "info", "info"]
