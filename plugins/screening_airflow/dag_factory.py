"""One screening DAG for each schema: `cohort → [batch: fetch → featurize → predict → write] → summarize`."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (
    DAG,
    CronDataIntervalTimetable,
    Param,
    TriggerRule,
    task_group,
)
from croniter import croniter

from screening.errors import SchemaError
from screening.schema import Schema, load_schema
from screening_airflow.operators import (
    FeaturizeOperator,
    FetchPatientsOperator,
    PredictOperator,
    WriteRiskAssessmentsOperator,
)
from screening_airflow.refused_dag import Refusal
from screening_airflow.retries import RETRIES
from screening_airflow.run_operators import CohortOperator, RemoveStagingOperator, SummarizeOperator
from screening_airflow.settings import settings

POOL = "fhir"
"""Guards the FHIR server: as many tasks at a time as the pool has slots."""

FIRST_DAY = datetime.fromisoformat("2020-01-01T00:00:00+00:00")

REFUSED = Refusal("screening", "The schema", "Nobody is screened by it until it is mended.")

DOC = """\
# {name} {version}

{description}

Screens a cohort and writes one `RiskAssessment` for each scorable patient to the FHIR server of the connection; nothing else
is changed there. Scheduled and backfilled runs screen as of the end of their data interval, so a backfill sees a past day as
it was. A run started by hand screens as of its `prediction_time`, else as of now. Run twice, there is still one
`RiskAssessment` for each patient and prediction time.

Example configuration: `{{"patient_ids": ["a", "b"], "prediction_time": "2026-03-01T02:00:00+00:00", "dry_run": true}}`

The results and the summary of a run stay in the reports folder. Research software, not a medical device.
"""


def screening_dags() -> dict[str, DAG]:
    """Return a DAG for each schema that has a schedule.

    A schema that cannot be used gets a DAG that fails every day and says why.
    """
    found: dict[str, DAG] = {}
    for path in sorted(settings().schemas.glob("*.y*ml")):
        try:
            schema = load_schema(path)
            if not schema.schedule:
                continue
            _check(path, schema, found)
            dag = screening_dag(path, schema)
        except SchemaError as error:
            dag = _refused_dag(path, found, str(error))
        found[dag.dag_id] = dag
    return found


def _check(path: Path, schema: Schema, taken: dict[str, DAG]) -> None:
    """Refuse what only shows among the other schemas and to Airflow, which looks at a cron expression too late."""
    if not croniter.is_valid(schema.schedule):
        raise SchemaError(path.name, ["schedule: is no cron expression; write one such as 0 2 * * *"])
    if f"screening_{schema.name}" in taken:
        raise SchemaError(path.name, [f"name: another schema is called {schema.name} too; each needs its own"])


def _refused_dag(path: Path, taken: dict[str, DAG], reason: str) -> DAG:
    """Wire the DAG that stands for a schema that cannot be used; it fails every day, for somebody looks at failures."""
    daily = CronDataIntervalTimetable("0 0 * * *", timezone="UTC") if settings().scheduled else None
    return REFUSED.dag(path, taken, reason, schedule=daily, start_date=FIRST_DAY)


def params() -> dict[str, Param]:
    """Return the trigger form."""
    return {
        "patient_ids": Param(
            None, type=["null", "array"], items={"type": "string"}, title="Patient IDs",
            description="Logical ids to screen, one a line; empty screens the cohort",
        ),
        "cohort": Param(
            None, type=["null", "string"], title="Cohort",
            description="A FHIR search such as Encounter?class=IMP, or Group/id; empty uses the schema's",
        ),
        "prediction_time": Param(
            None, type=["null", "string"], title="Prediction time",
            description="ISO time with its zone, or latest for each patient's newest value; empty: the run's own time",
        ),
        "batch_size": Param(
            100, type="integer", minimum=1, maximum=5000, title="Batch size",
            description="Patients a batch; 1 gives one mapped task group a patient",
        ),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Score and summarize, but write nothing"),
        "fhir_conn_id": Param(
            "fhir_default", type="string", minLength=1, title="FHIR connection",
            description="ID of the connection of type fhir to the server that is read and written",
        ),
        "max_failed_fraction": Param(
            0.05, type="number", minimum=0, maximum=1, title="Tolerated failures",
            description="The run fails where more of the cohort than this fraction failed; 0 tolerates nobody",
        ),
    }  # fmt: skip


def screening_dag(path: Path, schema: Schema) -> DAG:
    """Wire the DAG of one schema."""
    source, fhir = path.name, "{{ params.fhir_conn_id }}"
    schedule = CronDataIntervalTimetable(schema.schedule or "", timezone="UTC") if settings().scheduled else None
    with DAG(
        dag_id=f"screening_{schema.name}",
        description=schema.description,
        doc_md=DOC.format(name=schema.name, version=schema.version, description=schema.description),
        schedule=schedule,
        start_date=FIRST_DAY,
        catchup=False,
        max_active_runs=1,
        params=params(),
        render_template_as_native_obj=False,
        tags=["screening", "fhir"],
        default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "retry_policy": RETRIES},
    ) as dag:
        batches = CohortOperator(task_id="cohort", schema=source, fhir_conn_id=fhir, pool=POOL)

        @task_group(group_id="batch")
        def screen(batch: Any) -> None:
            common: dict[str, Any] = {"schema": source, "batch": batch, "fhir_conn_id": fhir}
            (
                FetchPatientsOperator(task_id="fetch", pool=POOL, **common)
                >> FeaturizeOperator(task_id="featurize", **common)
                >> PredictOperator(task_id="predict", **common)
                >> WriteRiskAssessmentsOperator(task_id="write", pool=POOL, dry_run="{{ params.dry_run }}", **common)
            )

        summary = SummarizeOperator(task_id="summarize", schema=source, trigger_rule=TriggerRule.ALL_DONE, retries=0)
        remove = RemoveStagingOperator(task_id="remove_staging").as_teardown()
        screen.expand(batch=batches.output) >> summary >> remove
    return dag
