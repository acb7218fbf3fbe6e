"""Health: who may know it, and what it says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.unit.cds_hooks.sidecars import SCHEMA_FILE, asked, post, published, running

from cds_hooks.health import without_folders
from cds_hooks.settings import Settings
from screening.model.bundle import ModelBundle


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundle(models: Path) -> ModelBundle:
    return published(models, "1")


@pytest.fixture(scope="module")
def client(models: Path, bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    schemas = tmp_path_factory.mktemp("schemas")
    text = SCHEMA_FILE.read_text()
    (schemas / "sepsis.yaml").write_text(text)
    (schemas / "later.yaml").write_text(
        text.replace("name: sepsis", "name: later").replace("model: sepsis", "model: later")
    )
    with running(tmp_path_factory.mktemp("state"), models, schemas=schemas) as app:
        yield app.test_client()


def test_ch83_live_says_only_that_the_process_answers(client: FlaskClient) -> None:
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json) == (200, {"status": "live"})


def test_ch03_ch83_one_service_without_a_model_is_not_ready_and_costs_the_others_nothing(
    client: FlaskClient, bundle: ModelBundle
) -> None:
    ready = {
        "ready": True,
        "schema": {"name": "sepsis", "version": "1.0.0"},
        "model": {"name": "sepsis", "version": "1", "sha256": bundle.sha256},
    }
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json is not None
        assert answer.json["status"] == "not ready"
        assert answer.json["services"]["sepsis-risk"] == ready
        assert answer.json["services"]["later-risk"]["ready"] is False
        assert answer.json["services"]["later-risk"]["problem"]
        assert answer.headers["Cache-Control"] == "no-store"
    listed = client.get("/cds-services").json
    assert listed is not None
    assert {one["id"] for one in listed["services"]} == {"sepsis-risk", "later-risk"}
    assert post(client, asked()).status_code == 200
    refused = post(client, asked(), "/cds-services/later-risk")
    assert (refused.status_code, refused.json["issue"][0]["diagnostics"]) == (503, "later-risk")


def test_ch83_a_probe_finds_what_has_come_since(client: FlaskClient, models: Path) -> None:
    (models / "later").mkdir()
    published_later = published(models, "2")
    for name in ("later",):
        for path in (models / "sepsis" / "2").iterdir():
            (models / name / "2").mkdir(exist_ok=True)
            content = path.read_bytes().replace(b'"name": "sepsis"', b'"name": "later"')
            (models / name / "2" / path.name).write_bytes(content)
        (models / name / "champion.json").write_text(f'{{"version": "2", "sha256": "{published_later.sha256}"}}')
    answer = client.get("/health")
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert answer.json["services"]["later-risk"]["model"]["version"] == "2"
    assert answer.json["services"]["sepsis-risk"]["model"]["version"] == "2"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("/srv/r/sepsis/1/model.pkl: is broken", "sepsis/1/model.pkl: is broken"),
        ("/srv/r: no such folder", "the registry: no such folder"),
        ("/srv/r/own/m.pkl: no manifest in /srv/r", "m.pkl: no manifest in the registry"),
    ],
)
def test_ch83_what_is_wrong_is_told_without_the_folders_of_the_machine(words: str, told: str) -> None:
    settings = Settings(auth="off", models=Path("/srv/r"), model_file=Path("/srv/r/own/m.pkl"))
    assert without_folders(words, settings) == told


def test_ch83_a_relative_folder_is_no_word_to_be_taken_out() -> None:
    settings = Settings(auth="off", models=Path(), model_file=Path("m"))
    assert without_folders("m: is broken. Mend it", settings) == "m: is broken. Mend it"
