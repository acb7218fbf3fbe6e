"""Feedback over HTTP: on the disk before it is acknowledged, counted once, and told by the report."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from tests.charts import SICK, T, chart
from tests.unit.cds_hooks.sidecars import SERVICE, Json, asked, card, parts, post, published, running
from tests.unit.feedback.cards import named, rows

from cds_hooks import app as module
from screening.__main__ import main
from screening.feedback.store import FeedbackStore

ROUTE = f"{SERVICE}/feedback"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    published(folder, "1")
    return folder


@pytest.fixture
def app(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(module, "FeedbackStore", partial(FeedbackStore, wait_seconds=0.1))
    with running(tmp_path / "state", models) as made:
        yield made


def entry(identity: str, outcome: str = "overridden", minutes: float = 5, **more: Any) -> Json:
    at = (T + timedelta(minutes=minutes)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    told: Json = {"card": identity, "outcome": outcome, "outcomeTimestamp": at}
    if outcome == "overridden":
        told["overrideReason"] = {"reason": {"code": "patient-ineligible", "system": "urn:reasons"}}
    return told | more


def send(app: Flask, *entries: Json, path: str = ROUTE) -> Any:
    return app.test_client().post(path, json={"feedback": list(entries)})


def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "feedback.db"


def test_ch70_what_is_acknowledged_is_on_the_disk(app: Flask, tmp_path: Path) -> None:
    answer = send(app, *(entry(named(number)) for number in range(3)))
    assert (answer.status_code, answer.json) == (200, {})
    assert rows(file(tmp_path)) == [(named(number), "overridden") for number in range(3)]


def test_ch70_a_repeat_counts_once_and_another_outcome_is_kept_beside(app: Flask, tmp_path: Path) -> None:
    accepted = entry(named(1), "accepted", 9, acceptedSuggestions=[{"id": str(uuid4())}])
    for sent in ([entry(named(1))], [entry(named(1)), entry(named(1))], [accepted], [accepted]):
        assert send(app, *sent).status_code == 200
    assert rows(file(tmp_path)) == [(named(1), "overridden"), (named(1), "accepted")]


def test_ch71_one_wrong_entry_keeps_them_all_out(app: Flask, tmp_path: Path) -> None:
    answer = send(app, entry(named(1)), entry(named(2), overrideReason={}))
    assert answer.status_code == 400
    assert answer.json["issue"][0]["diagnostics"].startswith("feedback[1]")
    assert rows(file(tmp_path)) == []


def test_ch71_an_unknown_card_is_kept_and_flagged(app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    known = card(app.test_client(), asked())["uuid"]
    assert_written(app)
    caplog.clear()
    assert send(app, entry(known), entry(str(uuid4()))).status_code == 200
    (line,) = [json.loads(one.getMessage()) for one in caplog.records if one.name == "cds_hooks.calls"]
    assert (line["entries"], line["unknown_cards"], line["service"]) == (2, 1, "sepsis-risk")
    assert "repeated" not in line
    assert len(rows(file(tmp_path))) == 2


def test_ch71_an_unknown_service_keeps_nothing(app: Flask, tmp_path: Path) -> None:
    answer = send(app, entry(named(1)), path="/cds-services/aki-risk/feedback")
    assert (answer.status_code, answer.json["resourceType"]) == (404, "OperationOutcome")
    assert rows(file(tmp_path)) == []


def test_a_locked_database_is_503_and_nothing_is_lost(app: Flask, tmp_path: Path) -> None:
    given = card(app.test_client(), asked())["uuid"]
    assert_written(app)
    holder = sqlite3.connect(file(tmp_path), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        answer = send(app, entry(given))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json["resourceType"] == "OperationOutcome"
        assert str(tmp_path) not in answer.text
        meanwhile = card(app.test_client(), asked())["uuid"]  # cards are given all the same
        holder.execute("ROLLBACK")
    finally:
        holder.close()
    assert rows(file(tmp_path)) == []
    assert send(app, entry(given), entry(meanwhile)).status_code == 200
    assert_written(app)
    kept = rows(file(tmp_path), "SELECT card FROM cds_issued")
    assert sorted(kept) == sorted([(given,), (meanwhile,)])


def test_a_database_that_is_away_at_the_start_lets_cards_be_given(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FeedbackStore", partial(FeedbackStore, wait_seconds=0.1))
    path = tmp_path / "other.db"
    holder = sqlite3.connect(path, isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        with running(tmp_path / "state", models, feedback_url=f"sqlite:///{path}") as app:
            given = card(app.test_client(), asked())["uuid"]
            assert send(app, entry(given)).status_code == 503
            holder.execute("ROLLBACK")
            # The cards that wait are written now, and the client tries again as it was told to.
            assert 200 in (send(app, entry(given)).status_code for _ in range(50))
            assert rows(path) == [(given, "overridden")]
    finally:
        holder.close()


def test_ch73_the_report_tells_of_the_cards_that_were_given(
    app: Flask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = app.test_client()
    high = card(client, asked(leave_out=("lactate",)))
    other = card(client, asked())
    none = card(client, asked(chart("p", {})))
    assert post(client, asked(chart("p", dict.fromkeys(SICK, 50.0)))).status_code == 200
    suggestion = high["suggestions"][0]["uuid"]
    assert send(app, entry(high["uuid"], "accepted", acceptedSuggestions=[{"id": suggestion}])).status_code == 200
    assert send(app, entry(other["uuid"]), entry(none["uuid"]), entry(str(uuid4()))).status_code == 200
    assert_written(app)
    assert main(["feedback", "report", "--url", f"sqlite:///{file(tmp_path)}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (model,) = told["models"]
    assert "1" in json.dumps(model)
    assert told["total"]["issued"] >= 3
    assert told["total"]["answered"] == 3
    assert sum(told["unknown"].values()) == 1
    assert any(one["code"] == "patient-ineligible" for one in told["reasons"])


def test_ch73_what_is_remembered_is_what_the_card_said(app: Flask, tmp_path: Path) -> None:
    client = app.test_client()
    given = card(client, asked(leave_out=("lactate",)))
    assert_written(app)
    (kept,) = rows(
        file(tmp_path),
        "SELECT card, service, hook_instance, patient, kind, indicator, level, model_version, probability FROM cds_issued",
    )
    assert kept[:8] == (
        given["uuid"], "sepsis-risk", asked()["hookInstance"], "Patient/p", "risk", "critical", "high", "1",
    )  # fmt: skip
    assert f"HIGH: {kept[8] * 100:g}%" in given["detail"]


def assert_written(app: Flask) -> None:
    """Write what waits, as a worker does at its end."""
    store = parts(app).feedback
    store._remembering.close()
    assert (store.waiting, store.lost) == (0, 0)
