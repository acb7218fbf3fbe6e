"""What several processes of one sidecar share: used tokens, figures and feedback."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.charts import ROOT, SICK, WELL, chart
from tests.unit.cds_hooks.bearer.issuer import BASE, ISS, NOW, OURS, bearer, claims
from tests.unit.cds_hooks.sidecars import SCHEMA_FILE, SERVICE, asked, published
from tests.unit.feedback.cards import named, rows

REPLAYS, NAME, SEEN = 20, "MARKERNAME", "Patient/p"


def figures(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)}


@dataclass
class Run:
    """What became of the calls, process by process, and what `/metrics` said at the end."""

    answers: list[list[list[Any]]]
    text: str
    state: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two processes: one token in twenty calls at once, then fresh ones for all kinds of answers."""
    folder = tmp_path_factory.mktemp("processes")
    published(folder / "models", "1")
    (folder / "keys.json").write_bytes(OURS)
    (folder / "ehrs.yaml").write_text(f"ehrs:\n  - {{iss: {ISS}, jwks: keys.json}}\n")
    given = {
        "auth": "required", "ehrs": str(folder / "ehrs.yaml"), "base_url": BASE, "state": str(folder / "state"),
        "models": str(folder / "models"), "schemas": str(SCHEMA_FILE), "at": NOW, "prediction_time": "latest",
    }  # fmt: skip

    def fresh(path: str = SERVICE) -> dict[str, str]:
        return {"Authorization": bearer(claims(aud=BASE + path))}

    one = fresh()
    sick = asked(chart("p", SICK, name=[{"family": NAME}]))
    feedback = {"card": named(1), "outcome": "overridden", "outcomeTimestamp": "2026-03-01T10:00:00Z"}
    told = {"feedback": [feedback | {"overrideReason": {"userComment": NAME}}]}
    mine = [
        *[(SERVICE, one, sick)] * (REPLAYS // 2),
        (SERVICE, fresh(), asked(chart("p", WELL))),
        (SERVICE, fresh(), asked(chart("p", {}))),
        (SERVICE, fresh(), sick),
        (SERVICE, {}, sick),
        (f"{SERVICE}/feedback", fresh(f"{SERVICE}/feedback"), told),
        *((f"/cds-services/made-up-{n}", fresh(f"/cds-services/made-up-{n}"), sick) for n in range(5)),
        *((f"/cds-services/made-up-{n}/feedback", {}, told) for n in range(5)),
    ]
    theirs = [(path, fresh(path) if head and head is not one else head, body) for path, head, body in mine]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("sidecar_processes.py")], input=json.dumps([given, [mine, theirs]]),
        capture_output=True, text=True, check=True, timeout=120,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"},
    )  # fmt: skip
    assert NAME not in done.stderr
    assert one["Authorization"].removeprefix("Bearer ") not in done.stderr
    first, second, text = done.stdout.split("\n", 2)
    return Run([json.loads(first), json.loads(second)], text, folder / "state")


def test_ch67_of_twenty_replays_at_once_in_two_processes_one_is_answered(run: Run) -> None:
    found = Counter(status for answers in run.answers for status, _ in answers[: REPLAYS // 2])
    assert found == {200: 1, 401: REPLAYS - 1}


def test_the_other_calls_were_answered(run: Run) -> None:
    for answers in run.answers:
        rest = answers[REPLAYS // 2 :]
        assert [status for status, _ in rest] == [200, 200, 200, 401, 200, *[404] * 5, *[401] * 5]
        assert rest[0][1] == {"cards": []}


def test_the_figures_of_all_processes_are_added_up_and_right(run: Run) -> None:
    found = figures(run.text)
    calls = {name: value for name, value in found.items() if name.startswith("cds_hooks_calls_total")}
    # Refused ones of a service count; of services that there are not, nothing.
    assert calls == {
        'cds_hooks_calls_total{service="sepsis-risk",status="200"}': 1 + 2 * 4,
        'cds_hooks_calls_total{service="sepsis-risk",status="401"}': REPLAYS - 1 + 2,
    }
    answers = {name: value for name, value in found.items() if name.startswith("cds_hooks_answers_total")}
    assert {tuple(sorted(re.findall(r'(\w+)="([^"]*)"', name))): value for name, value in answers.items()} == {
        labels(kind="risk", level="high"): 3,
        labels(kind="low", level="low"): 2,
        labels(kind="not_computed", level=""): 2,
    }
    assert found['cds_hooks_feedback_total{outcome="overridden",service="sepsis-risk"}'] == 2
    assert found['cds_hooks_call_seconds_count{service="sepsis-risk"}'] == sum(calls.values())


def labels(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(({"service": "sepsis-risk", "model_version": "1"} | more).items()))


def test_no_figure_tells_of_a_patient_or_of_what_strangers_made_up(run: Run) -> None:
    for word in (NAME, SEEN, "made-up", "Practitioner", "d1577c69", ISS):
        assert word not in run.text
    assert len({name.partition("{")[0] for name in figures(run.text)}) < 20
    assert len(figures(run.text)) < 40


def test_feedback_of_both_processes_is_kept_once(run: Run) -> None:
    assert rows(run.state / "feedback.db") == [(named(1), "overridden")]
    issued = rows(run.state / "feedback.db", "SELECT kind FROM cds_issued ORDER BY kind")
    assert issued == [("not_computed",)] * 2 + [("risk",)] * 3
