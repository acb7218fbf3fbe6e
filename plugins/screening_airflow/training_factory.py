"""One training DAG for each training YAML.

`locate → label → extract → featurize → [fit × candidate] → evaluate → gate → approve → publish`

The stays come before the extraction, since only values within their windows are kept: so memory stays flat.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, Param

from screening.errors import SchemaError
from screening.schema import Schema, load_schema
from screening.training.plan import INVENTED_PATIENTS, TrainingPlan, load_plan
from screening_airflow.approval import ApproveModelOperator
from screening_airflow.refused_dag import Refusal
from screening_airflow.retries import RETRIES
from screening_airflow.settings import settings
from screening_airflow.training_operators import (
    EvaluateOperator,
    ExtractObservationsOperator,
    FeaturizeStaysOperator,
    FitCandidateOperator,
    GateOperator,
    LabelStaysOperator,
    LocateTablesOperator,
    PublishModelOperator,
    RemoveTrainingFilesOperator,
)

DOC = """\
# Train {name}

Rebuilds the model `{model}` from MIMIC-IV (a folder as PhysioNet ships it, or a PostgreSQL database built with mimic-code)
or, without either, from a synthetic hospital. Features are computed by the code that screens. Candidates: {candidates}.

The gate refuses a model that is not shown to be good enough, and says why; the run then ends without publishing. What
passes is published as a new version in the model registry and becomes champion: the next screening run uses it. Publishing
emits the asset `{asset}`, on which a DAG can be scheduled.

Example configuration: `{{"mimic_folder": "/data/mimiciv/3.1", "approval": true}}`

The report of a run, with its pictures, stays in the reports folder. Research software, not a medical device.
"""


REFUSED = Refusal("training", "The training plan", "Nothing is trained by it until it is mended.")


def model_asset(model: str) -> Asset:
    """Return the asset that stands for a model's champion; a DAG scheduled on it runs after each publishing."""
    return Asset(name=f"model_{model}", uri=f"screening-model://{model}", group="model")


def training_dags() -> dict[str, DAG]:
    """Return a DAG for each training YAML; one that cannot be used gets a DAG that fails and says why."""
    found: dict[str, DAG] = {}
    for path in sorted(settings().plans.glob("*.y*ml")):
        try:
            plan = load_plan(path)
            schema = load_schema(settings().schemas / plan.schema_file)
            _refuse_twin(path, schema, found)
            dag = training_dag(path, plan, schema)
        except SchemaError as error:
            dag = REFUSED.dag(path, found, str(error))
        found[dag.dag_id] = dag
    return found


def _refuse_twin(path: Path, schema: Schema, taken: dict[str, DAG]) -> None:
    if f"training_{schema.name}" in taken:
        raise SchemaError(path.name, [f"schema: another plan trains {schema.name} too; each needs its own"])


def params(plan: TrainingPlan) -> dict[str, Param]:
    """Return the trigger form."""
    hours = f"{plan.prediction.after_intime / timedelta(hours=1):g}h"
    return {
        "mimic_folder": Param(
            None, type=["null", "string"], title="MIMIC-IV folder",
            description="The folder with hosp and icu in it, as the workers see it; empty: see the next two",
        ),
        "postgres_conn_id": Param(
            None, type=["null", "string"], title="MIMIC-IV database",
            description="ID of a connection of type postgres to a database built with mimic-code, instead of a folder",
        ),
        "synthetic_patients": Param(
            INVENTED_PATIENTS, type="integer", minimum=200, maximum=200_000, title="Synthetic patients",
            description="Size of the invented hospital that is used where neither folder nor database is given",
        ),
        "schema": Param(
            plan.schema_file, type="string", pattern=r"^[A-Za-z0-9_.-]+\.ya?ml$", title="Schema",
            description="File in the schemas folder: what a feature is, and the window of values",
        ),
        "after_intime": Param(
            hours, type="string", pattern=r"^\d+(\.\d+)?[mhd]$", title="Prediction time",
            description="So long after the stay began it is looked at, or at its end where that comes first: 24h, 90m, 1d",
        ),
        "candidates": Param(
            list(plan.candidates), type="array", items={"type": "string", "enum": list(plan.candidates)}, minItems=1,
            title="Candidates", examples=list(plan.candidates), description="Kinds of model that are fitted and compared",
        ),
        "seed": Param(
            plan.seed, type="integer", minimum=0, maximum=2**31 - 1, title="Seed",
            description="Of folds, candidates and resamples; the same seed and data give the same model, byte for byte",
        ),
        "approval": Param(
            False, type="boolean", title="Approval wanted",
            description="A model that passed the gate waits until a person approves or rejects it",
        ),
        "allow_tiny": Param(
            False, type="boolean", title="Allow too little data",
            description="Publish a model of too few patients to judge it by; it is marked as such wherever it is used",
        ),
    }  # fmt: skip


def training_dag(path: Path, plan: TrainingPlan, schema: Schema) -> DAG:
    """Wire the DAG of one training plan."""
    model = schema.model or schema.name
    asset, names = model_asset(model), ", ".join(plan.candidates)
    with DAG(
        dag_id=f"training_{schema.name}",
        description=f"Train the model {model} from MIMIC-IV",
        doc_md=DOC.format(name=schema.name, model=model, candidates=names, asset=asset.name),
        schedule=None,
        max_active_runs=1,
        params=params(plan),
        tags=["training", "mimic"],
        default_args={"retries": 1, "retry_delay": timedelta(seconds=30), "retry_policy": RETRIES},
    ) as dag:
        of: dict[str, Any] = {"plan": path.name}
        locate = LocateTablesOperator(task_id="locate", model=model, **of)
        fits = FitCandidateOperator.partial(task_id="fit", map_index_template="{{ task.candidate }}", **of).expand(
            candidate=locate.output
        )
        featurize = FeaturizeStaysOperator(task_id="featurize", **of)
        evaluate = EvaluateOperator(task_id="evaluate", **of)
        (
            locate
            >> LabelStaysOperator(task_id="label", **of)
            >> ExtractObservationsOperator(task_id="extract", **of)
            >> featurize
            >> fits
            >> evaluate
            >> GateOperator(task_id="gate", **of)
            >> ApproveModelOperator(task_id="approve")
            >> PublishModelOperator(task_id="publish", outlets=[asset], **of)
            >> RemoveTrainingFilesOperator(task_id="remove_staging").as_teardown()
        )
    return dag
