"""The operators of training: what a run was asked for, one call into the library, a return value of counts and figures.

Rows of stays go from task to task by files in the run's staging; XCom holds counts, figures and the names of files.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from screening.errors import FatalError
from screening_airflow import run_files
from screening_airflow.approval import approver, refuse_unapproved
from screening_airflow.mimic_source import chosen_source, invented_folder, opened
from screening_airflow.operators import fatal_fails, refuse_unknown_params, schema_named
from screening_airflow.run_operators import RemoveStagingOperator
from screening_airflow.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from screening.training.run import Job
    from screening.training.source import Source


class TrainingOperator(BaseOperator):
    """
    One stage of a training run.

    :param plan: file name of the training YAML in the plans folder.
    """

    def __init__(self, *, plan: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def job(self, context: Context) -> Job:
        """
        Return what this run trains: the plan with the run's params in place of its values.

        Plan and schema are read anew in each task; the stages refuse to go on where one changed since the run began.
        """
        from screening.training.plan import load_plan
        from screening.training.run import Job

        params = context["params"]
        plan = load_plan(
            settings().plans / self.plan,
            schema=params["schema"],
            prediction={"after_intime": params["after_intime"]},
            seed=params["seed"],
            candidates=params["candidates"],
        )
        return Job(schema_named(plan.schema_file), plan, run_files.staging(self.dag_id, context["run_id"]))

    @staticmethod
    def source(context: Context) -> Source:
        """Return where the run's data lie, as `LocateTablesOperator` found it."""
        from screening.training.source import Source

        return Source(**context["ti"].xcom_pull(task_ids="locate", key="source"))


class LocateTablesOperator(TrainingOperator):
    """
    Settle where the data lie, and refuse what would fail hours later: the plan, the schema, a missing table or column.

    :param model: the model that this DAG trains; a schema of another model is refused.
    """

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> list[str]:
        """Return the candidates, to be mapped over; the source goes into an XCom of its own."""
        from screening.training import run

        with fatal_fails():
            refuse_unknown_params(self, context)
            job = self.job(context)
            if job.name != self.model:
                raise FatalError(
                    f"schema {job.plan.schema_file} is of model {job.name}, and this DAG trains {self.model}: give that "
                    "model a plan of its own in the plans folder"
                )
            source = chosen_source(context["params"], self.dag_id, context["run_id"])
            with opened(source, self.log) as tables:
                run.locate(job, tables, source.described)
        context["ti"].xcom_push(key="source", value=source._asdict())
        return list(job.plan.candidates)


class LabelStaysOperator(TrainingOperator):
    """Read the stays in intensive care, their labels, and who is left out and why."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the attrition so far: step, stays, patients, positives."""
        from screening.training import run

        with fatal_fails(), opened(self.source(context), self.log) as tables:
            return run.cohort(self.job(context), tables)


class ExtractObservationsOperator(TrainingOperator):
    """Read the event tables once, and keep what counts within the stays' windows."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return counts: values, dropped."""
        from screening.training import run

        with fatal_fails(), opened(self.source(context), self.log) as tables:
            return run.extract(self.job(context), tables)


class FeaturizeStaysOperator(TrainingOperator):
    """Compute the training set, by the feature engine of screening."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return counts: stays, positives."""
        from screening.training import run

        with fatal_fails():
            return run.features(self.job(context))


class FitCandidateOperator(TrainingOperator):
    """
    Fit one candidate, out of fold and on all that is to learn from.

    :param candidate: its name in the plan. (mapped)
    """

    def __init__(self, *, candidate: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.candidate = candidate

    def execute(self, context: Context) -> dict[str, float]:
        """Return its out-of-fold figures."""
        from screening.training import run

        with fatal_fails():
            job = self.job(context)
            name = next((one for one in job.plan.candidates if one == self.candidate), None)
            if name is None:
                raise FatalError(
                    f"the plan has no candidate {self.candidate} any more: it changed since the run began: train again from "
                    "the beginning"
                )
            return run.fit(job, name)


class EvaluateOperator(TrainingOperator):
    """Choose the best candidate, and judge it by patients whom it never saw."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the main figures."""
        from screening.training import run

        with fatal_fails():
            return run.evaluate(self.job(context))


class GateOperator(TrainingOperator):
    """Hold the model against every rule of the gate, and write the report of the run."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return `accepted`, `reasons`, `words`, `brief` for whoever approves, and `report`, the page with the pictures."""
        from screening.training import run

        reports = run_files.reports(self.dag_id, context["run_id"])
        with fatal_fails():
            verdict = run.gate(
                self.job(context),
                settings().models,
                reports,
                allow_tiny=bool(context["params"]["allow_tiny"]),
                today=datetime.now(UTC),
            )
        for reason in verdict["reasons"]:
            self.log.warning("the gate refuses: %s", reason)
        self.log.info("report: %s", reports / "report.html")
        return verdict | {"report": str(reports / "report.html")}


class PublishModelOperator(TrainingOperator):
    """Publish the model as a new version and make it champion; from then on it screens."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return name, version and sha256."""
        from screening.training import run

        answer = context["ti"].xcom_pull(task_ids="approve")
        with fatal_fails():
            refuse_unapproved(answer, wanted=bool(context["params"]["approval"]))
            bundle = run.publish(
                self.job(context),
                settings().models,
                created=datetime.now(UTC),
                approved_by=approver(answer),
            )
        published = {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256}
        for asset in self.outlets:
            context["outlet_events"][asset].extra = dict(published)
        return published


class RemoveTrainingFilesOperator(RemoveStagingOperator):
    """Delete the run's staging, which holds rows of stays, and the invented hospital of a run that has one."""

    def execute(self, context: Context) -> None:
        """Remove what is there; the report and a refused model stay."""
        super().execute(context)
        shutil.rmtree(invented_folder(self.dag_id, context["run_id"]), ignore_errors=True)
