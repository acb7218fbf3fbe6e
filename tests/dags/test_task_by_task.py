"""A run task by task: what an earlier attempt reported is not what this one did, and what changed meanwhile is seen."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from tests.dags.conftest import NOW, Screening

from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer
from screening.errors import TemporaryError
from screening_airflow import operators, run_files, run_operators
from screening_airflow.dag_factory import params

STAGES = ("FetchPatientsOperator", "FeaturizeOperator", "PredictOperator", "WriteRiskAssessmentsOperator")


class Run:
    """One run of the DAG, task by task, as Airflow's scheduler would have it."""

    def __init__(self, **conf: Any) -> None:
        self.batches: list[dict[str, Any]] = []
        dag_run = SimpleNamespace(run_type="manual", run_after=NOW, data_interval_end=None, start_date=NOW)
        whole = {name: param.value for name, param in params().items()} | conf
        ti = SimpleNamespace(try_number=1, max_tries=2, xcom_pull=lambda task_ids: self.batches or None)
        self.context: Any = {"params": whole, "dag_run": dag_run, "run_id": "r", "ti": ti}

    def cohort(self) -> None:
        with DAG("screening_sepsis", schedule=None, params=params()):
            task = run_operators.CohortOperator(task_id="cohort", schema="sepsis.yaml")
        self.batches = []
        self.batches = task.execute(self.context)

    def stage(self, name: str, number: int) -> None:
        with DAG("screening_sepsis", schedule=None, params=params()):
            task = getattr(operators, name)(task_id="stage", schema="sepsis.yaml", batch=self.batches[number])
        task.execute(self.context)

    def summarize(self) -> dict[str, Any]:
        with DAG("screening_sepsis", schedule=None, params=params()):
            task = run_operators.SummarizeOperator(task_id="summarize", schema="sepsis.yaml")
        return task.execute(self.context)

    def remove_staging(self) -> None:
        with DAG("screening_sepsis", schedule=None, params=params()):
            run_operators.RemoveStagingOperator(task_id="remove_staging").execute(self.context)


@pytest.fixture
def run(screening: Screening, hospital: list[str]) -> Run:
    """A run of two batches that went well to its end."""
    made = Run(batch_size=6)
    made.cohort()
    for number in range(len(made.batches)):
        for stage in STAGES:
            made.stage(stage, number)
    assert made.summarize()["outcomes"]["failed"] == 0
    made.remove_staging()
    return made


@pytest.mark.parametrize("stage", STAGES)
def test_a_batch_that_fails_when_cleared_counts_its_patients_as_failed(
    run: Run, stage: str, server: SandboxServer
) -> None:
    server.faults = Faults(rules=(Rule(Match(path_regex="."), action="drop"),))
    with pytest.raises((AirflowFailException, TemporaryError)):
        run.stage(stage, 0)
    with pytest.raises(AirflowFailException, match=f"^{len(run.batches[0]['patient_ids'])} of .* patients failed"):
        run.summarize()


def test_a_run_cleared_from_its_first_task_on_starts_with_no_results(run: Run, server: SandboxServer) -> None:
    folder = run_files.reports("screening_sepsis", "r")
    assert {"summary.json", "summary.md", "batch-0001.json"} <= {path.name for path in folder.iterdir()}
    server.faults = Faults(rules=(Rule(Match(path_regex="."), action="drop"),))
    with pytest.raises(TemporaryError):
        run.cohort()
    assert list(folder.iterdir()) == []
    with pytest.raises(AirflowFailException, match="nobody was screened"):
        run.summarize()


def test_a_run_cleared_and_run_again_finds_all_as_it_was(run: Run, server: SandboxServer) -> None:
    versions = server.store.versions()
    run.cohort()
    for number in range(len(run.batches)):
        for stage in STAGES:
            run.stage(stage, number)
    assert list(run.summarize()["writes"]) == ["unchanged"]
    assert server.store.versions() == versions


def test_results_of_another_time_are_not_this_run_s(run: Run) -> None:
    run.batches[0]["prediction_time"] = "2026-02-01T02:00:00+00:00"
    with pytest.raises(AirflowFailException, match=f"^{len(run.batches[0]['patient_ids'])} of .* patients failed"):
        run.summarize()


def test_a_model_that_changed_during_the_run_scores_nobody(run: Run) -> None:
    run.stage("FetchPatientsOperator", 0)
    run.stage("FeaturizeOperator", 0)
    run.batches[0]["model"] = run.batches[0]["model"] | {"sha256": "0" * 64}
    with pytest.raises(AirflowFailException, match="changed during the run: clear the run from cohort on"):
        run.stage("PredictOperator", 0)


@pytest.mark.parametrize("stage", ["FetchPatientsOperator", "WriteRiskAssessmentsOperator"])
def test_a_patient_that_keeps_failing_is_given_up_on_at_the_last_try_alone(
    run: Run, stage: str, server: SandboxServer
) -> None:
    before = STAGES[: STAGES.index(stage)]
    for name in before:
        run.stage(name, 0)
    poor = run.batches[0]["patient_ids"][0]
    what = f"Observation.*{poor}" if stage == "FetchPatientsOperator" else "RiskAssessment"
    server.faults = Faults(rules=(
        Rule(Match(path_regex=what, entry=True), status=503), Rule(Match(path_regex=f"^/{what}"), status=503),
    ))  # fmt: skip
    for run.context["ti"].try_number in (1, 2):
        with pytest.raises(TemporaryError):
            run.stage(stage, 0)
    run.context["ti"].try_number = 3  # max_tries counts the retries
    run.stage(stage, 0)


def test_more_batches_than_airflow_maps_over_are_made_larger(
    run: Run, monkeypatch: pytest.MonkeyPatch, hospital: list[str]
) -> None:
    everybody = sorted(one for batch in run.batches for one in batch["patient_ids"])
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    run.context["params"]["batch_size"] = 1
    run.cohort()
    assert len(run.batches) == 3
    assert sorted(one for batch in run.batches for one in batch["patient_ids"]) == everybody
