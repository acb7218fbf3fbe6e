"""CH-70 to CH-73: what of feedback is refused over HTTP, with nothing of it kept, and what must be taken."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import FEEDBACK, Ehr, Json, call, said, with_keys

from screening.feedback.tables import feedback

CARD = "7b5ab49e-5f3a-4b1a-8f0c-6a3a2f0b6b11"
SUGGESTION = "0f7c3a52-4f6f-4f9a-9a6e-0d8a4b6a1c22"
WHEN = "2026-03-10T12:00:00Z"
REASON = {"code": "action-completed", "system": "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"}
GOOD = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": WHEN}
PATH = "feedback[1]"
BAD: dict[str, tuple[Json, str]] = {
    "no card": ({"card": None}, "card"),
    "a card that is no uuid": ({"card": "1"}, "card"),
    "no outcome": ({"outcome": None}, "outcome"),
    "cds-fb-1": ({"outcome": "ignored"}, "outcome"),
    "no time": ({"outcomeTimestamp": None}, "outcomeTimestamp"),
    "a time without a zone": ({"outcomeTimestamp": "2026-03-10T12:00:00"}, "outcomeTimestamp"),
    "a time not in UTC": ({"outcomeTimestamp": "2026-03-10T12:00:00+01:00"}, "outcomeTimestamp"),
    "a day that is none": ({"outcomeTimestamp": "2026-02-30T12:00:00Z"}, "outcomeTimestamp"),
    "cds-fb-2": ({"outcome": "accepted"}, "acceptedSuggestions"),
    "cds-fb-2, an empty array": ({"outcome": "accepted", "acceptedSuggestions": []}, "acceptedSuggestions"),
    "a suggestion without id": ({"outcome": "accepted", "acceptedSuggestions": [{}]}, "acceptedSuggestions[0].id"),
    "cds-fb-3": ({"overrideReason": {}}, "overrideReason"),
    "a reason without code": (
        {"overrideReason": {"reason": {"system": REASON["system"]}}},
        "overrideReason.reason.code",
    ),
    "a reason without system": ({"overrideReason": {"reason": {"code": "x"}}}, "overrideReason.reason.system"),
    "a comment that is no text": ({"overrideReason": {"userComment": 1}}, "overrideReason.userComment"),
}


@pytest.fixture(scope="module")
def keeping(make_ehr: MakeEhr, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ehr, Path]:
    """A sidecar, and the file in which it keeps feedback."""
    state = tmp_path_factory.mktemp("feedback")
    return make_ehr(state=state), state / "feedback.db"


def kept(file: Path) -> int:
    """Count the entries that are kept."""
    engine = create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(feedback)))
    finally:
        engine.dispose()


def entry(**changes: Any) -> Json:
    return {key: value for key, value in (GOOD | changes).items() if value is not None}


@pytest.mark.parametrize("name", BAD)
def test_ch71_each_violation_is_400_by_its_field_and_nothing_is_kept(keeping: tuple[Ehr, Path], name: str) -> None:
    ehr, file = keeping
    changes, field = BAD[name]
    before = kept(file)
    text = ehr.refused(400, {"feedback": [entry(), entry(**changes), entry()]}, FEEDBACK)
    assert f"[{PATH}.{field}]" in text
    assert "No entry was kept" in text
    assert kept(file) == before


@pytest.mark.parametrize(
    ("body", "status", "content_type"),
    [
        (b"{", 400, "application/json"), (b"[]", 400, "application/json"), (b"{}", 400, "application/json"),
        (b'{"feedback": {}}', 400, "application/json"), (b'{"feedback": [1]}', 400, "application/json"),
        (json.dumps({"feedback": [GOOD]}).encode(), 415, "text/plain"),
        (json.dumps({"feedback": [GOOD] * 1001}).encode(), 413, "application/json"),
    ],
)  # fmt: skip
def test_ch70_a_body_that_is_no_feedback_is_refused(
    keeping: tuple[Ehr, Path], body: bytes, status: int, content_type: str
) -> None:
    ehr, file = keeping
    before = kept(file)
    ehr.refused(status, body, FEEDBACK, content_type=content_type)
    assert kept(file) == before


def test_ch70_feedback_on_no_service_is_404(ehr: Ehr) -> None:
    ehr.refused(404, {"feedback": [GOOD]}, "/cds-services/another-risk/feedback")


def test_ch71_what_was_given_and_taken_is_acknowledged(ehr: Ehr) -> None:
    card = ehr.card(with_keys(lactate=None))
    (suggestion,) = card["suggestions"]
    taken = {"outcome": "accepted", "acceptedSuggestions": [{"id": suggestion["uuid"]}]}
    answer = ehr.post({"feedback": [entry(card=card["uuid"], **taken)]}, FEEDBACK)
    assert (answer.status_code, answer.json) == (200, {})


def test_ch71_an_unknown_card_is_taken(ehr: Ehr) -> None:
    assert ehr.post({"feedback": [GOOD]}, FEEDBACK).status_code == 200


def test_ch72_a_reason_without_display_is_taken_as_the_sandbox_sends_it(ehr: Ehr) -> None:
    given = entry(card=ehr.card(call())["uuid"], overrideReason={"reason": REASON})
    assert ehr.post({"feedback": [given]}, FEEDBACK).status_code == 200


def test_ch73_feedback_that_cannot_be_kept_is_not_acknowledged(make_ehr: MakeEhr) -> None:
    ehr = make_ehr(feedback_url="postgresql+psycopg://nobody@127.0.0.1:9/feedback")
    assert len(ehr.cards(call())) == 1  # cards are given all the same
    answer = ehr.post({"feedback": [GOOD]}, FEEDBACK)
    assert answer.status_code == 503
    assert "not available now" in said(answer)
    assert int(answer.headers["Retry-After"]) > 0
