"""Old cards without feedback go; what users did, and every rate of it, stays, and the report says what is gone."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.feedback.cards import GIVEN, SERVICE, answer, issued, named, rows

from screening.__main__ import main
from screening.errors import DataFileError
from screening.feedback import pruning
from screening.feedback.pruning import prune
from screening.feedback.report import as_json, as_text, make_report
from screening.feedback.store import FeedbackStore

LATER = GIVEN + timedelta(days=10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "feedback.db"


@pytest.fixture
def url(file: Path) -> str:
    """Three old cards of which one is answered, and a young one."""
    store = FeedbackStore(f"sqlite:///{file}")
    store.start()
    for number in (1, 2, 3):
        store.remember(issued(number))
    store.remember(issued(4, issued_at=LATER))
    store.add(SERVICE, [answer(2, "accepted"), answer(77)], GIVEN)
    store.close()
    return f"sqlite:///{file}"


def cards(file: Path) -> list[str]:
    return [card for (card,) in rows(file, "SELECT card FROM cds_issued ORDER BY card")]


def test_ch73_old_cards_without_feedback_go_and_nothing_else(url: str, file: Path) -> None:
    before = rows(file)
    rates = make_report(url).total
    assert prune(url, LATER) == (2, 1)
    assert cards(file) == [named(2), named(4)]
    assert rows(file) == before
    after = make_report(url)
    assert (after.total.accepted, after.total.overridden) == (rates.accepted, rates.overridden)
    assert dict(after.unknown) == {"overridden": 1}
    assert prune(url, LATER) == (0, 1)


def test_a_card_given_at_that_very_time_stays(url: str, file: Path) -> None:
    assert prune(url, GIVEN) == (0, 0)
    assert prune(url, GIVEN + timedelta(microseconds=1)) == (2, 1)


def test_a_dry_run_counts_and_removes_nothing(url: str, file: Path) -> None:
    assert prune(url, LATER, dry_run=True) == (2, 1)
    assert len(cards(file)) == 4
    assert make_report(url).pruned == 0


def test_ch73_the_report_says_what_is_gone(url: str) -> None:
    prune(url, LATER)
    prune(url, LATER + timedelta(days=1))
    report = make_report(url)
    assert (report.pruned, as_json(report)["pruned"]) == (3, 3)
    text = as_text(report)
    assert text.startswith("Cards: 1 issued, 1 answered, 0 without feedback, 3 more removed\n")
    assert "3 cards without feedback were removed (feedback prune): what counts as issued is without them" in text
    assert make_report(url, since=LATER).pruned == 1
    assert make_report(url, since=LATER + timedelta(days=1)).pruned == 0


def test_a_database_of_a_release_that_knew_no_pruning(url: str, file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("DROP TABLE cds_pruned")
    connection.close()
    assert make_report(url).pruned == 0
    assert prune(url, LATER) == (2, 1)
    assert make_report(url).pruned == 2


def test_many_cards_go_in_parts(url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeedbackStore(url)
    for number in range(100, 350):
        store.remember(issued(number))
    store.add(SERVICE, [answer(number) for number in range(100, 350, 3)], GIVEN)
    store.close()
    monkeypatch.setattr(pruning, "_AT_ONCE", 7)
    assert prune(url, LATER) == (2 + 166, 1 + 84)
    assert len(cards(file)) == 1 + 84 + 1
    assert make_report(url).pruned == 168


def test_the_store_goes_on_while_it_is_pruned(url: str, file: Path) -> None:
    store = FeedbackStore(url)
    store.remember(issued(5, issued_at=LATER))
    prune(url, LATER)
    store.add(SERVICE, [answer(5)], LATER)
    store.close()
    assert cards(file) == [named(2), named(4), named(5)]


def test_the_command(url: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["feedback", "prune", "--url", url, "--before", LATER.isoformat()]
    assert main([*words, "--dry-run"]) == 0
    told = "2026-03-11T10:00:00+00:00: 2 without feedback would be removed, 1 with feedback stay\n"
    assert capsys.readouterr().out == f"cards given before {told}"
    assert main(words) == 0
    assert "2 without feedback removed, 1 with feedback stay" in capsys.readouterr().out
    assert len(cards(file)) == 2


@pytest.mark.parametrize(("before", "words"), [
    ("2199-01-01T00:00:00+00:00", "this time is still to come"), ("2026-03-01", "write an ISO time with its zone"),
])  # fmt: skip
def test_a_time_that_cannot_be_meant(
    url: str, file: Path, before: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["feedback", "prune", "--url", url, "--before", before])
    assert words in capsys.readouterr().err
    assert len(cards(file)) == 4


def test_pruning_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such file"):
        prune(f"sqlite:///{tmp_path / 'none.db'}", LATER)
    assert not (tmp_path / "none.db").exists()
