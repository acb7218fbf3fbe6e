"""A call that is about to wait says so to its server, and one that is not says nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from tests.charts import T
from tests.unit.cds_hooks.bearer.issuer import EC_KEY
from tests.unit.cds_hooks.sidecars import SERVICE, asked, card, published, running
from tests.unit.fhir_client.stub_server import Stub, fhir, searchset

from cds_hooks import waiting
from cds_hooks.bearer.key_set import KeySet
from cds_hooks.bearer.keys import Keys
from screening.model.registry import promote


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    published(folder, "1")
    published(folder, "2", promoted=False)
    return folder


@pytest.fixture
def told() -> Iterator[list[str]]:
    said: list[str] = []
    waiting.tell(lambda: said.append("waits"))
    yield said
    waiting.tell(lambda: None)


@pytest.fixture
def app(models: Path, tmp_path: Path) -> Iterator[Flask]:
    with running(tmp_path / "state", models) as made:
        yield made


def test_a_call_that_brings_its_data_waits_for_nobody(app: Flask, told: list[str]) -> None:
    card(app.test_client(), asked())
    assert told == []


def test_who_fetches_says_so(models: Path, tmp_path: Path, told: list[str]) -> None:
    server = Stub()
    server.route = lambda call: fhir(
        {"resourceType": "Patient", "id": "p"} if "Patient" in call.path else searchset([])
    )
    try:
        own = {"fhir_conn": f'{{"host": "{server.base}"}}', "fetch_from": "own"}
        with running(tmp_path / "state", models, **own) as app:
            card(app.test_client(), asked(leave_out=("wbc",)))
    finally:
        server.close()
    assert told == ["waits"]


def test_who_writes_feedback_says_so(app: Flask, told: list[str]) -> None:
    given = card(app.test_client(), asked())["uuid"]
    at = T.isoformat().replace("+00:00", "Z")
    entry = {"card": given, "outcome": "overridden", "outcomeTimestamp": at}
    assert app.test_client().post(f"{SERVICE}/feedback", json={"feedback": [entry]}).status_code == 200
    assert told == ["waits"]


def test_who_loads_a_model_says_so(app: Flask, models: Path, told: list[str]) -> None:
    promote(models, "sepsis", "2")
    try:
        card(app.test_client(), asked())
        card(app.test_client(), asked())
    finally:
        promote(models, "sepsis", "1")
    assert told == ["waits"]


def test_who_waits_for_an_ehr_s_keys_says_so_once(told: list[str]) -> None:
    keys = Keys(
        "ehr", lambda: KeySet({("a", "ES384"): EC_KEY.public_key()}, fresh=100), lambda: 0.0, pause=30, aside=True
    )
    for _ in range(2):
        keys.find("a", "ES384")
    assert told == ["waits"]


def test_without_a_server_that_asks_nothing_happens() -> None:
    waiting.will_wait()
