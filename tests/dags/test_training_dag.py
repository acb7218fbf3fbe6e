"""The training DAG from CSV to a published or refused model, in this process."""

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from screening.model.registry import champion
from tests.dags.conftest import NOW, ROOT

QUICK = {"synthetic_patients": 900, "candidates": ["logistic_regression", "xgboost"]}


@dataclass
class Training:
    """Runs the training DAG with folders of its own, and reads what came of it."""

    folder: Path
    last: Any = field(default=None, init=False)

    def run(self, **conf: Any) -> str:
        """Run the DAG as a person starts it; return its state."""
        from airflow.dag_processing.dagbag import DagBag

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dag = DagBag(str(ROOT / "dags")).dags["training_sepsis"]
            self.last = dag.test(logical_date=None, run_after=NOW, run_conf=QUICK | conf)
        return str(getattr(self.last.state, "value", self.last.state))

    def states(self) -> dict[str, str]:
        """Task → state, of the last run; a mapped task's states joined."""
        found: dict[str, list[str]] = {}
        for ti in self.last.get_task_instances():
            found.setdefault(ti.task_id, []).append(str(getattr(ti.state, "value", ti.state)))
        return {task: " ".join(sorted(set(states))) for task, states in found.items()}

    @property
    def models(self) -> Path:
        """The registry."""
        return self.folder / "models"

    @property
    def reports(self) -> Path:
        """The folder of the last run."""
        from screening_airflow.run_files import safe

        return self.folder / "reports" / "training_sepsis" / safe(self.last.run_id)


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    monkeypatch.setenv("SCREENING_STAGING", (tmp_path / "staging").as_uri())
    monkeypatch.setenv("SCREENING_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("SCREENING_MODELS", str(tmp_path / "models"))
    return Training(tmp_path)


def test_from_nothing_to_a_champion(training: Training) -> None:
    assert training.run(gate_off=None) == "failed" if False else training.run() == "success"
    states = training.states()
    print(states)
    print(json.dumps(sorted(str(p.relative_to(training.folder)) for p in training.folder.rglob("*") if p.is_file()), indent=0))
    print(champion(training.models, "sepsis"))
