"""The gate between a new model and the patients: rules over what was measured, and nothing is measured here.

Rules are of two kinds. Evidence: there is too little of it, or it is not good enough. Integrity: the model is not what it
seems, or would not serve. While there are fewer positive stays than it takes to judge a model, `allow_tiny` waives evidence,
so that the way can be walked with MIMIC's demo of a hundred patients; the model is then `tiny`, and every result says so. A
data set that is large enough cannot use it, and integrity is never waived. A figure that is undefined is no evidence.

| rule | kind | limit; keys are those of the plan's `gate` |
|---|---|---|
| positives | evidence | `min_positives` among the untouched, five times as many to learn from |
| better than chance | evidence | AUROC of the untouched patients, its lower confidence bound above 0.5 |
| calibration slope, intercept, error | evidence | `calibration_slope`, `max_calibration_intercept`, `max_ece` |
| subgroups | evidence | `max_subgroup_loss`, in each with `min_positives` |
| AUPRC and F1 against the champion | evidence | `max_auprc_loss`, `max_f1_loss`; 90 % of the resamples lose no more |
| real before invented | integrity | a champion of real patients gives way to no model of invented or of too few ones |
| shuffled labels | integrity | chance alone explains what was learned from labels that mean nothing |
| later values | integrity | values after the prediction time change nothing |
| too good | integrity | `max_auroc`; above it a leak is likelier than a triumph |
| latency | integrity | `max_latency_ms` |
| schema | integrity | the model was made with this very schema |
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from screening.training.evaluation.evaluate import too_few
from screening.training.gate import champion as gate_champion
from screening.training.gate import evidence as gate_evidence
from screening.training.gate import integrity as gate_integrity
from screening.training.gate.comparison import Comparison
from screening.training.gate.leaks import ShuffledLabels
from screening.training.gate.verdict import Kind, Rule, Ruling, Verdict
from screening.training.plan import TrainingPlan


@dataclass(frozen=True)
class Leaks:
    """What was looked for: `gate.leaks` on the chosen candidate, and `matrix.later_values_change_nothing`."""

    shuffled: ShuffledLabels
    later_values_change_nothing: bool


@dataclass(frozen=True)
class Service:
    """How the model would serve.

    Attributes
    ----------
    p95_ms
        As `screening.training.gate.latency.p95_ms` measured it.
    model_schema, schema
        Fingerprint of the schema that the model was made with, and of the one that would screen with it.
    """

    p95_ms: float
    model_schema: str
    schema: str


def judge(
    evaluation: Mapping[str, Any],
    comparison: Comparison,
    leaks: Leaks,
    service: Service,
    plan: TrainingPlan,
    *,
    allow_tiny: bool,
) -> Verdict:
    """Hold what was measured against the plan's limits; the same facts give the same verdict.

    Parameters
    ----------
    evaluation
        The chosen candidate's; docs/training.md tells its shape.
    comparison
        With the champion, on the untouched patients.
    allow_tiny
        True waives the rules of evidence while there are too few positive stays, and no other rule.
    """
    limits = plan.gate
    tiny = too_few(evaluation, limits)
    synthetic = bool(evaluation["synthetic"])
    rules: tuple[Rule, ...] = (
        gate_evidence.positives(evaluation, limits),
        gate_evidence.better_than_chance(evaluation),
        gate_evidence.calibration_slope(evaluation, limits),
        gate_evidence.calibration_intercept(evaluation, limits),
        gate_evidence.calibration_error(evaluation, limits),
        gate_evidence.subgroups(evaluation, limits),
        gate_champion.no_worse("auprc", comparison, limits.max_auprc_loss, synthetic=synthetic),
        gate_champion.no_worse("f1", comparison, limits.max_f1_loss, synthetic=synthetic),
        gate_champion.real_before_invented(comparison, synthetic=synthetic, tiny=tiny),
        gate_integrity.shuffled_labels(leaks.shuffled),
        gate_integrity.later_values(leaks.later_values_change_nothing),
        gate_integrity.too_good(evaluation, limits),
        gate_integrity.latency(service.p95_ms, limits),
        gate_integrity.schema(service.model_schema, service.schema),
    )
    if allow_tiny and tiny:
        rules = tuple(_waived(rule) for rule in rules)
    standing = comparison.champion
    return Verdict(rules, tiny, None if standing is None else (standing.version, standing.sha256))


def _waived(rule: Rule) -> Rule:
    if rule.kind is not Kind.EVIDENCE or rule.verdict is not Ruling.REFUSED:
        return rule
    return replace(rule, verdict=Ruling.WAIVED, words=f"{rule.words}; waived, for a tiny model was allowed")
