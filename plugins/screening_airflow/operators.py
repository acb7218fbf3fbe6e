"""The operators: templating, one call into the library, a return value of counts.

Patient data goes from task to task by Parquet files in the run's staging, never through XCom. A `TemporaryError` is left to
Airflow's retries, and on the last try the patients concerned are counted as failed; a `FatalError` fails the task at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from screening.errors import FatalError
from screening_airflow import run_files
from screening_airflow.hook import FhirHook
from screening_airflow.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from screening.schema import Schema


@contextmanager
def fatal_fails() -> Iterator[None]:
    """Turn the library's fatal errors into a failure without retries."""
    try:
        yield
    except FatalError as error:
        raise AirflowFailException(str(error)) from None


def refuse_unknown_params(task: BaseOperator, context: Context) -> None:
    """Refuse a param that the DAG does not have: Airflow takes any, and a misspelled dry_run would write."""
    known = list(task.dag.params)
    unknown = sorted(set(context["params"]) - set(known))
    if unknown:
        raise FatalError(
            f"unknown param {', '.join(unknown)}: mend its spelling or leave it out; known: {', '.join(known)}"
        )


def schema_named(name: str) -> Schema:
    """Load a schema of the settings' folder by its file name."""
    from screening.schema import load_schema

    return load_schema(settings().schemas / name)


class BatchOperator(BaseOperator):
    """
    One stage of one batch.

    :param schema: file name of the schema in the schemas folder.
    :param batch: a batch as `CohortOperator` returns it: ``number``, ``label``, ``patient_ids``, ``prediction_time``,
        ``model``. (templated)
    :param fhir_conn_id: the FHIR connection. (templated)
    """

    template_fields: Sequence[str] = ("batch", "fhir_conn_id")

    def __init__(
        self, *, schema: str, batch: Any, fhir_conn_id: str = FhirHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(map_index_template="{{ task.batch['label'] }}", **kwargs)
        self.schema = schema
        self.batch = batch
        self.fhir_conn_id = fhir_conn_id

    def begin(self, context: Context) -> Any:
        """Return the batch's staging folder, after removing what an earlier attempt reported.

        A batch that was cleared and does not finish this time counts as failed, whatever it came to before.
        """
        run_files.batch_report(self.dag_id, context["run_id"], self.batch["number"]).unlink(missing_ok=True)
        return run_files.batch_folder(self.dag_id, context["run_id"], self.batch["number"])

    @property
    def moment(self) -> datetime | None:
        """The prediction time, or None for each patient's latest."""
        from screening.staging import as_moment

        return as_moment(self.batch["prediction_time"])

    @staticmethod
    def last_try(context: Context) -> bool:
        """Tell whether Airflow will not try this task again."""
        ti = context["ti"]
        return ti.try_number > (ti.max_tries or 0)


class FetchPatientsOperator(BatchOperator):
    """Fetch the batch's Patients and their data; stage their observations table."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return counts: patients, values, dropped, unreadable, requests."""
        from screening import stages, staging

        with fatal_fails():
            folder, hook = self.begin(context), FhirHook(self.fhir_conn_id)
            with hook.get_conn() as client:
                counts = stages.fetch(
                    client, schema_named(self.schema), self.batch["patient_ids"], self.moment, folder,
                    base_url=hook.base_url, zone=hook.zone, tolerate=self.last_try(context),
                )  # fmt: skip
                counts["requests"] = client.requests_sent
            staging.save_counts(folder, "requests", {"requests": counts["requests"]})
        return dict(counts)


class FeaturizeOperator(BatchOperator):
    """Compute the batch's feature matrix from its observations table."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return counts: patients, dropped."""
        from screening import stages

        with fatal_fails():
            folder, zone = self.begin(context), FhirHook(self.fhir_conn_id).zone
            schema, ids = schema_named(self.schema), self.batch["patient_ids"]
            return dict(stages.featurize(folder, schema, ids, self.moment or "latest", zone=zone))


class PredictOperator(BatchOperator):
    """Score the batch's feature matrix with the model that the run was started with."""

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many patients had each outcome."""
        from screening import stages
        from screening.model.registry import load_version

        with fatal_fails():
            folder, model = self.begin(context), self.batch["model"]
            bundle = load_version(settings().models, model["name"], model["version"])
            if bundle.sha256 != model["sha256"]:
                raise FatalError(
                    f"model {model['name']} {model['version']} changed during the run: clear the run from cohort on"
                )
            return dict(stages.predict(folder, schema_named(self.schema), bundle))


class WriteRiskAssessmentsOperator(BatchOperator):
    """
    Write one RiskAssessment for each scored patient of the batch, and keep every patient's line for the summary.

    :param dry_run: build and check, but write nothing. (templated; "True" or a bool)
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "dry_run_")

    def __init__(self, *, dry_run: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dry_run_ = dry_run  # BaseOperator has a method of the plain name

    def execute(self, context: Context) -> dict[str, int]:
        """Return how many were created, unchanged, amended, failed, and the requests sent."""
        from collections import Counter
        from dataclasses import asdict

        from screening import stages, staging

        with fatal_fails():
            folder, tolerate = self.begin(context), self.last_try(context)
            requests = staging.load_counts(folder, "requests")["requests"]
            context_of_run = assessment_context(schema_named(self.schema), self.batch["model"])
            if str(self.dry_run_) == "True":
                lines, drops = stages.write(None, folder, context_of_run)
            else:
                with FhirHook(self.fhir_conn_id).get_conn() as client:
                    lines, drops = stages.write(client, folder, context_of_run, tolerate=tolerate)
                    requests += client.requests_sent
        by_reason: Counter[str] = Counter()
        for (_, feature, reason), count in drops.items():
            by_reason[f"{feature or 'any'}: {reason}"] += count
        run_files.write_json(
            run_files.batch_report(self.dag_id, context["run_id"], self.batch["number"]),
            {"batch": self.batch, "lines": [asdict(line) for line in lines], "drops": by_reason, "requests": requests},
        )
        return dict(Counter(line.write or line.outcome for line in lines)) | {"requests": requests}


def assessment_context(schema: Schema, model: dict[str, Any]) -> Any:
    """Return what a RiskAssessment says of the screen and its model."""
    from screening.results.risk_assessment import AssessmentContext

    return AssessmentContext.of(schema, model)
