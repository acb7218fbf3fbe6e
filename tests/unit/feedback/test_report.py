"""What the report says: each card once, silence apart, small numbers called small."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.feedback.cards import GIVEN, SERVICE, answer, issued, named

from screening.__main__ import main
from screening.errors import DataFileError
from screening.feedback.entries import FeedbackEntry, IssuedCard, Reason
from screening.feedback.rates import share
from screening.feedback.report import Report, as_json, as_text, make_report
from screening.feedback.store import FeedbackStore

BUSY = Reason("wrong-time-workflow", "http://example.org/reasons", "Wrong time")
BUSY_SHORT = Reason("wrong-time-workflow", "http://example.org/reasons")

Filled = Callable[..., str]


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    """Fill a database; return its URL."""

    def fill(cards: list[IssuedCard], answers: list[FeedbackEntry], service: str = SERVICE) -> str:
        url = f"sqlite:///{tmp_path / 'feedback.db'}"
        store = FeedbackStore(url)
        store.start()
        for card in cards:
            store.remember(card)
        store.add(service, answers, GIVEN + timedelta(days=1))
        store.close()
        return url

    return fill


def groups(found: Any) -> dict[str, tuple[int, int, int, int]]:
    """Name → issued, answered, accepted, overridden."""
    return {
        group.name: (
            group.issued, group.answered, group.accepted.count if group.accepted else 0,
            group.overridden.count if group.overridden else 0,
        )
        for group in found
    }  # fmt: skip


def test_ch73_rates_by_service_model_level_and_reason(filled: Filled) -> None:
    cards = [
        issued(1), issued(2), issued(3, level="moderate"), issued(4, model_version="2.0.0"),
        issued(5, kind="not_computed", level=None, probability=None),
        issued(6, kind="earlier"), issued(7, service="aki-risk", model_name=None),
    ]  # fmt: skip
    answers = [
        answer(1, "accepted", 30), answer(2, "overridden", 90, reason=BUSY),
        answer(3, "overridden", 600, reason=BUSY_SHORT), answer(4, "overridden", comment="no"), answer(5, "overridden"),
    ]  # fmt: skip
    report = make_report(filled(cards, answers))
    assert groups([report.total]) == {"all": (7, 5, 1, 4)}
    assert groups(report.services) == {"sepsis-risk": (6, 5, 1, 4), "aki-risk": (1, 0, 0, 0)}
    assert groups(report.models) == {
        "sepsis 1.0.0 (abababababab)": (5, 4, 1, 3), "sepsis 2.0.0 (abababababab)": (1, 1, 0, 1), "no model": (1, 0, 0, 0),
    }  # fmt: skip
    assert groups(report.levels) == {
        "high": (4, 3, 1, 2), "moderate": (1, 1, 0, 1), "not computed": (1, 1, 0, 1), "earlier high": (1, 0, 0, 0),
    }  # fmt: skip
    assert [(one.model[:12], one.name, one.code, one.share.count, one.share.of) for one in report.reasons] == [
        ("sepsis 1.0.0", "Wrong time", "wrong-time-workflow", 2, 3),
        ("sepsis 1.0.0", "no reason given", None, 1, 3),
        ("sepsis 2.0.0", "a comment only", None, 1, 1),
    ]
    assert report.total.median_seconds == 60


def test_ch70_a_card_counts_once_with_what_was_done_last(filled: Filled) -> None:
    answers = [answer(1, "accepted", 300), answer(1, "overridden", 60), answer(2), answer(2, seconds=61)]
    report = make_report(filled([issued(1), issued(2)], answers))
    assert groups([report.total]) == {"all": (2, 2, 1, 1)}
    assert report.changed == 1
    assert "1 cards were answered differently" in as_text(report)


def test_ch71_unknown_cards_and_those_of_another_service_are_in_no_rate(filled: Filled) -> None:
    url = filled([issued(1), issued(2, service="aki-risk")], [answer(1), answer(2), answer(3, "accepted")])
    report = make_report(url)
    assert groups([report.total]) == {"all": (2, 1, 0, 1)}
    assert (dict(report.unknown), report.elsewhere) == ({"accepted": 1}, 1)
    text = as_text(report)
    assert "1 entries are on cards that nobody remembers giving, and in no rate: 1 accepted" in text
    assert "1 entries came to an endpoint of another service" in text


def test_a_card_answered_before_it_was_given_is_counted_and_told(filled: Filled) -> None:
    report = make_report(filled([issued(1)], [answer(1, seconds=-5)]))
    assert groups([report.total]) == {"all": (1, 1, 0, 1)}
    assert (report.before_card, report.total.median_seconds) == (1, None)


def test_a_client_of_whole_seconds_does_not_answer_before_the_card(filled: Filled) -> None:
    given_at = GIVEN + timedelta(seconds=7, microseconds=700_000)
    report = make_report(filled([issued(1, issued_at=given_at)], [answer(1, seconds=7)]))
    assert (report.before_card, report.total.median_seconds) == (0, 0)


def test_a_client_of_fractions_of_a_second_may_answer_before_the_card_by_one(filled: Filled) -> None:
    given_at = GIVEN + timedelta(seconds=7, microseconds=700_000)
    assert make_report(filled([issued(1, issued_at=given_at)], [answer(1, seconds=7.5)])).before_card == 1


def test_a_card_without_a_suggestion_does_not_speak_against_accepting(filled: Filled) -> None:
    cards = [issued(1), issued(2, suggestions=()), issued(3, suggestions=()), issued(4)]
    total = make_report(filled(cards, [answer(1, "accepted"), answer(2), answer(3), answer(4)])).total
    assert total.accepted is not None
    assert total.overridden is not None
    assert (total.accepted.count, total.accepted.of) == (1, 2)
    assert (total.overridden.count, total.overridden.of) == (3, 4)


def test_service_and_since_choose(filled: Filled) -> None:
    later = GIVEN + timedelta(hours=2)
    cards = [issued(1), issued(2, issued_at=later), issued(3, service="aki-risk")]
    url = filled(cards, [answer(1), answer(2, seconds=9_000), answer(4)])
    assert groups([make_report(url, service="aki-risk").total]) == {"all": (1, 0, 0, 0)}
    found = make_report(url, service=SERVICE, since=later)
    assert groups([found.total]) == {"all": (1, 1, 0, 1)}
    assert dict(found.unknown) == {"overridden": 1}  # it arrived later
    assert dict(make_report(url, since=GIVEN + timedelta(days=2)).unknown) == {}


def test_nothing_is_no_rate(filled: Filled) -> None:
    report = make_report(filled([], []))
    assert (report.total.issued, report.total.accepted, report.total.few) == (0, None, True)
    assert "0 issued, 0 answered" in as_text(report)


def test_small_numbers_are_said_to_be_small(filled: Filled) -> None:
    few = make_report(filled([issued(1)], [answer(1)]))
    assert "1 *" in as_text(few)
    assert "* fewer than 20 cards: too few to compare" in as_text(few)


def test_numbers_that_are_not_small_are_not_said_to_be(filled: Filled) -> None:
    many = range(40)
    report = make_report(
        filled([issued(n) for n in many], [answer(n, "accepted" if n % 2 else "overridden") for n in many])
    )
    assert not report.total.few
    assert "*" not in as_text(report)
    assert "20 of 40 (50%)" in as_text(report)
    assert "35-65%" in as_text(report)


def test_comments_are_left_out_unless_asked_for(filled: Filled) -> None:
    url = filled([issued(1)], [answer(1, comment="Mrs Miller is well")])
    silent = make_report(url)
    assert silent.comments is None
    assert "Miller" not in as_text(silent) + json.dumps(as_json(silent))
    open_ = make_report(url, comments=True)
    assert "Mrs Miller is well" in as_text(open_)
    assert "Mrs Miller is well" in json.dumps(as_json(open_))


def test_what_a_client_wrote_cannot_steer_a_terminal(filled: Filled) -> None:
    reason = Reason("a\x1b[2J", "s", "wipe\x9b2J\u202e")
    text = as_text(make_report(filled([issued(1)], [answer(1, reason=reason, comment="x\r\ny\x07")]), comments=True))
    assert not set(text) & set("\x1b\x9b\u202e\r\x07")
    assert "x\ufffd\ufffdy" in text


def test_the_command_prints_a_table_and_json(filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
    url = filled([issued(1)], [answer(1, "accepted")])
    assert main(["feedback", "report", "--url", url]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Cards: 1 issued, 1 answered, 0 without feedback\n")
    assert "  sepsis 1.0.0 (abababababab)" in told
    since = ["--since", "2026-03-01T09:00:00+00:00", "--service", SERVICE]
    assert main(["feedback", "report", "--url", url, "--json", *since]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["since"] == "2026-03-01T09:00:00+00:00"
    assert found["total"]["accepted"]["count"] == 1
    assert found["comments"] is None


def test_a_report_makes_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "none.db"
    assert main(["feedback", "report", "--url", f"sqlite:///{file}"]) == 2
    assert "none.db: no such file: the sidecar makes it when it starts; mend --url" in capsys.readouterr().err
    assert not file.exists()
    file.touch()
    with pytest.raises(DataFileError, match="holds no feedback tables"):
        make_report(f"sqlite:///{file}")


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01", "2026-03-01T10:00:00"])
def test_since_needs_a_zone(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["feedback", "report", "--since", text])
    assert "write an ISO time with its zone" in capsys.readouterr().err


def test_json_has_no_time_that_json_cannot_hold(filled: Filled) -> None:
    report: Report = make_report(
        filled([issued(1)], [answer(1)]), since=datetime(2026, 1, 1, tzinfo=UTC), comments=True
    )
    json.dumps(as_json(report))


@pytest.mark.parametrize(("count", "of", "low", "high"), [
    (0, 10, 0.0, 0.277533), (1, 10, 0.017876, 0.404150), (5, 10, 0.236593, 0.763407), (81, 263, 0.255269, 0.366166),
])  # fmt: skip
def test_wilson_s_interval_is_the_one_of_the_books(count: int, of: int, low: float, high: float) -> None:
    found = share(count, of)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (round(low, 4), round(high, 4))


@given(st.integers(1, 10**6).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share_and_mirrors(drawn: tuple[int, int]) -> None:
    count, of = drawn
    found, mirror = share(count, of), share(of - count, of)
    assert found is not None
    assert mirror is not None
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert math.isclose(found.low, 1 - mirror.high, abs_tol=1e-9)


@pytest.mark.parametrize(("count", "of"), [(-1, 3), (4, 3)])
def test_no_share_of_too_many(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        share(count, of)
    assert share(0, 0) is None


def test_the_cards_are_named_apart() -> None:
    assert len({named(number) for number in range(100)}) == 100
