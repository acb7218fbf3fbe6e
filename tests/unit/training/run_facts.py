"""Facts of an invented training run, for whatever is written about it."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from tests.charts import ROOT
from tests.unit.training.evaluation_example import example, undefined

from screening.schema import Schema, load_schema
from screening.training.plan import TrainingPlan, load_plan
from screening.training.report.facts import Facts

CREATED = datetime(2026, 3, 10, 12, tzinfo=UTC)
RULES = [
    {"rule": "positives", "kind": "evidence", "verdict": "waived", "words": "5 positive stays, 20 are needed"},
    {"rule": "better than chance", "kind": "evidence", "verdict": "refused", "words": "AUROC 0.61, lower bound 0.42"},
    {"rule": "later values", "kind": "integrity", "verdict": "passed", "words": "they change nothing"},
    {"rule": "AUPRC against the champion", "kind": "evidence", "verdict": "not asked", "words": "there is no champion"},
]
GATE = {"rules": RULES, "promoted": False, "reasons": ["better than chance was refused"]}


def schema() -> Schema:
    return load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")


def plan() -> TrainingPlan:
    return load_plan(ROOT / "include" / "training" / "sepsis.yaml")


def facts(**other: Any) -> Facts:
    """Return facts of a run with the schema and the plan of sepsis, some of them replaced."""
    names = schema().feature_names
    metadata = {
        "thresholds": {"moderate": 0.4, "high": 0.7},
        "calibration": {"method": "platt", "coef": 1.0, "intercept": 0.0},
        "versions": {"python": "3.11.9", "sklearn": "1.7.2"},
        "counts": {"stays": 16_000, "patients": 11_200, "positives": 2400},
        "prevalence": 0.15,
        "data_fingerprint": "f" * 64,
        "schema_sha256": schema().fingerprint(),
        "train_distribution": {name: {"edges": [], "shares": [], "missing": 0.25} for name in names},
        "imputation": {"lactate": 1.875},
    }
    given: dict[str, Any] = {
        "model": "sepsis",
        "version": "1.1.0",
        "sha256": "a1" * 32,
        "created": CREATED,
        "data": "synthetic hospital, seed 7",
        "sources": {"icustays": {"rows": 27_000, "sha256": "c3" * 32}, "labevents": {"rows": 107_727}},
        "dropped": [("lactate", "out_of_range", 12), ("heart_rate", "no_value", 3400)],
        "metadata": metadata,
        "gate": GATE,
    }
    return Facts(**(given | other))


@cache
def evaluation(case: str) -> dict[str, Any]:
    """Return one of three evaluations: `whole`; `tiny`, of 140 stays with 26 positive; `undefined`."""
    if case == "tiny":
        return example(140, prevalence=0.186, tiny=True)
    return undefined(example()) if case == "undefined" else example()


@cache
def drawn(case: str) -> dict[str, Any]:
    """Return the pictures of an evaluation by name; drawn once for all tests, as matplotlib takes its time."""
    from screening.training.report.pictures.album import pictures

    return {one.name: one for one in pictures(evaluation(case))}
