"""The gate's rules that nothing waives: leaks, and whether the model would serve what screening asks."""

from collections.abc import Mapping
from typing import Any

from screening.training.gate.leaks import PARTS, ShuffledLabels, auroc_alarm
from screening.training.gate.verdict import Kind, Rule, ruled, told
from screening.training.plan import GateLimits

_PART = {"test": "on the untouched patients", "cross_validation": "in cross validation"}


def shuffled_labels(found: ShuffledLabels) -> Rule:
    """Ask that nothing is learned from labels that mean nothing."""
    return ruled(
        "shuffled labels",
        Kind.INTEGRITY,
        not found.leak,
        f"AUROC {told(found.mean)} on shuffled labels, mean of {len(found.aurocs)}; chance reaches {told(found.limit)}",
        otherwise=(
            "labels of those who judge have reached the fit: look for a patient on both sides of a cut, and for a step that "
            "is fitted on all rows"
        ),
    )


def later_values(changed_nothing: bool) -> Rule:
    """Ask that no feature depends on what was measured after the prediction time."""
    return ruled(
        "later values",
        Kind.INTEGRITY,
        changed_nothing,
        f"values from after the prediction time change {'no' if changed_nothing else 'a'} feature; none may change",
        otherwise="the model has seen the future, which no patient brings along: mend the window",
    )


def too_good(evaluation: Mapping[str, Any], limits: GateLimits) -> Rule:
    """Ask that the AUROC is not too good to be true; an undefined one is for the rule on chance to refuse."""
    parts = {part: evaluation["parts"][part]["auroc"]["value"] for part in PARTS}
    figures = [f"{'undefined' if value is None else told(value)} {_PART[part]}" for part, value in parts.items()]
    return ruled(
        "too good",
        Kind.INTEGRITY,
        not auroc_alarm(evaluation, limits.max_auroc),
        f"AUROC {', '.join(figures)}; alarm above {told(limits.max_auroc)}",
        otherwise=(
            "a leak is likelier than a triumph: look for a feature that follows from the diagnosis; where positive stays "
            "are few it may be chance, and more patients tell"
        ),
    )


def latency(p95_ms: float, limits: GateLimits) -> Rule:
    """Ask that one patient's answer comes in time."""
    return ruled(
        "latency",
        Kind.INTEGRITY,
        p95_ms <= limits.max_latency_ms,
        f"95 % of the answers for one patient within {told(p95_ms)} ms, limit {told(limits.max_latency_ms)} ms",
        otherwise="whoever opens a chart would wait for it; take a smaller model",
    )


def schema(models: str, screenings: str) -> Rule:
    """Ask that the model was made with the schema that would screen with it; both are fingerprints."""
    return ruled(
        "schema",
        Kind.INTEGRITY,
        models == screenings,
        f"made with the schema {models[:12]}, which must be screening's {screenings[:12]}",
        otherwise="a feature may mean something else than what it learned from; train again",
    )
