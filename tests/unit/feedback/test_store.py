"""Feedback is kept once, whole, and on the disk before it is acknowledged; cards are remembered behind the answer."""

import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.unit.feedback.cards import GIVEN, ROOT, SERVICE, answer, issued, named, rows

from screening.errors import FatalError, ScreeningError, TemporaryError
from screening.feedback import engines
from screening.feedback.entries import FeedbackEntry, IssuedCard, Reason
from screening.feedback.remembering import Remembering
from screening.feedback.store import Added, FeedbackStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "feedback.db"


@pytest.fixture
def store(file: Path) -> Iterator[FeedbackStore]:
    made = FeedbackStore(f"sqlite:///{file}", wait_seconds=0.1)
    yield made
    made.close()


def process(url: str, first: int, count: int, *more: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.feedback.adding", url, str(first), str(count), *more],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"plugins{os.pathsep}."}, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_ch70_a_batch_is_kept_whole_and_a_repeat_counts_once(store: FeedbackStore, file: Path) -> None:
    batch = [answer(1), answer(2, "accepted"), answer(3)]
    assert store.add(SERVICE, batch, GIVEN).stored == 3
    again = store.add(SERVICE, batch, GIVEN + timedelta(hours=1))
    assert (again.stored, again.repeated) == (0, 3)
    assert rows(file) == [(named(1), "overridden"), (named(2), "accepted"), (named(3), "overridden")]


def test_ch70_a_repeat_within_one_batch_counts_once(store: FeedbackStore, file: Path) -> None:
    added = store.add(SERVICE, [answer(1), answer(1)], GIVEN)
    assert (added.stored, added.repeated) == (1, 1)
    assert len(rows(file)) == 1


def test_ch70_a_second_outcome_for_a_card_is_kept_beside_the_first_with_both_times(
    store: FeedbackStore, file: Path
) -> None:
    store.add(SERVICE, [answer(1, "overridden", 60)], GIVEN)
    assert store.add(SERVICE, [answer(1, "accepted", 120)], GIVEN).stored == 1
    found = rows(file, "SELECT outcome, outcome_at FROM cds_feedback ORDER BY id")
    assert found == [("overridden", "2026-03-01 10:01:00.000000"), ("accepted", "2026-03-01 10:02:00.000000")]


@pytest.mark.parametrize("other", [
    answer(1, seconds=61), answer(1, reason=Reason("a", "s")), answer(1, comment="no"), answer(1, "accepted"),
    answer(1, accepted_suggestions=(named(5),)),
])  # fmt: skip
def test_what_says_anything_else_is_no_repeat(store: FeedbackStore, other: FeedbackEntry) -> None:
    assert store.add(SERVICE, [answer(1), other], GIVEN).stored == 2


def test_the_same_moment_in_another_zone_is_a_repeat() -> None:
    there = answer(1, "accepted", accepted_suggestions=(named(7), named(8)))
    here = there.__class__(
        card=there.card, outcome="accepted", accepted_suggestions=(named(8), named(7)),
        outcome_at=there.outcome_at.astimezone(timezone(timedelta(hours=5))),
    )  # fmt: skip
    assert here.key(SERVICE) == there.key(SERVICE)
    assert here.key("other") != there.key(SERVICE)


def test_ch71_an_unknown_card_is_kept_and_told(store: FeedbackStore, file: Path) -> None:
    assert store.add(SERVICE, [answer(1)], GIVEN) == Added(1, 0, (named(1),), ())
    assert len(rows(file)) == 1


def test_a_card_of_another_service_is_kept_and_told(store: FeedbackStore, file: Path) -> None:
    store.remember(issued(1))
    store.close()
    assert store.add("aki-risk", [answer(1)], GIVEN) == Added(1, 0, (), (named(1),))
    assert store.add(SERVICE, [answer(1)], GIVEN) == Added(1, 0, (), ())
    assert len(rows(file)) == 2


def test_ch71_all_or_nothing(store: FeedbackStore, file: Path) -> None:
    store.add(SERVICE, [answer(1)], GIVEN)
    connection = sqlite3.connect(file)
    connection.execute(
        f"CREATE TRIGGER no BEFORE INSERT ON cds_feedback WHEN NEW.card = '{named(3)}' BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    connection.close()
    with pytest.raises(FatalError, match="cannot be used"):
        store.add(SERVICE, [answer(2), answer(3)], GIVEN)
    assert rows(file) == [(named(1), "overridden")]


def test_a_time_without_a_zone_is_not_kept(store: FeedbackStore, file: Path) -> None:
    with pytest.raises(FatalError):
        store.add(SERVICE, [answer(2)], GIVEN.replace(tzinfo=None))
    assert rows(file) == []


def test_what_was_acknowledged_outlives_kill_9(file: Path) -> None:
    with process(f"sqlite:///{file}", 1, 3, "die") as killed:
        assert killed.stdout is not None
        said = killed.stdout.read()
    assert killed.returncode == -9
    assert said == b"1\n2\n3\n"
    assert [card for card, _ in rows(file)] == [named(number) for number in (1, 2, 3)]


def test_each_commit_is_on_the_disk(store: FeedbackStore, file: Path) -> None:
    store.start()
    with store._database._engine_made().connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2}


def test_the_file_is_its_owner_s_alone(store: FeedbackStore, file: Path) -> None:
    store.add(SERVICE, [answer(1)], GIVEN)
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}


