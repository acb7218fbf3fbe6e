"""The operators around the batches: who is screened, what came of it, and the end of the staging."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from screening.errors import FatalError
from screening_airflow import run_files
from screening_airflow.hook import FhirHook
from screening_airflow.operators import fatal_fails, refuse_unknown_params, schema_named
from screening_airflow.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from screening.fhir_client.client import FhirClient
    from screening.results.summary import Line
    from screening.schema import Cohort, Schema


def prediction_time(context: Context) -> datetime | None:
    """
    Settle the prediction time of a run; None means each patient's latest.

    Scheduled and backfilled runs use the end of their data interval. A run started by hand has no data interval: it uses
    its param ``prediction_time``, else the moment from which it may run.
    """
    run, given = context["dag_run"], context["params"].get("prediction_time")
    kind = str(getattr(run.run_type, "value", run.run_type))
    if kind in ("scheduled", "backfill"):
        if given:
            raise FatalError(f"a {kind} run screens as of the end of its interval: leave prediction_time empty")
        end = run.data_interval_end
        if end is None:
            raise FatalError(f"the {kind} run has no data interval: the DAG needs a CronDataIntervalTimetable")
        return datetime.fromisoformat(end.isoformat())
    if given == "latest":
        return None
    if given:
        return parse_moment(str(given))
    return datetime.fromisoformat(run.run_after.isoformat())


def parse_moment(text: str) -> datetime:
    """Read a prediction time typed by a person; it must name its zone."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise FatalError("prediction_time must be `latest` or an ISO time such as 2026-03-01T02:00:00+00:00") from None
    if moment.tzinfo is None:
        raise FatalError("prediction_time has no zone: write it like 2026-03-01T02:00:00+00:00 or …Z")
    return moment.astimezone(UTC)


