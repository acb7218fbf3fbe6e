"""The process knobs of the Airflow edge: the only place that reads the environment."""

import os
import re
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
    cds_url
        The public address of the CDS Hooks sidecar, to which the UI links (`SCREENING_CDS_URL`); None has no link.
    cds_mount
        Whether Airflow's API server serves the sidecar itself, below `/cds` (`SCREENING_CDS_MOUNT`, `true` or `false`).
    """

    schemas: Path
    plans: Path
    models: Path
    staging: str
    reports: Path
    scheduled: bool
    cds_url: str | None
    cds_mount: bool


def settings() -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    ValueError
        Where a variable holds what it cannot mean.
    """
    cds_url = os.environ.get("SCREENING_CDS_URL", "").rstrip("/")
    if cds_url and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", cds_url):
        raise ValueError("SCREENING_CDS_URL must be an absolute http(s) URL without query, fragment and credentials")
    return Settings(
        schemas=Path(os.environ.get("SCREENING_SCHEMAS", ROOT / "include" / "schemas")),
        plans=Path(os.environ.get("SCREENING_PLANS", ROOT / "include" / "training")),
        models=Path(os.environ.get("SCREENING_MODELS", ROOT / "include" / "models")),
        staging=os.environ.get("SCREENING_STAGING", (ROOT / "var" / "staging").as_uri()),
        reports=Path(os.environ.get("SCREENING_REPORTS", ROOT / "var" / "reports")),
        scheduled=_switch("SCREENING_SCHEDULED", "true"),
        cds_url=cds_url or None,
        cds_mount=_switch("SCREENING_CDS_MOUNT", "false"),
    )


def _switch(name: str, default: str) -> bool:
    text = os.environ.get(name, default)
    if text not in ("true", "false"):
        raise ValueError(f"{name} must be true or false, not {text!r}")
    return text == "true"
