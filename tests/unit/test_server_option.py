"""`--connection`: a server with credentials, from a file or standard input, and none of them told to anybody."""

import io
import json
from argparse import ArgumentParser
from pathlib import Path

import pytest
from tests.charts import chart, patient

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening.__main__ import main, parser
from screening.errors import FatalError
from screening.server_option import add_server, client_of

TOKEN = "t0kenMARKER"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fhir.json"


def connection(url: str, token: str = TOKEN) -> str:
    return json.dumps({"conn_type": "fhir", "host": url, "password": token, "extra": {"attempts": 1}})


def test_seed_loads_a_server_that_asks_for_a_token(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SandboxServer(behaviour=Behaviour(bearer_token=TOKEN)) as server:
        file.write_text(connection(server.base_url), encoding="utf-8")
        assert main(["seed", "--connection", str(file), "--size", "1"]) == 0
        assert server.store.versions() > 4
        told = capsys.readouterr()
        assert "of 4 patients" in told.out
        before = server.store.versions()
        file.write_text(connection(server.base_url, "another"), encoding="utf-8")
        assert main(["seed", "--connection", str(file), "--size", "1"]) == 2
        assert "401" in capsys.readouterr().err
        assert server.store.versions() == before


def test_the_connection_may_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with SandboxServer(behaviour=Behaviour(bearer_token=TOKEN)) as server:
        monkeypatch.setattr("sys.stdin", io.StringIO(connection(server.base_url)))
        assert main(["seed", "--connection", "-", "--size", "1"]) == 0
    told = capsys.readouterr()
    assert TOKEN not in told.out + told.err


def test_demo_patients_are_loaded_into_a_server_that_asks_for_a_token(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "charts").mkdir()
    values = {"heart_rate": 80.0, "respiratory_rate": 16.0, "wbc": 7.0, "temperature": 36.9}
    (tmp_path / "charts" / "all.json").write_text(json.dumps([patient(), *chart("p", values)[1:]]))
    with SandboxServer(behaviour=Behaviour(bearer_token=TOKEN)) as server:
        file.write_text(connection(server.base_url), encoding="utf-8")
        words = ["--mimic-fhir", str(tmp_path / "charts"), "--out", str(tmp_path / "out"), "--connection", str(file)]
        main(["demo-patients", *words])
        assert " created, 0 there already" in capsys.readouterr().out
        assert server.store.versions() == 5


@pytest.mark.parametrize(("content", "words"), [
    (None, "fhir.json cannot be read: No such file or directory"), (b"\xff\xfe", "cannot be read as UTF-8 text"),
    (b"t0kenMARKER", "--connection: is no JSON object"),
    (b'{"password": "t0kenMARKER"}', "the host must be the FHIR base URL"),
    (b'{"host": "https://fhir.example.org", "pasword": "t0kenMARKER"}', "unknown field pasword"),
    (b'{"host": "http://fhir.example.org/r4", "password": "t0kenMARKER"}', "plain http to fhir.example.org"),
    (b'{"conn_type": "http", "host": "https://fhir.example.org"}', "conn_type must be fhir"),
])  # fmt: skip
@pytest.mark.parametrize("command", [["seed"], ["demo-patients", "--mimic-fhir", "x", "--out", "y"]])
def test_a_connection_that_cannot_be_used_is_named_and_not_repeated(
    file: Path, content: bytes | None, words: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        file.write_bytes(content)
    assert main([*command, "--connection", str(file)]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert "MARKER" not in told.out + told.err


def test_what_has_no_effect_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed", "--connection", "x.json", "--allow-http"]) == 2
    assert "a --connection has an extra allow_http of its own" in capsys.readouterr().err
    assert main(["demo-patients", "--mimic-fhir", "x", "--out", "y", "--allow-http"]) == 2
    assert "--allow-http goes with a URL" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--url", "https://fhir.example.org", "--connection", "x.json"]])
def test_seed_needs_one_server(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["seed", *words])
    assert "--connection" in capsys.readouterr().err


def test_no_server_is_none_where_none_is_needed() -> None:
    made = ArgumentParser()
    add_server(made, "--upload", "where to", required=False)
    assert client_of(made.parse_args([])) is None
    with pytest.raises(FatalError, match="plain http"):
        client_of(made.parse_args(["--upload", "http://fhir.example.org"]))
