"""A low risk that was scored on a part of the data is no "all clear": a card says which part was lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from tests.charts import WELL, T, bundle, chart, observation
from tests.unit.cds_hooks.hook_requests import granted
from tests.unit.cds_hooks.sidecars import Json, asked, card, post, published, running

from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
NEXT = [{"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}]
LOST = {
    "an error in place of the data": OUTCOME,
    "an error among the data": bundle(observation("lactate", 1.0), OUTCOME),
    "a Bundle of another kind": {"resourceType": "Bundle", "type": "history", "entry": []},
    "no FHIR": "?",
    "a page with another to come": bundle(observation("lactate", 1.0)) | {"link": NEXT},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    published(folder, "1", -1.0)
    return folder


@pytest.fixture(scope="module")
def app(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with running(tmp_path_factory.mktemp("state"), models, system_actions=True) as made:
        yield made


def well(**prefetch: Any) -> Json:
    """Make the request of a patient at low risk, with some keys as given; one given as None is not sent."""
    body = asked(chart("p", WELL))
    body["prefetch"] |= prefetch
    body["prefetch"] = {key: value for key, value in body["prefetch"].items() if value is not None}
    return body


def test_whole_or_not_sent_at_all_it_is_no_card(app: Flask) -> None:
    for body in (well(), well(lactate=None)):
        answer = post(app.test_client(), body).json
        assert answer["cards"] == []
        assert answer["systemActions"]


@pytest.mark.parametrize("lost", LOST)
def test_ch30_ch31_what_was_sent_and_is_lost_is_told_of_a_low_risk(app: Flask, lost: str) -> None:
    body = well(lactate=LOST[lost])
    answer = post(app.test_client(), body).json
    (shown,) = answer["cards"]
    assert shown["indicator"] == "info"
    assert "Risk: LOW (" in shown["summary"]
    assert shown["summary"].endswith("from incomplete data: Lactate")
    assert (
        "**Incomplete:** data were lost or could not be used, and the risk may be another: Lactate." in shown["detail"]
    )
    assert "systemActions" not in answer  # the batch writes nothing of a patient of whom an answer was an error


def test_a_remark_of_the_ehr_alone_is_no_loss(app: Flask) -> None:
    remark = OUTCOME | {"issue": [{"severity": "warning", "code": "informational"}]}
    assert post(app.test_client(), well(lactate=bundle(observation("lactate", 1.0), remark))).json["cards"] == []


@pytest.mark.parametrize(("rules", "count"), [((), 0), ((Rule(Match(path_regex="2524-7")),), 1)])
def test_what_was_asked_for_in_vain_is_told_of_a_low_risk(
    models: Path, tmp_path: Path, rules: tuple[Rule, ...], count: int
) -> None:
    with SandboxServer(faults=Faults(rules=rules)) as server:
        server.load(chart("p", WELL))
        ehrs = tmp_path / "ehrs.yaml"
        ehrs.write_text(f"ehrs:\n  - fhir_servers: ['{server.base_url}']\n", encoding="utf-8")
        with running(tmp_path / "state", models, ehrs=ehrs) as app:
            body = well(lactate=None) | {"fhirServer": server.base_url}
            cards = post(app.test_client(), body).json["cards"]
    assert len(cards) == count


def test_what_may_not_be_asked_for_is_as_what_was_not_sent(models: Path, tmp_path: Path) -> None:
    body = granted(scope="patient/Patient.read") | {"prefetch": well(lactate=None)["prefetch"]}
    with running(tmp_path, models) as app:
        assert post(app.test_client(), body).json["cards"] == []


def test_a_higher_risk_says_it_too(app: Flask) -> None:
    body = asked()
    body["prefetch"]["lactate"] = OUTCOME
    shown = card(app.test_client(), body)
    assert shown["indicator"] == "critical"
    assert "from incomplete data" not in shown["summary"]
    assert "**Incomplete:**" in shown["detail"]
    assert T.strftime("%Y-%m-%d") in shown["detail"]