class CohortOperator(BaseOperator):
    """
    Find the cohort and cut it into batches, after checking all that a run needs before anything is written.

    Checked are the schema, the model and its fit, the server's FHIR version, and that it takes RiskAssessments.

    :param schema: file name of the schema in the schemas folder.
    :param fhir_conn_id: the FHIR connection. (templated)
    """

    template_fields: Sequence[str] = ("fhir_conn_id",)

    def __init__(self, *, schema: str, fhir_conn_id: str = FhirHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schema = schema
        self.fhir_conn_id = fhir_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the batches: number, label, patient_ids, prediction_time, model, and what the summary needs."""
        from screening.cohort import members, split
        from screening.model.registry import champion
        from screening.scoring import check_fits
        from screening.staging import as_moment

        run_files.forget_reports(self.dag_id, context["run_id"])
        with fatal_fails():
            refuse_unknown_params(self, context)
            params, at, hook = context["params"], prediction_time(context), FhirHook(self.fhir_conn_id)
            _ = hook.zone  # the batches need it: a wrong one stops the run here
            schema = schema_named(self.schema)
            cohort = wanted(params, schema)
            bundle = champion(settings().models, schema.model or schema.name)
            fit = check_fits(bundle, schema)
            with hook.get_conn() as client:
                self._check_server(client, dry_run=bool(params.get("dry_run")))
                found = members(cohort, at, client, hook.base_url)
                requests = client.requests_sent
        batches = split(found.patient_ids, int(params.get("batch_size") or 100), most_batches())
        for warning in (*bundle.warnings, *fit.warnings):
            self.log.warning("model %s %s: %s", bundle.name, bundle.version, warning)
        moment = at.isoformat() if at else "latest"
        assert at is None or as_moment(moment) == at  # noqa: S101 - the stages must read back the same instant
        model = {
            "name": bundle.name,
            "version": bundle.version,
            "sha256": bundle.sha256,
            "synthetic": bundle.synthetic,
            "tiny": bundle.tiny,
        }
        self.log.info("%s patients in %s batches as of %s", len(found.patient_ids), len(batches), moment)
        return [
            {
                "number": number,
                "label": f"batch {number} of {len(batches)} ({len(ids)} patients)",
                "patient_ids": ids,
                "prediction_time": moment,
                "model": model,
                "run": {"unusable": found.unusable, "requests": requests},
            }
            for number, ids in enumerate(batches, start=1)
        ]

    def _check_server(self, client: FhirClient, *, dry_run: bool) -> None:
        capabilities = client.capabilities()
        if not dry_run and not capabilities.can_create("RiskAssessment"):
            raise FatalError(
                f"the server of connection {self.fhir_conn_id} does not take RiskAssessments (its CapabilityStatement "
                "lists no create): run with dry_run, or point the connection at a server that does"
            )


def wanted(params: Any, schema: Schema) -> Cohort:
    """Return the run's cohort: its params where given, else the schema's."""
    from screening.schema import Cohort

    ids, search = params.get("patient_ids"), params.get("cohort")
    if ids and search:
        raise FatalError("give patient_ids or cohort, not both")
    if ids:
        return Cohort(patient_ids=[str(one) for one in ids])
    if search:
        try:
            return Cohort(group=search) if str(search).startswith("Group/") else Cohort(search=search)
        except ValueError:  # pydantic's words quote what was given, which may name a patient
            raise FatalError("cohort must read like Encounter?class=IMP or Group/icu") from None
    if schema.cohort is None:
        raise FatalError("the schema names no cohort: give patient_ids or cohort for this run")
    return schema.cohort


def most_batches() -> int:
    """Return how many batches Airflow will map over."""
    from airflow.sdk import conf

    return conf.getint("core", "max_map_length")


class SummarizeOperator(BaseOperator):
    """
    Add up the run: every patient of the cohort has exactly one outcome.

    Writes ``summary.json`` and ``summary.md`` into the run's reports folder and fails the run where more than
    ``max_failed_fraction`` of the cohort failed, or where the server knows nobody of it.

    :param schema: file name of the schema in the schemas folder.
    :param cohort_task_id: whose batches are summed.
    """

    def __init__(self, *, schema: str, cohort_task_id: str = "cohort", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schema = schema
        self.cohort_task_id = cohort_task_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the counts of the summary; patients are named in the files only."""
        from screening.results.summary import markdown, summarize

        ti, run = context["ti"], context["dag_run"]
        batches = ti.xcom_pull(task_ids=self.cohort_task_id)
        if not batches:
            raise AirflowFailException("nobody was screened: the task cohort did not finish; its log says why")
        folder = run_files.reports(self.dag_id, context["run_id"])
        lines: list[Line] = []
        drops: Counter[str] = Counter()
        requests = batches[0]["run"]["requests"]
        for batch in batches:
            found = read_batch(run_files.batch_report(self.dag_id, context["run_id"], batch["number"]), batch)
            lines += found["lines"]
            drops.update(found["drops"])
            requests += found["requests"]
        model, schema = batches[0]["model"], schema_named(self.schema)
        summary = summarize(
            lines,
            [patient_id for batch in batches for patient_id in batch["patient_ids"]],
            run=context["run_id"],
            schema=f"{schema.name} {schema.version}",
            model=f"{model['name']} {model['version']} (sha256 {model['sha256'][:12]})",
            prediction_time=batches[0]["prediction_time"],
            drops=drops,
            requests=requests,
            unusable=batches[0]["run"]["unusable"],
            seconds=(datetime.now(UTC) - run.start_date).total_seconds() if run.start_date else None,
        )
        whole = summary.as_json()
        run_files.write_json(folder / "summary.json", whole)
        run_files.write_text(folder / "summary.md", markdown(summary))
        counts = {key: value for key, value in whole.items() if key != "lines"}
        self.log.info("Summary: %s", json.dumps(counts, ensure_ascii=False))
        if summary.outcomes["not_found"] == summary.cohort:
            raise AirflowFailException(
                f"the server knows none of the {summary.cohort} patients: nobody was screened; compare the ids, and the "
                "connection's base URL, with the server's"
            )
        most = float(context["params"]["max_failed_fraction"])
        if summary.failed_fraction > most:
            raise AirflowFailException(
                f"{summary.outcomes['failed']} of {summary.cohort} patients failed, more than max_failed_fraction "
                f"{most:g} allows; summary.md of this run names them with reasons"
            )
        return counts


def read_batch(path: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """Read a batch's results; empty where it did not finish, or where the file belongs to another cohort or time."""
    from screening.results.summary import Line

    if not path.exists():
        return {"lines": [], "drops": {}, "requests": 0}
    found = json.loads(path.read_text(encoding="utf-8"))
    same = all(found["batch"][key] == batch[key] for key in ("patient_ids", "prediction_time", "model"))
    lines = found["lines"] if same else []
    return {
        "lines": [
            Line(**{**line, "detail": tuple(line["detail"]), "imputed": tuple(line["imputed"])}) for line in lines
        ],
        "drops": found["drops"] if same else {},
        "requests": found["requests"] if same else 0,
    }


class RemoveStagingOperator(BaseOperator):
    """Delete the run's staging: it holds patient data and nobody needs it after the summary."""

    def execute(self, context: Context) -> None:
        """Remove the folder if it is there."""
        folder = run_files.staging(self.dag_id, context["run_id"])
        if folder.exists():
            folder.rmdir(recursive=True)


class RefuseOperator(BaseOperator):
    """
    Fail at once with a reason: it stands where a schema cannot be used.

    :param reason: what is wrong and what to do.
    """

    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Fail."""
        raise AirflowFailException(self.reason)
