"""That the rules for every answer of a test run see each kind of breach: else all of it would pass for nothing."""

from typing import Any

import pytest
from flask import Flask, Response, abort
from tests import sidecar_rules
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import FEEDBACK, SERVICE, Ehr, call

from cds_hooks import app as factory
from cds_hooks import routes, service
from cds_hooks.service import Given


def breach(ehr: Ehr, method: str = "POST", path: str = SERVICE, **body: Any) -> str:
    """Call without looking at the answer, and return what the rules say of it."""
    assert sidecar_rules.taken() == []
    ehr.app.test_client().open(path, method=method, **{"json": call()} | body)
    return " | ".join(sidecar_rules.taken())


CARDS: dict[str, dict[str, Any]] = {
    "CH-44": {"summary": "x" * 140},
    "CH-45": {"uuid": ""},
    "CH-48": {"detail": None},
    "cds-resp-3": {"links": [{"label": "l", "url": "https://x.example", "type": "absolute", "appContext": "x"}]},
    "cds-resp-6": {"suggestions": [{"label": "l", "uuid": "0f7c3a52-4f6f-4f9a-9a6e-0d8a4b6a1c22"}]},
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_breaks_an_invariant_is_seen(ehr: Ehr, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    right = service.risk_card
    monkeypatch.setattr(service, "risk_card", lambda *given, **more: right(*given, **more) | CARDS[name])
    told = breach(ehr)
    assert told.startswith(f"POST {SERVICE} 200: cards[0]")
    assert f"({name})" in told


def test_an_empty_answer_for_anything_but_low_is_seen(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.Answers, "answer", lambda *_, **__: Given({"cards": []}, "not_computed"))
    assert "not_computed looks like all clear" in breach(ehr)


def test_feedback_taken_that_breaks_an_invariant_is_seen(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(body: bytes) -> list[Any]:
        return []

    monkeypatch.setattr(routes, "parse_feedback", read)
    entry = {"card": "7b5ab49e-5f3a-4b1a-8f0c-6a3a2f0b6b11", "outcomeTimestamp": "2026-03-10T12:00:00Z"}
    for number, more in (
        (1, {"outcome": "x"}),
        (2, {"outcome": "accepted"}),
        (3, {"outcome": "overridden", "overrideReason": {}}),
    ):
        assert f"(cds-fb-{number})" in breach(ehr, path=FEEDBACK, json={"feedback": [entry | more]})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response("<html>", 500), "text/html, not JSON"),
        (Response("{}", 404, mimetype="application/json"), "without an OperationOutcome"),
        (Response("{", 200, mimetype="application/json"), "is no JSON"),
        (Response("", 302, {"Location": "/x"}, "application/json"), "neither a success nor an error"),
        (factory.outcome(500, 'Traceback: File "x.py"', None), "shows our code"),
        (factory.outcome(500, "", None), "says nothing"),
    ],
)
def test_an_error_that_is_none_is_seen(make_ehr: MakeEhr, answer: Response, words: str) -> None:
    ehr = make_ehr()
    ehr.app.before_request_funcs[None].append(lambda: answer)
    assert words in breach(ehr)


def test_an_error_page_of_flask_s_own_is_seen(monkeypatch: pytest.MonkeyPatch, make_ehr: MakeEhr) -> None:
    monkeypatch.setattr(factory, "_answer_errors", lambda _: None)
    assert "text/html, not JSON" in breach(make_ehr(), path="/nope")


def test_other_apps_are_none_of_its_business() -> None:
    other = Flask("another")
    other.add_url_rule("/", view_func=lambda: abort(404))
    other.test_client().get("/")
    assert sidecar_rules.taken() == []
