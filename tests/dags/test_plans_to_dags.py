"""A training DAG for each training YAML; one that cannot be used says so in its page and its run, and stops no other."""

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.dags.conftest import ROOT

from screening_airflow.training_factory import training_dags

SEPSIS = (ROOT / "include" / "training" / "sepsis.yaml").read_text(encoding="utf-8")


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of plans."""
    monkeypatch.setenv("SCREENING_PLANS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (SEPSIS.replace("folds: 5", "fold: 5"), "fold: unknown key"),
        ("candidates: [", "not readable as YAML"),
        (SEPSIS.replace("R652", "R65.2"), "MIMIC writes ICD codes without dots"),
        (SEPSIS.replace("schema: sepsis.yaml", "schema: none.yaml"), "no such file"),
        (SEPSIS, "another plan trains sepsis too; each needs its own"),
    ],
)
def test_a_plan_that_cannot_be_used_fails_when_it_runs_and_stops_no_other(plans: Path, broken: str, words: str) -> None:
    (plans / "a.yaml").write_text(SEPSIS)
    (plans / "broken.yaml").write_text(broken)
    dags = training_dags()
    assert sorted(dags) == ["training_broken", "training_sepsis"]
    assert len(dags["training_sepsis"].tasks) == 10
    refused = dags["training_broken"]
    (task,) = refused.tasks
    with pytest.raises(AirflowFailException) as caught:
        task.execute({})
    assert words in str(caught.value)
    assert words in (refused.doc_md or "")


def test_a_refused_plan_does_not_take_another_s_name(plans: Path) -> None:
    (plans / "a.yaml").write_text(SEPSIS)
    (plans / "sepsis.yaml").write_text("seed: 1")
    assert sorted(training_dags()) == ["training_sepsis", "training_sepsis_refused"]
