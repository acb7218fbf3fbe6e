"""CH-83: that feedback cannot be kept is told at /health and in the figures, while services go on to be ready."""

import os
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from tests.unit.cds_hooks.sidecars import close
from tests.unit.feedback.cards import issued

from cds_hooks import app as module
from cds_hooks.health import MANY_WAITING, feedback_warnings
from cds_hooks.settings import Settings
from cds_hooks.sidecar import EXTENSION, Sidecar
from screening.feedback.store import FeedbackStore

ROOT = Path(__file__).resolve().parents[3]


def test_ch83_health_and_figures_tell_of_cards_that_wait_or_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FeedbackStore", partial(FeedbackStore, wait_seconds=0.05, limit=3))
    app = module.create_app(Settings(auth="off", state=tmp_path))
    client, parts = app.test_client(), app.extensions[EXTENSION]
    assert isinstance(parts, Sidecar)
    assert "warnings" not in client.get("/health").json
    other = sqlite3.connect(tmp_path / "feedback.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in range(5):
        parts.feedback.remember(issued(number))
    end = time.monotonic() + 5
    while not parts.feedback.failing and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert answer.json["warnings"] == [
        "the feedback database cannot be used: calls of feedback are refused, and 3 cards wait to be remembered",
        "2 cards were not remembered: feedback on them counts as of unknown cards",
    ]
    figures = client.get("/metrics").text
    assert "cds_hooks_cards_not_remembered_total 2.0" in figures
    assert "cds_hooks_cards_waiting 3.0" in figures
    assert "Patient/" not in figures + answer.text
    other.rollback()
    other.close()
    parts.feedback.close()
    assert client.get("/health").json["warnings"] == [
        "2 cards were not remembered: feedback on them counts as of unknown cards"
    ]
    assert "cds_hooks_cards_waiting 0.0" in client.get("/metrics").text
    close(app)


@pytest.mark.parametrize(("failing", "waiting", "lost", "words"), [
    (False, 0, 0, []), (False, MANY_WAITING, 0, []), (False, MANY_WAITING + 1, 0, ["is slow"]),
    (True, MANY_WAITING + 1, 0, ["cannot be used"]), (False, 0, 1, ["1 cards were not remembered"]),
])  # fmt: skip
def test_ch83_what_is_told_of_feedback(failing: bool, waiting: int, lost: int, words: list[str]) -> None:
    told = feedback_warnings(failing=failing, waiting=waiting, lost=lost)
    assert len(told) == len(words)
    assert all(word in sentence for word, sentence in zip(words, told, strict=True))


WORKERS = """
import os, sys
from pathlib import Path
from cds_hooks.metrics import Metrics
from prometheus_client.multiprocess import mark_process_dead
metrics = Metrics(Path(sys.argv[1]))
children = []
for waiting, lost in ((3, 1), (4, 2)):
    child = os.fork()
    if not child:
        metrics.remembered(waiting, lost)
        os._exit(0)
    children.append(child)
    os.waitpid(child, 0)
mark_process_dead(children[0])
print(metrics.lost(), "cds_hooks_cards_waiting 4.0" in metrics.text().decode())
"""


def test_ch83_the_losses_of_all_workers_are_told_and_the_dead_wait_for_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins"), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WORKERS, str(tmp_path)], env=environment, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["3", "True"]
