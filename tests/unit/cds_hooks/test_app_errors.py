"""What fails is an OperationOutcome, and tells of no patient, no place in our code and no token."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from tests.charts import SICK, chart
from tests.unit.cds_hooks.hook_requests import TOKEN, authorization
from tests.unit.cds_hooks.sidecars import SERVICE, asked, post, published, running

from cds_hooks import live, service
from screening.errors import FatalError, ModelError, ResultError, TemporaryError

MARKER, VALUE = "MARKERNAME", 113.4567891


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("errors")
    published(folder / "models", "1")
    with running(
        folder / "state", folder / "models", cors_origins=("https://ui.example",), max_body_bytes=20_000
    ) as made:
        yield made


def marked() -> dict[str, Any]:
    """Make a request full of what must not be seen again."""
    person = {"name": [{"family": MARKER, "given": [MARKER]}], "identifier": [{"value": MARKER}]}
    granted = {"fhirServer": "https://no.example/fhir", "fhirAuthorization": authorization(scope="patient/*.read")}
    return asked(chart("p", SICK | {"heart_rate": VALUE}, **person), **granted)


def clean(*said: str) -> None:
    for text in said:
        for secret in (MARKER, TOKEN, "1966-03-10", str(VALUE), "Traceback"):
            assert secret not in text


BROKEN: list[tuple[Any, str, BaseException, int]] = [
    (live, "score", ValueError(f"{MARKER} {VALUE}"), 500),
    (live, "score", ModelError("model sepsis 1 answered with what is no probability"), 500),
    (live, "featurize", KeyError(MARKER), 500),
    (live, "FhirReader", TypeError(MARKER), 500),
    (live, "outside_window", RecursionError(), 500),
    (live, "sort_out", AttributeError(MARKER), 500),
    (service, "risk_card", ResultError("a card is not fit"), 500),
    (service, "risk_card", ZeroDivisionError(MARKER), 500),
    (service, "risk_card", TemporaryError("a server is down"), 503),
    (service, "risk_card", FatalError("set up wrongly"), 500),
    (service, "risk_card", MemoryError(MARKER), 500),
]


@pytest.mark.parametrize(
    ("where", "name", "error", "status"), BROKEN, ids=[f"{one[1]} {type(one[2]).__name__}" for one in BROKEN]
)
def test_ch43_ch53_a_defect_is_an_error_that_shows_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: Any, name: str,
    error: BaseException, status: int,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)

    def broken(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(where, name, broken)
    answer = post(app.test_client(), marked(), headers={"Origin": "https://ui.example", "X-Request-ID": "call-7"})
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == "https://ui.example"
    assert answer.headers["X-Request-ID"] == "call-7"
    clean(answer.text, caplog.text, *[str(vars(one)) for one in caplog.records])
    assert "call-7" in caplog.text
    assert "cards" not in answer.json
    assert app.test_client().get("/health/live").status_code == 200
    if status == 500:
        assert answer.json["issue"][0]["diagnostics"] == "call-7"


ASKED: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/", {}, 404),
    ("GET", "/cds-services/", {}, 404),
    ("GET", "//cds-services", {}, 404),
    ("POST", "/cds-services", {}, 405),
    ("GET", SERVICE, {}, 405),
    ("PUT", SERVICE, {}, 405),
    ("OPTIONS", SERVICE, {}, 405),
    ("DELETE", f"{SERVICE}/feedback", {}, 405),
    ("POST", "/health", {}, 405),
    ("POST", "/cds-services/aki-risk", {"json": {}}, 404),
    ("POST", "/cds-services/%00", {"json": {}}, 404),
    ("POST", SERVICE, {"data": "{}"}, 415),
    ("POST", SERVICE, {"data": "{}", "content_type": "text/plain"}, 415),
    ("POST", SERVICE, {"json": {}, "environ_overrides": {"HTTP_CONTENT_ENCODING": "gzip"}}, 415),
    (
        "POST",
        f"{SERVICE}/feedback",
        {"json": {"feedback": []}, "environ_overrides": {"HTTP_CONTENT_ENCODING": "br"}},
        415,
    ),
    (
        "POST",
        f"{SERVICE}/feedback",
        {"data": b'{"feedback": [], "feedback": []}', "content_type": "application/json"},
        400,
    ),
    ("POST", SERVICE, {"data": "x" * 20_001, "content_type": "application/json"}, 413),
    ("POST", f"{SERVICE}/feedback", {"data": "x" * 20_001, "content_type": "application/json"}, 413),
    ("POST", SERVICE, {"data": "{", "content_type": "application/json"}, 400),
    ("POST", SERVICE, {"data": "[]", "content_type": "application/json"}, 400),
    ("POST", f"{SERVICE}/feedback", {"data": "[]", "content_type": "application/json"}, 400),
]


@pytest.mark.parametrize(("method", "path", "more", "status"), ASKED)
def test_ch20_ch81_what_nobody_should_ask_is_an_outcome_in_json(
    app: Flask, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    answer = app.test_client().open(path, method=method, headers={"Origin": "https://ui.example"}, **more)
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert answer.json is not None
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.json["issue"][0]["severity"] == "error"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://ui.example"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("Allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_HOST": "a b"}, {"HTTP_HOST": "["}, {"HTTP_HOST": "\xff"}, {"HTTP_HOST": ""}, {"HTTP_HOST": "a:99999999"},
        {"QUERY_STRING": "a=%ff&\xff"}, {"PATH_INFO": "/\xff\xfe"}, {"PATH_INFO": ""}, {"PATH_INFO": "cds-services"},
        {"REQUEST_METHOD": "F\x00O"}, {"CONTENT_LENGTH": "-5"}, {"CONTENT_LENGTH": "abc"}, {"HTTP_ORIGIN": "\xff"},
        {"HTTP_X_REQUEST_ID": "a\nb"}, {"HTTP_AUTHORIZATION": "\xff"}, {"CONTENT_TYPE": "\xff;;;="},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ch20_what_no_client_writes_is_never_a_500(
    app: Flask, environ: dict[str, str], method: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/cds-services" if method == "GET" else SERVICE
    base = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80", "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(b"{}"),
        "CONTENT_LENGTH": "2", "CONTENT_TYPE": "application/json",
    }  # fmt: skip
    caplog.set_level(logging.INFO)
    told: list[tuple[str, dict[str, str]]] = []
    b"".join(app(base | environ, lambda status, head, _=None: told.append((status, dict(head)))))
    ((status, head),) = told
    assert status[0] in "24"
    assert head["Content-Type"] == "application/json"
    assert "\n" not in head["X-Request-ID"]
    (line,) = [one.getMessage() for one in caplog.records if one.name == "cds_hooks.calls"]
    assert line.isascii()
    assert line.isprintable()


def test_an_answer_is_for_nobody_s_cache(app: Flask) -> None:
    for answer in (post(app.test_client(), asked()), app.test_client().get("/cds-services")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_state_s_folder_is_nobody_else_s(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    published(tmp_path / "models", "1")
    with running(tmp_path / "a" / "state", tmp_path / "models"):
        assert (tmp_path / "a" / "state").stat().st_mode & 0o077 == 0
        assert (tmp_path / "a" / "state" / "feedback.db").stat().st_mode & 0o077 == 0
    assert "CDS_STATE" not in caplog.text


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o720], ids=oct)
def test_a_state_s_folder_that_is_open_to_others_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    published(tmp_path / "models", "1")
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)
    with running(tmp_path / "state", tmp_path / "models"):
        assert f"its mode is {mode:o} and should be 700" in caplog.text
