"""One hospital behind two edges: the stages of the batch, and the sidecar asked by an EHR that opens each chart.

The EHR answers the prefetch templates from the same server as an EHR does: `_sort` and `_count` as they stand, one page, and
the link to the next one where there is more.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4
from zoneinfo import ZoneInfo

import orjson
import pandas as pd
import requests
from tests.unit.cds_hooks.hook_requests import hook_request
from werkzeug.test import Client

from cds_hooks.app import create_app
from cds_hooks.settings import from_environment
from fhir_sandbox.server import SandboxServer
from screening import stages, staging
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.bundle import ModelBundle
from screening.observations import Reading
from screening.outcome import Outcome, PatientResult
from screening.results.cards.card import not_computed_card, risk_card
from screening.results.cards.context import card_context
from screening.results.risk_assessment import AssessmentContext
from screening.schema import Schema

BASE_URL = "https://cds.example.org"
SERVICE = "/cds-services/sepsis-risk"
SET_BY_SERVERS = ("versionId", "lastUpdated")
Json = dict[str, Any]


class Clock:
    """The sidecar's clock; each chart is opened at the moment that the batch screened it for."""

    def __init__(self) -> None:
        self.now = datetime(2000, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Screened(NamedTuple):
    """What the batch made of its patients: what it read, the results, and the RiskAssessments as the server has them."""

    reading: Reading
    results: Mapping[str, PatientResult]
    written: Mapping[str, Json]

    def counts(self) -> Counter[str]:
        """Count the patients by level, or by outcome where there is none."""
        return Counter(one.risk_level or one.outcome.value for one in self.results.values())


Get = Callable[[str], Any]
"""Gives what a relative URL of an EHR's FHIR server holds."""


@contextmanager
def ehr(server: SandboxServer) -> Iterator[Get]:
    """Ask a running server."""
    with requests.Session() as session:
        session.trust_env = False

        def get(url: str) -> Any:
            response = session.get(f"{server.base_url}/{url}", timeout=60)
            assert response.status_code == 200, url
            return orjson.loads(response.content)

        yield get


def prefetched(get: Get, templates: Mapping[str, str], patient_id: str) -> Json:
    """Return what the templates ask for: of each search one page."""
    return {key: get(url.replace("{{context.patientId}}", patient_id)) for key, url in templates.items()}


def cut(prefetch: Mapping[str, Any]) -> int:
    """Count the keys of which there is a next page."""
    return sum("next" in {link["relation"] for link in one.get("link", ())} for one in prefetch.values())


def sidecar(folder: Path, clock: Clock, server: SandboxServer | None = None, **more: str) -> Client:
    """Start a sidecar that asks for RiskAssessments to be created; `server` is the one EHR's that it may ask."""
    folder.mkdir()
    given = {"auth": "off", "base_url": BASE_URL, "state": str(folder), "system_actions": "true", "fetch_seconds": "30"}
    if server is not None:
        ehrs = folder / "ehrs.yaml"
        ehrs.write_text(f"ehrs:\n  - fhir_servers: ['{server.base_url}']\n", encoding="utf-8")
        given["ehrs"] = str(ehrs)
    settings = from_environment({f"CDS_{name.upper()}": value for name, value in (given | more).items()})
    return create_app(settings, clock=clock).test_client()


def connection(server: SandboxServer, **extra: str) -> str:
    """Write the sandbox as a connection of the sidecar's own."""
    return orjson.dumps({"conn_type": "fhir", "host": server.base_url, "extra": extra}).decode()


def discovered(client: Client) -> dict[str, str]:
    """Return the templates of the one service."""
    (service,) = client.get("/cds-services").json["services"]  # type: ignore[index]
    return dict(service["prefetch"])


def opened(client: Client, who: str, prefetch: Json | None, server: SandboxServer | None = None) -> Json:
    """Open a chart; return the answer, which must be one of 200."""
    more = {"fhirServer": server.base_url} if server else {}
    body = hook_request(prefetch, context={"patientId": who}, hookInstance=str(uuid4()), **more)
    response = client.post(SERVICE, data=orjson.dumps(body), content_type="application/json")
    assert response.status_code == 200, (who, response.text)
    return dict(orjson.loads(response.data))


def batch(
    server: SandboxServer, schema: Schema, model: ModelBundle, at: "Mapping[str, datetime] | datetime",
    ids: Collection[str], folder: Path, zone: ZoneInfo | None = None,
) -> Screened:  # fmt: skip
    """Screen patients by the four stages; `at` is one moment, or a moment for each of them."""
    moment = at if isinstance(at, datetime) else None
    own = moment or pd.Series(at, dtype="datetime64[us, UTC]")
    named = {"name": model.name, "version": model.version, "sha256": model.sha256, "synthetic": model.synthetic}
    context = AssessmentContext.of(schema, named | {"tiny": model.tiny})
    patients = list(ids)
    with FhirClient(ClientSettings(base_url=server.base_url)) as client:
        stages.fetch(client, schema, patients, moment, folder, base_url=server.base_url, zone=zone)
        stages.featurize(folder, schema, patients, own, zone=zone)
        stages.predict(folder, schema, model)
        lines, _ = stages.write(client, folder, context)
    results = {one.patient_id: one for one in staging.load_results(folder)}
    assert list(results) == patients
    assert Counter(line.write for line in lines if line.write) == Counter(
        created=sum(one.outcome is Outcome.SCORED for one in results.values())
    )
    return Screened(staging.load_reading(folder), results, _written(server, results))


def _written(server: SandboxServer, results: Collection[str]) -> dict[str, Json]:
    with ehr(server) as get:
        page = get("RiskAssessment?_count=1000")
        assert not cut({"RiskAssessment": page})
    found = [entry["resource"] for entry in page.get("entry", ())]
    by_patient = {one["subject"]["reference"].removeprefix("Patient/"): one for one in found}
    assert len(by_patient) == len(found)
    return {who: one for who, one in by_patient.items() if who in results}


def without_the_servers(resource: Json) -> Json:
    """Return a RiskAssessment without what servers set: its id and version, and when they stored it."""
    meta = {key: value for key, value in resource["meta"].items() if key not in SET_BY_SERVERS}
    return {**{key: value for key, value in resource.items() if key != "id"}, "meta": meta}


def expected(
    screened: Screened, who: str, schema: Schema, model: ModelBundle, answer: Json, *, stale: Mapping[str, datetime]
) -> Json:
    """Return the answer that what the batch found makes, with the UUIDs of the answer at hand.

    With its words on what did not count, too: a whole record that is sent has more of that than the days that are fetched.
    """
    result = screened.results[who]
    assert result.prediction_time is not None
    uuids, remarks = iter(_uuids(answer)), _unused(answer, schema)
    make = risk_card if result.outcome is Outcome.SCORED else not_computed_card
    context = card_context(schema, model, BASE_URL)
    doubted = {"incomplete": _doubted(answer, remarks, schema)} if result.risk_level == "low" else {}
    card = make(
        result, context, new_id=lambda: next(uuids), shown_at=result.prediction_time, stale=stale, remarks=remarks,
        **doubted,
    )  # fmt: skip
    body: Json = {"cards": [card] if card else []}
    if result.outcome is Outcome.SCORED:
        body["systemActions"] = [{"type": "create", "resource": without_the_servers(screened.written[who])}]
    return body


def _unused(answer: Json, schema: Schema) -> dict[str, str]:
    """Return by feature what cards say of values that did not count: in a row, or in the paragraph of what has none."""
    said = unescape("\n".join(card["detail"] for card in answer["cards"]))
    found = {}
    for feature in schema.features.values():
        before = rf"(?:\| {re.escape(feature.display)} \|.*|[:;] {re.escape(feature.display)}: )"
        words = re.search(before + r"(not used: [^;|.]+)", said)
        if words:
            found[feature.name] = words[1].strip()
    return found


def _doubted(answer: Json, remarks: Mapping[str, str], schema: Schema) -> set[str]:
    """Return the inputs for which a low risk is a card: none but those of which something was found and did not count."""
    said = "\n".join(card["detail"] for card in answer["cards"])
    paragraph = re.search(r"the risk may be another: (.+)\.$", said, re.M)
    named = set(unescape(paragraph[1]).split(", ")) if paragraph else set()
    return {name for name in remarks if schema.features[name].display in named}


def _uuids(answer: Json) -> Iterator[str]:
    for card in answer["cards"]:
        yield card["uuid"]
        yield from (one["uuid"] for one in card.get("suggestions", ()))