def test_eight_threads_and_four_processes_lose_nothing(file: Path) -> None:
    url, each = f"sqlite:///{file}", 8
    workers = [process(url, 1_000 * number, each) for number in (1, 2, 3, 4)]  # they race for the tables, too
    store = FeedbackStore(url, wait_seconds=30)

    def add(first: int) -> None:
        for number in range(first, first + each):
            store.add(SERVICE, [answer(number), answer(99)], GIVEN)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, [10_000 * number for number in range(1, 9)]))
    for worker in workers:
        with worker:
            worker.communicate(timeout=60)
        assert worker.returncode == 0
    store.close()
    wanted = {named(1_000 * first + number) for first in (1, 2, 3, 4, *range(10, 90, 10)) for number in range(each)}
    found = [card for card, _ in rows(file)]
    assert set(found) == wanted | {named(99)}
    assert len(found) == len(wanted) + 1


def test_a_forked_worker_has_connections_and_a_thread_of_its_own(store: FeedbackStore, file: Path) -> None:
    store.add(SERVICE, [answer(1)], GIVEN)
    store.remember(issued(1))
    database, remembering = store._database, store._remembering
    with database._lock, database._turn, remembering._lock:  # as if another thread held them when the fork came
        child = os.fork()
        if child == 0:
            status = 1
            try:
                store.remember(issued(2))
                store.add(SERVICE, [answer(2)], GIVEN)
                store.close()
                status = 0
            finally:
                os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    store.add(SERVICE, [answer(3)], GIVEN)
    store.close()
    assert [card for card, _ in rows(file)] == [named(number) for number in (1, 2, 3)]
    assert rows(file, "SELECT card FROM cds_issued ORDER BY card") == [(named(1),), (named(2),)]


def test_a_locked_database_is_a_temporary_error_and_nothing_is_kept(store: FeedbackStore, file: Path) -> None:
    store.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TemporaryError, match=r"locked, full or out of reach \(OperationalError SQLITE_BUSY\)"):
        store.add(SERVICE, [answer(1, comment="Mrs Miller is well")], GIVEN)
    other.rollback()
    other.close()
    assert rows(file) == []
    assert store.add(SERVICE, [answer(1)], GIVEN).stored == 1


