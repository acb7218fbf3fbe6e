"""The store of used tokens: once means once, for all threads and processes, whatever happens to one of them."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from cds_hooks.bearer import CannotVerify
from cds_hooks.bearer import used_tokens as module
from cds_hooks.bearer.used_tokens import UsedTokens

PLUGINS = str(Path(__file__).resolve().parents[4] / "plugins")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder?" / "used tokens#1.db"


@pytest.fixture
def store(path: Path) -> Iterator[UsedTokens]:
    found = UsedTokens(path)
    yield found
    found.close()


def rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM used").fetchone()[0])
    finally:
        connection.close()


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    head = "import os, sys\nfrom pathlib import Path\nfrom cds_hooks.bearer.used_tokens import UsedTokens\n"
    return subprocess.run(
        [sys.executable, "-c", head + script, str(path)],
        capture_output=True, text=True, timeout=60, env={"PYTHONPATH": PLUGINS}, check=False,
    )  # fmt: skip


def test_ch67_a_pair_of_iss_and_jti_is_used_once(store: UsedTokens) -> None:
    pairs = [("a", "b"), ("a", "B"), ("A", "b"), ("ab", ""), ("", "ab"), ("a", "b "), ("ä", "b")]
    assert [store.use(iss, jti, until=10, now=0) for iss, jti in pairs] == [True] * len(pairs)
    assert [store.use(iss, jti, until=10, now=0) for iss, jti in pairs] == [False] * len(pairs)


def test_ch67_a_row_stands_until_its_token_has_expired(store: UsedTokens) -> None:
    assert store.use("iss", "jti", until=10, now=0)
    assert not store.use("iss", "jti", until=20, now=10)
    assert store.use("iss", "jti", until=20, now=10.1)
    assert not store.use("iss", "jti", until=30, now=20)


def test_ch67_threads_share_what_was_used(store: UsedTokens) -> None:
    def use(at: int) -> bool:
        # A disk that stalls for a second makes a call a 503, which records nothing: its client asks again.
        for _ in range(30):
            with suppress(CannotVerify):
                return store.use("iss", f"jti-{at % 50}", until=10, now=0)
        raise AssertionError("never recorded")

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(use, range(1000)))
    assert sum(first) == 50


def test_ch67_another_store_on_the_same_file_knows(store: UsedTokens, path: Path) -> None:
    assert store.use("iss", "jti", until=10, now=0)
    other = UsedTokens(path)
    assert not other.use("iss", "jti", until=10, now=0)
    other.close()


def test_ch67_what_a_killed_worker_recorded_stays(store: UsedTokens, path: Path) -> None:
    done = run(
        "store = UsedTokens(Path(sys.argv[1]))\nprint(store.use('iss', 'jti', until=10, now=0), flush=True)\n"
        "os.kill(os.getpid(), 9)",
        path,
    )
    assert (done.returncode, done.stdout) == (-9, "True\n")
    assert not store.use("iss", "jti", until=10, now=0)


def test_ch67_a_store_goes_on_after_a_fork(path: Path) -> None:
    done = run(
        "store = UsedTokens(Path(sys.argv[1]))\nstore.use('iss', 'parent', until=10, now=0)\n"
        "first = os.fork()\n"
        "mine = 'parent' if first else 'child'\n"
        "told = [store.use('iss', jti, until=10, now=0) for jti in ('parent', mine + '2', 'both')]\n"
        "if not first:\n    os._exit(10 * told[0] + told[1] + 2 * told[2])\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])\n"
        "print(status in (1, 3), told[:2], told[2] + (status == 3))\nstore.close()",
        path,
    )
    assert (done.stdout, done.stderr) == ("True [False, True] 1\n", "")
    assert rows(path) == 4


def test_ch67_a_child_of_a_fork_does_not_wait_for_its_parent_s_threads(path: Path) -> None:
    done = run(
        "store = UsedTokens(Path(sys.argv[1]))\nstore._lock.acquire()\nchild = os.fork()\n"
        "if not child:\n    os._exit(0 if store.use('iss', 'jti', until=10, now=0) else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))",
        path,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_expired_rows_are_deleted_as_others_come(store: UsedTokens, path: Path) -> None:
    for number in range(1000):
        assert store.use("iss", f"jti-{number}", until=number + 100, now=number)
    assert 100 <= rows(path) <= 100 + 64
    assert not store.use("iss", "jti-950", until=2000, now=1000)


def test_a_locked_file_lets_nobody_in(store: UsedTokens, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CannotVerify) as caught:
        store.use("iss", "jti", until=10, now=0)
    assert "locked" in caught.value.reason
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(store.use, "iss", "jti", until=10, now=0) for _ in range(4)]
    assert [type(end.exception()) for end in ends] == [CannotVerify] * 4
    other.execute("ROLLBACK")
    other.close()
    assert store.use("iss", "jti", until=10, now=0)


def test_a_full_disk_lets_nobody_in(store: UsedTokens, path: Path) -> None:
    assert store.use("iss", "jti", until=10, now=0)
    connection = store._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")
    with ThreadPoolExecutor(1) as pool:
        ends = [pool.submit(store.use, "iss", f"{number}-{'x' * 200}", until=10, now=0) for number in range(100)]
    refused = [error.reason for end in ends if isinstance(error := end.exception(), CannotVerify)]
    assert refused
    assert all("full" in reason for reason in refused)
    assert rows(path) == 1 + len(ends) - len(refused)


def test_a_file_that_was_removed_or_replaced_lets_nobody_in(store: UsedTokens, path: Path) -> None:
    assert store.use("iss", "jti", until=10, now=0)
    content = path.read_bytes()
    path.rename(path.with_name("away.db"))
    with pytest.raises(CannotVerify, match="verified at the moment"):
        store.use("iss", "jti", until=10, now=0)
    assert not path.exists()
    path.write_bytes(content)
    with pytest.raises(CannotVerify) as caught:
        store.use("iss", "jti", until=10, now=0)
    assert "replaced; restart the sidecar" in caught.value.reason
    path.unlink()
    path.with_name("away.db").rename(path)


def test_a_broken_file_is_refused_at_the_start(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        UsedTokens(path)


def test_several_workers_may_make_the_file_at_once(path: Path) -> None:
    barrier = threading.Barrier(8)

    def make(_: int) -> UsedTokens:
        barrier.wait(10)
        return UsedTokens(path)

    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(make, range(8)))
    assert [store.use("iss", "jti", until=10, now=0) for store in stores] == [True] + [False] * 7
    for store in stores:
        store.close()


def test_ch67_the_file_and_sqlite_s_own_beside_it_are_their_owner_s_alone(store: UsedTokens, path: Path) -> None:
    assert store.use("iss", "jti", until=10, now=0)
    modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert modes == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)
