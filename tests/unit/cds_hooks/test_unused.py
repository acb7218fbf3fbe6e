"""A low score beside which something was charted that could not be used is no silence; what is old or means nothing is."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from tests.charts import BASE, SICK, UCUM, WELL, Resource, at, chart, observation, quantity
from tests.unit.cds_hooks.sidecars import asked, card, post, published, running

from fhir_sandbox.server import SandboxServer
from screening.results.cards.dropped import DAILY, UNLIKELY, UNREADABLE, WORDS

ALMOST = [one for one in chart("p", WELL) if "lactate" not in one["id"]]
NOW = 20 / 3600
"""Hours: as far as one clock may be ahead of another."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    models = tmp_path_factory.mktemp("models")
    published(models, "1", -1.0)
    with running(tmp_path_factory.mktemp("state"), models) as made:
        yield made


def lactate(value: float = 20.0, **more: Any) -> Resource:
    return observation("lactate", value, **more)


TELLING = {
    "above what can be measured": lactate(valueQuantity=quantity(15, "mmol/L", comparator=">")),
    "in an unknown unit": lactate(unit="mmol/Lblood"),
    "in two units": lactate(valueQuantity={"value": 20, "unit": "mg/dL", "code": "mmol/L", "system": UCUM}),
    "without a zone": lactate(effectiveDateTime="2026-03-10T11:00:00"),
    "without a time": lactate(effectiveDateTime=None),
    "as text": lactate(valueQuantity=None, valueString="20 mmol/L"),
    "by a clock ahead of ours": lactate(hours=-NOW),
    "released by a clock ahead of ours": lactate(issued=at(-NOW)),
    "of today": lactate(effectiveDateTime="2026-03-10"),
    "of yesterday": lactate(effectiveDateTime="2026-03-09"),
    "with what may change its meaning": lactate(modifierExtension=[{"url": "urn:x", "valueBoolean": True}]),
}


@pytest.mark.parametrize("name", TELLING)
def test_ch42_low_beside_what_could_not_be_used_is_told(app: Flask, name: str) -> None:
    for others in (ALMOST, chart("p", WELL)) if name != "of yesterday" else (ALMOST,):
        found = card(app.test_client(), asked([*others, TELLING[name]]))
        assert found["indicator"] == "info"
        assert found["summary"].startswith("Sepsis Risk: LOW (")
        assert found["summary"].endswith("from incomplete data: Lactate")
        assert (
            "**Incomplete:** data were lost or could not be used, and the risk may be another: Lactate."
            in found["detail"]
        )
        assert "not used: " in found["detail"]


def test_ch42_low_beside_two_contradicting_versions_is_told(app: Flask) -> None:
    one = lactate()
    sent = asked([*ALMOST, one, one | {"valueQuantity": quantity(1.0, "mmol/L")}])
    assert card(app.test_client(), sent)["summary"].endswith("from incomplete data: Lactate")


SILENT = {
    "entered in error": lactate(status="entered-in-error"),
    "never measured": lactate(valueQuantity=None, dataAbsentReason={"text": "clotted"}),
    "unreadable and old": lactate(unit="mmol/Lblood", hours=24),
    "unreadable and of another year": lactate(valueQuantity=None, valueString="?", hours=9000),
    "of an hour to come": lactate(hours=-1),
    "released in an hour": lactate(issued=at(-1)),
    "old": lactate(hours=30),
    "what no schema asks for": lactate(code={"coding": [{"system": "urn:x", "code": "y"}]}),
}


@pytest.mark.parametrize("name", SILENT)
def test_ch40_low_beside_what_means_nothing_is_no_card(app: Flask, name: str) -> None:
    for others in (ALMOST, chart("p", WELL)):
        assert post(app.test_client(), asked([*others, SILENT[name]])).json == {"cards": []}


@pytest.mark.parametrize(
    "odd",
    [lactate(1000.0), lactate(who="q"), lactate(subject={"reference": f"{BASE}/Patient/p"}), lactate(subject=None)],
)
def test_what_may_be_named_amiss_matters_where_there_is_nothing_else(app: Flask, odd: Resource) -> None:
    assert card(app.test_client(), asked([*ALMOST, odd]))["summary"].endswith("from incomplete data: Lactate")
    assert post(app.test_client(), asked([*chart("p", WELL), odd])).json == {"cards": []}


def test_ch32_a_bare_resource_counts_no_less(app: Flask) -> None:
    page = asked([*ALMOST, TELLING["in an unknown unit"]])
    page["prefetch"]["lactate"] = page["prefetch"]["lactate"]["entry"][0]["resource"]  # neither Bundle nor list
    assert card(app.test_client(), page)["summary"].endswith("from incomplete data: Lactate")


def test_ch28_what_was_fetched_counts_no_less(tmp_path_factory: pytest.TempPathFactory) -> None:
    models = tmp_path_factory.mktemp("models")
    published(models, "1", -1.0)
    with SandboxServer() as server:
        server.load([*ALMOST, TELLING["in an unknown unit"]])
        own = {"fhir_conn": f'{{"host": "{server.base_url}"}}', "fetch_from": "own"}
        with running(tmp_path_factory.mktemp("state"), models, **own) as app:
            sent = asked(ALMOST, leave_out=("lactate",))
            assert card(app.test_client(), sent)["summary"].endswith("from incomplete data: Lactate")


def test_ch40_a_risk_says_it_beside_the_input_alone(app: Flask) -> None:
    sick = [one for one in chart("p", SICK) if "lactate" not in one["id"]]
    found = card(app.test_client(), asked([*sick, TELLING["in an unknown unit"]]))
    assert found["indicator"] == "critical"
    assert "Incomplete" not in found["detail"]
    assert "not used: 1 in an unknown unit" in found["detail"]


def test_ch4c_what_the_batch_scores_too_is_for_the_record_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    models = tmp_path_factory.mktemp("models")
    published(models, "1", -1.0)
    with running(tmp_path_factory.mktemp("state"), models, system_actions=True) as app:
        answer = post(app.test_client(), asked([*ALMOST, TELLING["in an unknown unit"]])).json
        assert len(answer["cards"]) == 1
        assert answer["systemActions"][0]["resource"]["status"] == "preliminary"


def test_every_reason_is_known_and_weighed_once() -> None:
    assert set(WORDS) >= UNREADABLE | UNLIKELY
    assert not UNREADABLE & UNLIKELY
    assert not DAILY & (UNREADABLE | UNLIKELY)