def test_a_report_hinders_no_writer(store: FeedbackStore, file: Path) -> None:
    store.start()
    with store._database._engine_made().connect() as connection:
        reader = connection.execution_options(**{engines.READING: True})
        reader.exec_driver_sql("SELECT count(*) FROM cds_feedback").scalar()
        assert store.add(SERVICE, [answer(1)], GIVEN).stored == 1


def test_tables_of_a_newer_release_are_not_touched(store: FeedbackStore, file: Path) -> None:
    store.start()
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE cds_feedback_schema SET version = 2")
    connection.close()
    newer = FeedbackStore(f"sqlite:///{file}")
    with pytest.raises(FatalError, match=r"version 2, and this release knows them up to 1"):
        newer.add(SERVICE, [answer(1)], GIVEN)
    newer.close()
    assert rows(file) == []


@pytest.mark.parametrize(("url", "words"), [
    ("", "URL is none"),
    ("feedback.db", "URL is none"),
    ("sqlite://", "in memory keeps no feedback"),
    ("sqlite:///:memory:", "in memory keeps no feedback"),
    ("postgresql+pg8000://u:secret@h/d", "no such database, or its driver is not installed"),
    ("nosuchdatabase://u:secret@h/d", "no such database, or its driver is not installed"),
    ("postgresql+psycopg://u:secret@h:port/d", "URL is none"),
])  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(FatalError, match=words) as found:
        FeedbackStore(url)
    assert "secret" not in str(found.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "feedback.db"
    file.write_bytes(b"not a database at all" * 100)
    store = FeedbackStore(f"sqlite:///{file}")
    with pytest.raises(FatalError, match="cannot be used"):
        store.start()
    store.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = FeedbackStore(f"sqlite:///{tmp_path / 'file' / 'feedback.db'}")
    with pytest.raises(FatalError, match="cannot be made or written: File exists"):
        store.start()
    store.close()


def test_ch73_a_card_is_remembered_bit_for_bit(store: FeedbackStore, file: Path) -> None:
    card = issued(1)
    store.remember(card)
    store.close()
    assert rows(
        file,
        "SELECT card, service, hook_instance, patient, kind, model_version, model_sha256, level, probability, suggestions "
        "FROM cds_issued",
    ) == [
        (
            card.card, SERVICE, card.hook_instance, "Patient/p1", "risk", "1.0.0", "ab" * 32, "high", 0.1 + 0.2,
            f'["{named(800_001)}"]',
        )
    ]  # fmt: skip
    assert (store.waiting, store.lost) == (0, 0)


def test_a_card_that_was_written_after_all_is_written_once(store: FeedbackStore, file: Path) -> None:
    store._write_issued([issued(1)])  # its commit came through, and the connection broke before it said so
    store._write_issued([issued(1), issued(2)])
    assert rows(file, "SELECT card FROM cds_issued ORDER BY card") == [(named(1),), (named(2),)]


def test_cards_are_written_without_being_asked_to(store: FeedbackStore, file: Path) -> None:
    store.start()
    for number in range(1_200):
        store.remember(issued(number))
    end = time.monotonic() + 10
    while store.waiting and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.1)
    assert rows(file, "SELECT count(*) FROM cds_issued") == [(1_200,)]


def test_remembering_waits_for_nothing_and_overflow_is_counted_and_told(
    store: FeedbackStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FeedbackStore(f"sqlite:///{file}", wait_seconds=0.05, limit=50)
    store.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.WARNING):
        start = time.perf_counter()
        for number in range(80):
            store.remember(issued(number))
        took = time.perf_counter() - start
        store.close()
    other.rollback()
    other.close()
    assert took < 0.05
    assert store.lost == 80
    assert "80 cards were not remembered since the process began" in caplog.text
    assert "Patient/" not in caplog.text


def test_cards_wait_while_the_database_is_locked(store: FeedbackStore, file: Path) -> None:
    store.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.remember(issued(1))
    time.sleep(0.5)
    other.rollback()
    other.close()
    store.close()
    assert store.lost == 0
    assert rows(file, "SELECT card FROM cds_issued") == [(named(1),)]


