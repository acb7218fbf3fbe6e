"""What `python -m screening train` does: the training DAG's stages in one go, on one machine and without Airflow."""

import shutil
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from screening.commands import say
from screening.errors import DataFileError, FatalError
from screening.schema import load_schema
from screening.training import run
from screening.training.plan import load_plan
from screening.training.report.wording import interval
from screening.training.source import Source, invented, tables


def train(chosen: Namespace) -> int:
    """Train, judge and publish; 1 where the gate refuses."""
    if chosen.mimic and chosen.postgres:
        raise FatalError("give --mimic or --postgres, not both")
    changes: dict[str, Any] = {"candidates": chosen.candidates.split(",")} if chosen.candidates else {}
    if chosen.seed is not None:
        changes["seed"] = chosen.seed
    if chosen.after_intime:
        changes["prediction"] = {"after_intime": chosen.after_intime}
    plan = load_plan(chosen.plan, **changes)
    schema = load_schema(chosen.schema or chosen.schemas / plan.schema_file)
    now = datetime.now(UTC)
    reports = chosen.reports / f"{now:%Y-%m-%dT%H-%M-%S}"
    try:
        reports.mkdir(parents=True, mode=0o700)
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=reports))
    except OSError as error:
        raise DataFileError(f"{reports}: cannot be made: {error.strerror}: give another folder as --reports") from None
    try:
        return _train(chosen, run.Job(schema, plan, staging), reports, now)
    finally:
        shutil.rmtree(staging)  # rows of stays


def _train(chosen: Namespace, job: run.Job, reports: Path, now: datetime) -> int:
    source = _source(chosen, reports)
    with tables(source, _progress, lambda _: str(chosen.postgres)) as opened:
        _timed("locate", lambda: run.locate(job, opened, source.described))
        for step in _timed("label", lambda: run.cohort(job, opened)):
            say(f"  {step['step']}: {step['stays']} stays, {step['patients']} patients, {step['positives']} positive")
        say(f"  {_timed('extract', lambda: run.extract(job, opened))}")
    say(f"  {_timed('featurize', lambda: run.features(job))}")
    for name in job.plan.candidates:
        found = _timed(f"fit {name}", partial(run.fit, job, name))
        say(f"  F1 {found['f1']:.3f} out of fold at {found['threshold']:.3f}")
    for name, figure in _timed("evaluate", lambda: run.evaluate(job)).items():
        say(f"  {name}: {interval(figure, 3) if isinstance(figure, dict) else figure}")
    verdict = _timed("gate", lambda: run.gate(job, chosen.models, reports, allow_tiny=chosen.allow_tiny, today=now))
    say(verdict["words"])
    say(f"report: {reports / 'report.html'}")
    if not verdict["accepted"]:
        say(f"not published; the model is kept in {reports / run.REFUSED}")
        return 1
    bundle = run.publish(job, chosen.models, created=now, approved_by=None)
    say(f"published: {bundle.name} {bundle.version}, sha256 {bundle.sha256}; it is champion")
    return 0


def _source(chosen: Namespace, reports: Path) -> Source:
    if chosen.mimic:
        return Source("folder", str(chosen.mimic))
    if chosen.postgres:
        return Source("postgres", "PostgreSQL")
    found: Source = _timed("invent a hospital", lambda: invented(reports / "invented_mimic", chosen.synthetic_patients))
    return found


def _timed(name: str, stage: Callable[[], Any]) -> Any:
    say(f"{name} …")
    began = time.monotonic()
    found = stage()
    say(f"{name}: {time.monotonic() - began:.1f} s")
    return found


def _progress(table: str, rows: int, share: float) -> None:
    say(f"  {table}: {rows:,} rows read, {share:.0%}")
