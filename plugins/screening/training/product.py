"""What a training run has made, gathered from its files: the model as it would be served, the verdict on it, its papers."""

import hashlib
import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from screening.model.bundle import as_bundle
from screening.training import staged
from screening.training.gate.comparison import compare
from screening.training.gate.judge import Leaks, Service, judge
from screening.training.gate.latency import p95_ms
from screening.training.gate.leaks import shuffled_label_auroc
from screening.training.gate.verdict import Ruling, Verdict
from screening.training.job import Job
from screening.training.learning.folds import split
from screening.training.publish import Product
from screening.training.report.facts import Facts
from screening.training.report.model_card import model_card


def judged(job: Job, models_dir: Path, *, allow_tiny: bool, shuffles: int) -> Verdict:
    """Measure what the gate asks for, and hold it against the plan's limits."""
    import joblib

    plan, schema = job.plan, job.schema
    evaluation = staged.load_json(job.folder, "evaluation")
    content = joblib.load(io.BytesIO(staged.load_bytes(job.folder, "model.pkl")))  # made by this run
    new = as_bundle(content, name=job.name, version="new", manifest={})
    parts = split(staged.load_set(job.folder), plan)
    best = evaluation["best"]
    return judge(
        evaluation,
        compare(new, models_dir, job.name, parts.test, schema, plan),
        Leaks(
            shuffled_label_auroc(best, plan.candidates[best], parts.learning, plan.folds, plan.seed, shuffles),
            staged.load_json(job.folder, "after_window"),
        ),
        Service(p95_ms(new, parts.test), content["metadata"]["schema_sha256"], schema.fingerprint()),
        plan,
        allow_tiny=allow_tiny,
    )


def product(job: Job, verdict: Verdict, version: str | None, created: datetime) -> tuple[Product, Facts]:
    """Return what is published or kept, and the facts behind its papers; `version` is None for a refused model."""
    import joblib

    evaluation, model = staged.load_json(job.folder, "evaluation"), staged.load_bytes(job.folder, "model.pkl")
    facts = Facts(
        model=job.name,
        version=version,
        sha256=hashlib.sha256(model).hexdigest(),
        created=created,
        data=staged.load_described(job.folder).words,
        sources=sources(job),
        dropped=[(feature, reason, count) for feature, reason, count in staged.load_json(job.folder, "dropped_whole")],
        metadata=joblib.load(io.BytesIO(model))["metadata"],
        gate=gate_of(verdict),
    )
    card_json, card = model_card(job.schema, job.plan, evaluation, facts)
    return Product(model, evaluation, card, card_json), facts


def gate_of(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as report and card tell it."""
    told = [*verdict.of(Ruling.REFUSED), *verdict.of(Ruling.WAIVED)]
    return {
        "promoted": verdict.passed,
        "rules": verdict.to_json()["rules"],
        "reasons": [f"{rule.verdict.value}: {rule.rule}: {rule.words}" for rule in told],
    }


def sources(job: Job) -> Mapping[str, Any]:
    """Return table → rows and sha256 of all that was read."""
    return {**staged.load_json(job.folder, "tables_cohort"), **staged.load_json(job.folder, "tables_events")}