def test_who_wants_to_know_is_told_how_many_wait_and_are_lost(file: Path) -> None:
    told: list[tuple[int, int]] = []
    store = FeedbackStore(
        f"sqlite:///{file}", wait_seconds=0.05, limit=3, notice=lambda waiting, lost: told.append((waiting, lost))
    )
    store.start()
    assert not store.failing
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in range(5):
        store.remember(issued(number))
    end = time.monotonic() + 5
    while not store.failing and time.monotonic() < end:
        time.sleep(0.01)
    assert store.failing
    other.rollback()
    other.close()
    store.close()
    assert not store.failing
    assert sum(lost for _, lost in told) == store.lost == 2
    assert (3, 1) in told
    assert told[-1] == (0, 0)


def test_a_database_that_is_back_is_no_longer_said_to_fail(store: FeedbackStore, file: Path) -> None:
    store.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TemporaryError):
        store.add(SERVICE, [answer(1)], GIVEN)
    assert store.failing
    other.rollback()
    other.close()
    store.add(SERVICE, [answer(1)], GIVEN)
    assert not store.failing


def test_cards_that_can_never_be_written_do_not_stop_the_others() -> None:
    written: list[str] = []
    before = set(threading.enumerate())  # of sidecars that other tests of this process made

    def write(cards: list[IssuedCard]) -> None:
        if cards[0].card == named(0):
            raise FatalError("no")
        written.extend(card.card for card in cards)

    remembering = Remembering(write, every=0.01)
    remembering.remember(issued(0))
    end = time.monotonic() + 5
    while not remembering.lost and time.monotonic() < end:
        time.sleep(0.01)
    remembering.remember(issued(1))
    remembering.close()
    remembering.remember(issued(2))  # after the end, a new thread
    remembering.close()
    assert remembering.lost == 1
    assert written == [named(1), named(2)]
    assert "remembers-cards" not in {thread.name for thread in set(threading.enumerate()) - before}


def test_no_comment_is_in_a_repr_a_log_or_an_error(
    store: FeedbackStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = answer(1, comment="Mrs Miller is well")
    with caplog.at_level(logging.DEBUG):
        store.add(SERVICE, [entry], GIVEN)
        connection = sqlite3.connect(file)
        with connection:
            connection.execute("DROP TABLE cds_feedback")
        connection.close()
        with pytest.raises(ScreeningError) as found:
            store.add(SERVICE, [entry], GIVEN)
    assert "Miller" not in f"{entry!r} {found.value} {caplog.text}"


def test_a_server_that_is_not_there_is_a_temporary_error() -> None:
    store = FeedbackStore("postgresql+psycopg://postgres:secret@127.0.0.1:9/postgres", wait_seconds=1)
    with pytest.raises(TemporaryError, match="out of reach") as found:
        store.add(SERVICE, [answer(1)], GIVEN)
    assert str(found.value).startswith("postgresql+psycopg://127.0.0.1:9/postgres: ")  # nor whose login it is
    assert "secret" not in str(found.value)
    store.close()


def test_many_cards_are_few_statements_and_none_of_them_is_long(store: FeedbackStore, file: Path) -> None:
    """sqlite3 lets go of the interpreter at each statement, and keeps each that differs in length."""
    store.start()
    engine = store._database._engine_made()
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    for first, cards in ((0, 120), (200, 130), (400, 1)):
        store._write_issued([issued(number) for number in range(first, first + cards)])
    inserts = [one for one in asked if one.startswith("INSERT INTO cds_issued")]
    assert len(inserts) == 3 + 3 + 1
    assert len(set(inserts)) == 1 + 2 + 1  # of 50 rows, 20, 30 and 1
    assert rows(file, "SELECT count(*) FROM cds_issued") == [(251,)]
