"""Where one run keeps its files: staging that goes at its end, and results that stay."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from screening_airflow.settings import settings


def safe(text: str) -> str:
    """Turn a run id into one path component."""
    return re.sub(r"[^A-Za-z0-9_.=-]", "_", text)


def staging(dag_id: str, run_id: str) -> ObjectStoragePath:
    """Return the run's staging folder."""
    return ObjectStoragePath(settings().staging) / safe(dag_id) / safe(run_id)


def batch_folder(dag_id: str, run_id: str, number: int) -> ObjectStoragePath:
    """Return the staging folder of one batch."""
    return staging(dag_id, run_id) / f"batch-{number:04d}"


def reports(dag_id: str, run_id: str) -> Path:
    """Return the run's folder of results; it is made where it is missing, for the owner only."""
    folder = settings().reports / safe(dag_id) / safe(run_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def batch_report(dag_id: str, run_id: str, number: int) -> Path:
    """Return the file with one batch's results."""
    return reports(dag_id, run_id) / f"batch-{number:04d}.json"


def forget_reports(dag_id: str, run_id: str) -> None:
    """Remove what an earlier attempt at this run reported: it must not stand for what this one does."""
    for path in reports(dag_id, run_id).iterdir():
        path.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1, default=str))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    half = path.with_suffix(path.suffix + f".{os.getpid()}")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
