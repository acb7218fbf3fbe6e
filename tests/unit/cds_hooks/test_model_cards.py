"""The model card as a page: nothing that a trainer or a caller writes runs, and no other file is reached."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markdown_it import MarkdownIt
from tests.unit.cds_hooks.sidecars import asked, card, model_bytes, published, running

from cds_hooks.model_cards import POLICY

HOSTILE = """# Card <script>alert(1)</script>

<img src=x onerror=alert(2)> ![x](http://evil.example/x.png) [here](javascript:alert(3)) <javascript:alert(4)>

| a | b |
|---|---|
| {body} {0} %s | <b onclick=alert(5)>c</b> |

<style>@import 'http://evil.example'</style>
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    published(folder, "1", card="# The first card\n\nSaid *before*.")
    published(folder, "2+b", -1.0, card=HOSTILE)
    (folder / "secret.md").write_text("SECRET")
    (folder / "other" / "1").mkdir(parents=True)
    (folder / "other" / "1" / "model_card.md").write_text("SECRET of another model")
    return folder


@pytest.fixture(scope="module")
def client(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with running(tmp_path_factory.mktemp("state"), models) as app:
        yield app.test_client()


def test_ch4a_a_card_s_link_leads_to_the_page(client: FlaskClient) -> None:
    (link,) = card(client, asked())["links"]
    assert link["url"] == "http://127.0.0.1:8091/models/sepsis/2%2Bb/model-card"
    answer = client.get(link["url"].removeprefix("http://127.0.0.1:8091"))
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "<title>Model card: sepsis 2+b</title>" in answer.text


def test_whoever_asks_again_costs_no_second_rendering(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get("/models/sepsis/1/model-card").text
    monkeypatch.setattr(MarkdownIt, "render", None)
    assert client.get("/models/sepsis/1/model-card").text == first


def test_the_card_of_a_champion_that_was_is_still_there(client: FlaskClient) -> None:
    assert "<em>before</em>" in client.get("/models/sepsis/1/model-card").text


def test_no_word_of_a_card_runs_or_loads_anything(client: FlaskClient) -> None:
    answer = client.get("/models/sepsis/2+b/model-card")
    for tag in ("<script", "<img", "<a ", "<b ", "<style>@", "href"):
        assert tag not in answer.text.partition("<body>")[2]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "{body} {0} %s" in answer.text
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert POLICY.startswith("default-src 'none'")
    assert "script-src" not in POLICY
    assert {"base-uri 'none'", "form-action 'none'"} <= set(POLICY.split("; "))  # these default-src does not cover
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("sepsis", ".."), ("sepsis", "%2e%2e"), ("..", "sepsis"), ("sepsis", "..%2f..%2fsecret.md"), ("sepsis", "3"),
        ("sepsis", "..%252f"), ("other", "1"), ("nobody", "1"), ("sepsis", "champion.json"), ("sepsis", "%00"),
        ("sepsis", "<script>"), ("sepsis", "1%0d%0aX: y"), ("sepsis", "."), ("sepsis", "%ff"), ("sepsis", "x" * 5000),
        ("sepsis", "1/model_card.md%3f"), ("%2fetc", "passwd"), ("sepsis", ".1"),
    ],
)  # fmt: skip
def test_what_is_no_version_of_a_model_served_is_404_in_json(client: FlaskClient, name: str, version: str) -> None:
    answer = client.get(f"/models/{name}/{version}/model-card")
    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.json is not None
    assert answer.json["resourceType"] == "OperationOutcome"
    assert "SECRET" not in answer.text
    assert "script" not in answer.text


def test_a_link_out_of_the_registry_is_not_followed(models: Path, client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "model_card.md").write_text("SECRET")
    link = models / "sepsis" / "9"
    link.symlink_to(tmp_path)
    try:
        assert client.get("/models/sepsis/9/model-card").status_code == 404
    finally:
        link.unlink()


def test_a_card_that_is_no_text_is_404(models: Path, client: FlaskClient) -> None:
    path = models / "sepsis" / "1" / "model_card.md"
    whole = path.read_bytes()
    for content in (b"\xff\xfe", None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert client.get("/models/sepsis/1/model-card").status_code == 404
        path.write_bytes(whole)


@pytest.fixture
def own(models: Path, tmp_path: Path) -> Iterator[Flask]:
    path = tmp_path / "own.pkl"
    path.write_bytes(model_bytes(name="<script>own</script>"))
    with running(tmp_path / "state", models, model_file=path, allow_unverified_model=True) as app:
        yield app


def test_of_a_file_outside_the_registry_is_said_what_is_known(own: Flask) -> None:
    client = own.test_client()
    (link,) = card(client, asked())["links"]
    answer = client.get(link["url"].removeprefix("http://127.0.0.1:8091"))
    assert answer.status_code == 200
    assert "No model card came with this model" in answer.text
    assert "loaded unverified" in answer.text
    assert "<script" not in answer.text
    assert client.get("/models/sepsis/1/model-card").status_code == 404


def test_of_a_published_file_the_published_card_is_shown(models: Path, tmp_path: Path) -> None:
    with running(tmp_path / "state", models, model_file=models / "sepsis/1/model.pkl") as app:
        client = app.test_client()
        (link,) = card(client, asked())["links"]
        page = client.get(link["url"].removeprefix("http://127.0.0.1:8091")).text
        assert "The first card" in page
        assert "No model card came" not in page
        assert client.get("/models/other/1/model-card").status_code == 404
