"""The training DAG by `dag.test()`: from CSV to a champion that screens, or to a refusal that leaves all as it was."""

import json
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.dags.conftest import NOW, ROOT, Screening

from screening.model.registry import champion

PLAN = ROOT / "include" / "training" / "sepsis.yaml"
QUICK: dict[str, Any] = {
    "folds": 3,
    "bootstrap": 100,
    "candidates": {"logistic_regression": {}, "xgboost": {"n_estimators": 30, "max_depth": 2}},
}
AIRFLOW = {"synthetic_patients": 700}


@dataclass
class Training:
    """Runs the training DAG with folders and a plan of its own, and reads what came of it."""

    folder: Path
    last: Any = field(default=None, init=False)

    def plan(self, **changes: Any) -> None:
        """Write the plan: the project's, made quick, with these changes."""
        whole = yaml.safe_load(PLAN.read_text()) | QUICK | changes
        (self.folder / "plans").mkdir(exist_ok=True)
        (self.folder / "plans" / "sepsis.yaml").write_text(yaml.safe_dump(whole))

    def run(self, **conf: Any) -> str:
        """Run the DAG as a person starts it; return its state."""
        from airflow.dag_processing.dagbag import DagBag

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dag = DagBag(str(ROOT / "dags")).dags["training_sepsis"]
            self.last = dag.test(logical_date=None, run_after=NOW, run_conf=AIRFLOW | conf)
        return str(getattr(self.last.state, "value", self.last.state))

    def states(self) -> dict[str, str]:
        """Task → state of the last run; of a mapped task, all states that occur."""
        found: dict[str, set[str]] = {}
        for ti in self.last.get_task_instances():
            found.setdefault(ti.task_id, set()).add(str(getattr(ti.state, "value", ti.state)))
        return {task: " ".join(sorted(states)) for task, states in found.items()}

    def champion(self) -> Any:
        """The model in force."""
        return champion(self.folder / "models", "sepsis")

    @property
    def reports(self) -> Path:
        """The folder of the last run."""
        from screening_airflow.run_files import safe

        return self.folder / "reports" / "training_sepsis" / safe(self.last.run_id)


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    """The DAG with an easy gate, and a registry whose champion is the demo model."""
    monkeypatch.setenv("SCREENING_STAGING", (tmp_path / "staging").as_uri())
    monkeypatch.setenv("SCREENING_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("SCREENING_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SCREENING_PLANS", str(tmp_path / "plans"))
    shutil.copytree(ROOT / "include" / "models", tmp_path / "models")
    made = Training(tmp_path)
    made.plan(gate={
        "min_positives": 5, "calibration_slope": [0.1, 9.0], "max_calibration_intercept": 5.0, "max_ece": 0.9,
        "max_auroc": 1.0, "max_auprc_loss": 1.0, "max_f1_loss": 1.0, "max_subgroup_loss": 1.0, "max_latency_ms": 10_000.0,
    })  # fmt: skip
    return made


def test_a_model_that_passes_screens_the_next_run(
    training: Training, screening: Screening, hospital: list[str]
) -> None:
    assert training.run() == "success"
    assert set(training.states().values()) == {"success"}
    made = training.champion()
    assert (made.version, made.synthetic) == ("1.1.0", True)
    assert made.manifest["gate"]["passed"]
    assert made.manifest["training_data"]["described"] == "synthetic hospital, 700 patients, seed 11"
    assert {path.name for path in (training.folder / "models" / "sepsis" / "1.1.0").iterdir()} == {
        "model.pkl", "manifest.json", "metrics.json", "model_card.md", "model_card.json",
    }  # fmt: skip
    assert "<svg" in (training.reports / "report.html").read_text()
    assert not list((training.folder / "staging").rglob("*.*"))  # rows of stays are gone at the end
    before = (training.folder / "models" / "sepsis" / "champion.json").read_bytes()

    assert training.run() == "success"  # the same data, the same bytes, the same version
    assert training.champion().version == "1.1.0"
    assert (training.folder / "models" / "sepsis" / "champion.json").read_bytes() == before

    assert screening.run(prediction_time=NOW.isoformat()) == "success"
    assert screening.summary["model"] == f"sepsis 1.1.0 (sha256 {made.sha256[:12]})"


def test_a_model_that_the_gate_refuses_changes_nothing(training: Training) -> None:
    training.plan()
    before = training.champion().sha256
    assert training.run(candidates=["xgboost"]) == "success"
    states = training.states()
    assert (states["gate"], states["approve"], states["publish"]) == ("success", "skipped", "skipped")
    assert training.champion().sha256 == before
    verdict = json.loads((training.reports / "refused_model" / "verdict.json").read_text())
    assert [rule for rule in verdict["rules"] if rule["verdict"] == "refused"]
    assert "Not promoted" in (training.reports / "report.md").read_text()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mimic_folder": "nowhere", "postgres_conn_id": "mimic"}, "give mimic_folder or postgres_conn_id, not both"),
        ({"mimic_folder": "nowhere"}, "Expected is the folder that has hosp and icu in it; this one does not exist"),
        ({"postgres_conn_id": "nowhere"}, "there is no connection nowhere: make one of type postgres"),
        ({"allow_tyni": True}, "unknown param allow_tyni: mend its spelling or leave it out"),
        ({"schema": "none.yaml"}, "no such file"),
        ({"after_intime": "1m", "seed": 7, "synthetic_patients": 200}, None),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(
    training: Training, params: dict[str, Any], words: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused by the first task, or, where nobody has data a minute after the stay began, by the first that can know."""
    assert training.run(**params) == "failed"
    failed = [task for task, state in training.states().items() if state == "failed"]
    assert failed == (["locate"] if words else ["featurize"])
    assert training.champion().version == "1.0.0"


def test_the_demo_of_real_patients_is_refused_and_passes_only_as_tiny(training: Training, real_data: Path) -> None:
    training.plan()
    folder = str(real_data / "mimic-iv-demo-2.2")
    assert training.run(mimic_folder=folder) == "success"
    assert training.champion().version == "1.0.0"
    report = (training.reports / "report.md").read_text()
    assert "| ICU stays | 140 | 100 | 26 |" in report
    assert training.run(mimic_folder=folder, allow_tiny=True) == "success"
    made = training.champion()
    assert (made.version, made.tiny, made.synthetic) == ("1.1.0", True, False)
    assert "no evidence" in (training.folder / "models" / "sepsis" / "1.1.0" / "model_card.md").read_text()
