"""What the operators of training refuse and leave behind; the whole DAG runs in test_training_dag.py."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from screening.training import staged
from screening.training.plan import load_plan
from screening_airflow import dag_factory, run_files, training_factory
from screening_airflow.approval import ApproveModelOperator, approver, refuse_unapproved
from screening_airflow.training_operators import (
    FitCandidateOperator,
    LocateTablesOperator,
    PublishModelOperator,
    RemoveTrainingFilesOperator,
)

ROOT = Path(__file__).resolve().parents[2]
RUN = {"dag_id": "training_sepsis", "run_id": "manual__1"}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Schemas, plans, staging and reports of its own."""
    shutil.copytree(ROOT / "include" / "schemas", tmp_path / "schemas")
    shutil.copytree(ROOT / "include" / "training", tmp_path / "plans")
    for name in ("schemas", "plans", "reports"):
        monkeypatch.setenv(f"SCREENING_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("SCREENING_STAGING", (tmp_path / "staging").as_uri())
    return tmp_path


def context(xcoms: dict[str, Any] | None = None, **params: Any) -> Any:
    """What Airflow gives a task, as far as the operators ask."""
    plan = load_plan(ROOT / "include" / "training" / "sepsis.yaml")
    asked = {name: param.value for name, param in training_factory.params(plan).items()} | params
    ti = SimpleNamespace(xcom_pull=lambda task_ids, key="return_value": (xcoms or {}).get((task_ids, key)))
    return {"params": asked, "run_id": RUN["run_id"], "ti": ti}


def fit() -> FitCandidateOperator:
    """A task in its DAG, which the operators ask for its id."""
    from airflow.sdk import DAG

    with DAG(RUN["dag_id"], schedule=None):
        return FitCandidateOperator(task_id="fit", plan="sepsis.yaml", candidate="xgboost")


@pytest.mark.parametrize(("kind", "change"), [("plans", {"folds": 7}), ("schemas", {"min_observed": 2})])
def test_a_plan_or_schema_that_changed_meanwhile_stops_the_run(
    folders: Path, kind: str, change: dict[str, int]
) -> None:
    job = fit().job(context())
    begun = {"schema": job.schema.fingerprint(), "plan": job.plan.fingerprint()}
    staged.save_json(job.folder, "begun_with", begun)  # as the stage `cohort` does
    with pytest.raises(AirflowFailException, match=r"training_rows\.parquet of this run is missing"):
        fit().execute(context())  # the same plan and schema: it goes on
    path = folders / kind / "sepsis.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(AirflowFailException, match=f"the {kind[:-1]} changed since the run began: train again"):
        fit().execute(context())


def test_a_candidate_that_left_the_plan_meanwhile_is_said(folders: Path) -> None:
    """Its task was mapped when the run began; the plan is read anew by each task."""
    path = folders / "plans" / "sepsis.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"candidates": {"logistic_regression": {}}}))
    with pytest.raises(AirflowFailException, match="the plan has no candidate xgboost any more"):
        fit().execute(context(candidates=["logistic_regression"]))


def test_a_schema_of_another_model_is_refused(folders: Path) -> None:
    """Its model would be published, and the asset of this one would tell of it."""
    schema = yaml.safe_load((folders / "schemas" / "sepsis.yaml").read_text()) | {"model": "shock"}
    (folders / "schemas" / "shock.yaml").write_text(yaml.safe_dump(schema))
    asked = context(schema="shock.yaml")
    dag = training_factory.training_dags()["training_sepsis"]
    locate = dag.get_task("locate")
    assert isinstance(locate, LocateTablesOperator)
    with pytest.raises(
        AirflowFailException, match="is of model shock, and this DAG trains sepsis: give that model a plan"
    ):
        locate.execute(asked)


APPROVED = {"chosen_options": ["Approve"], "responded_by_user": {"id": "7", "name": "Ada"}}


@pytest.mark.parametrize(
    ("answer", "who"),
    [
        (APPROVED, "Ada"),
        (APPROVED | {"responded_by_user": {"id": "7", "name": ""}}, "7"),
        (APPROVED | {"responded_by_user": None}, "unknown"),
        (None, None),
    ],
)
def test_who_approved_is_told(answer: Any, who: str | None) -> None:
    refuse_unapproved(answer, wanted=answer is not None)
    assert approver(answer) == who


@pytest.mark.parametrize("answer", [None, APPROVED | {"chosen_options": ["Reject"]}, APPROVED | {"chosen_options": []}])
def test_what_nobody_approved_is_not_published(folders: Path, answer: Any) -> None:
    """As where the task was marked a success by hand, or publish alone was cleared after a rejection."""
    task = training_factory.training_dags()["training_sepsis"].get_task("publish")
    assert isinstance(task, PublishModelOperator)
    with pytest.raises(AirflowFailException, match="wants an approval and has none: nothing is published"):
        task.execute(context({("approve", "return_value"): answer}, approval=True))


def test_a_refusal_is_told_where_the_run_stops() -> None:
    verdict = {"accepted": False, "reasons": ["positives: 3, 20 needed"], "report": "/reports/run/report.html"}
    with pytest.raises(
        AirflowSkipException, match=r"/reports/run/report\.html has the figures:\npositives: 3, 20 needed"
    ):
        ApproveModelOperator(task_id="approve").execute(context({("gate", "return_value"): verdict}))


def test_another_verdict_is_not_approved_under_the_first_question(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow shows the first text of a run for good; the same text may be asked again, as after a kill."""
    from airflow.sdk import DAG

    told: list[str] = []
    monkeypatch.setattr(HITLOperator, "execute", lambda task, _: told.append(task.body))
    asked = context({("gate", "return_value"): {"accepted": True}}, approval=True)
    with DAG(RUN["dag_id"], schedule=None):
        task = ApproveModelOperator(task_id="approve")
    assert task.execute(context({("gate", "return_value"): {"accepted": True}}, approval=False)) is None
    for body in ("AUROC 0.81", "AUROC 0.81"):
        task.body = body
        task.execute(asked)
    task.body = "AUROC 0.79"
    with pytest.raises(AirflowFailException, match=r"an earlier verdict of the gate.*start a new run"):
        task.execute(asked)
    assert told == ["AUROC 0.81", "AUROC 0.81"]


def test_nothing_of_the_stays_is_left_and_the_report_is(folders: Path) -> None:
    from airflow.sdk import DAG

    reports = run_files.reports(**RUN)
    for path in (reports / "invented_mimic" / "icu", folders / "staging" / "training_sepsis" / "manual__1"):
        path.mkdir(parents=True)
        (path / "rows").write_text("rows")
    (reports / "report.html").write_text("report")
    with DAG(RUN["dag_id"], schedule=None):
        task = RemoveTrainingFilesOperator(task_id="remove_staging")
    for _ in range(2):  # a repeat finds nothing
        task.execute(context())
    left = [path.name for path in folders.rglob("*") if path.is_file() and path.suffix != ".yaml"]
    assert left == ["report.html"]


def test_every_param_of_the_forms_is_told_in_plain_words() -> None:
    """The form shows a description as it is written, Markdown and all."""
    plan = load_plan(ROOT / "include" / "training" / "sepsis.yaml")
    for name, param in (training_factory.params(plan) | dag_factory.params()).items():
        assert param.schema["title"], name
        assert param.description, name
        assert not set("`*[") & set(param.description), name
