"""The process knobs of the Airflow edge: the only place that reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """Where things lie; every value can be set by an environment variable.

    Attributes
    ----------
    schemas
        Folder of the schema YAMLs (`SCREENING_SCHEMAS`).
    plans
        Folder of the training YAMLs (`SCREENING_PLANS`).
    models
        The model registry (`SCREENING_MODELS`).
    staging
        Path or URL (s3, gs, abfs, file) under which a run keeps its Parquet files until its end (`SCREENING_STAGING`).
        They hold patient data.
    reports
        Folder that keeps each run's results and summary (`SCREENING_REPORTS`). They hold logical ids and probabilities.
    scheduled
        Whether screening DAGs run on their schema's schedule (`SCREENING_SCHEDULED`, `true` or `false`); off, they run
        when triggered.
    """

    schemas: Path
    plans: Path
    models: Path
    staging: str
    reports: Path
    scheduled: bool


def settings() -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    ValueError
        Where a variable holds what it cannot mean.
    """
    scheduled = os.environ.get("SCREENING_SCHEDULED", "true")
    if scheduled not in ("true", "false"):
        raise ValueError(f"SCREENING_SCHEDULED must be true or false, not {scheduled!r}")
    return Settings(
        schemas=Path(os.environ.get("SCREENING_SCHEMAS", ROOT / "include" / "schemas")),
        plans=Path(os.environ.get("SCREENING_PLANS", ROOT / "include" / "training")),
        models=Path(os.environ.get("SCREENING_MODELS", ROOT / "include" / "models")),
        staging=os.environ.get("SCREENING_STAGING", (ROOT / "var" / "staging").as_uri()),
        reports=Path(os.environ.get("SCREENING_REPORTS", ROOT / "var" / "reports")),
        scheduled=scheduled == "true",
    )
