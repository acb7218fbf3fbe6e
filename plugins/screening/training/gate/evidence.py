"""The gate's rules over the evaluation: are there enough patients to judge by, and is the model good enough on them?

A limit itself passes, but for chance: no better is not better.
"""

from collections.abc import Mapping
from typing import Any

from screening.model.metadata import is_number
from screening.training.evaluation.evaluate import LEARNING, too_few
from screening.training.gate.verdict import Kind, Rule, not_asked, ruled, told
from screening.training.plan import GateLimits

_TINY = 1e-9  # limits are decimal numbers: 0.8 - 0.7 must not count as more than 0.10


def positives(evaluation: Mapping[str, Any], limits: GateLimits) -> Rule:
    """Ask for enough positive stays, among the untouched and to learn from."""
    parts, needed = evaluation["parts"], limits.min_positives
    return ruled(
        "positives",
        Kind.EVIDENCE,
        not too_few(evaluation, limits),
        f"{parts['test']['positives']} positive stays among the untouched ({needed} needed), "
        f"{parts['train']['positives']} to learn from ({LEARNING * needed} needed)",
        otherwise="too few to tell a good model from luck; take more patients",
    )


def better_than_chance(evaluation: Mapping[str, Any]) -> Rule:
    """Ask that the AUROC of the untouched patients is above 0.5 with its whole interval."""
    found = evaluation["parts"]["test"]["auroc"]
    value, low = _number(found["value"]), _number(found["low"])
    if value is None or low is None:
        return _undefined("better than chance", "the AUROC of the untouched patients", "the lower bound above 0.5")
    return ruled(
        "better than chance",
        Kind.EVIDENCE,
        low > 0.5,
        f"AUROC {told(value)} on the untouched patients, lower confidence bound {told(low)}, needed above 0.5",
        otherwise="it may rank patients no better than a coin does",
    )


def calibration_slope(evaluation: Mapping[str, Any], limits: GateLimits) -> Rule:
    """Ask that predicted risks are neither too extreme nor too moderate."""
    low, high = limits.calibration_slope
    value = _calibration(evaluation, "slope")
    if value is None:
        return _undefined("calibration slope", "the calibration slope", f"{told(low)} to {told(high)}")
    return ruled(
        "calibration slope",
        Kind.EVIDENCE,
        low <= value <= high,
        f"slope {told(value)}, limits {told(low)} to {told(high)}",
        otherwise=f"the risks it tells are too {'extreme' if value < low else 'moderate'}",
    )


def calibration_intercept(evaluation: Mapping[str, Any], limits: GateLimits) -> Rule:
    """Ask that predicted risks are not too high or too low, neither as a whole nor where they are even.

    The intercept of the line alone does not tell the former: with a slope beside 1 it is near 0 for a model whose risks are
    all too high, where most of them are low.
    """
    limit = limits.max_calibration_intercept
    whole, even = _calibration(evaluation, "in_the_large"), _calibration(evaluation, "intercept")
    if whole is None or even is None:
        return _undefined("calibration intercept", "the calibration intercept", f"{told(limit)} either way")
    value, where = (whole, "") if abs(whole) > limit else (even, " where it tells 50 %")
    return ruled(
        "calibration intercept",
        Kind.EVIDENCE,
        abs(value) <= limit,
        f"intercept {told(even)}, in the large {told(whole)}, limit {told(limit)} either way",
        otherwise=f"the risks it tells are too {'low' if value > 0 else 'high'}{where}",
    )


def calibration_error(evaluation: Mapping[str, Any], limits: GateLimits) -> Rule:
    """Ask that predicted and observed risk are close to each other."""
    value = _calibration(evaluation, "ece")
    if value is None:
        return _undefined("calibration error", "the expected calibration error", told(limits.max_ece))
    return ruled(
        "calibration error",
        Kind.EVIDENCE,
        value <= limits.max_ece,
        f"predicted and observed risk differ by {told(value)} on average, limit {told(limits.max_ece)}",
        otherwise="a risk that it tells is not the risk that patients have",
    )


def subgroups(evaluation: Mapping[str, Any], limits: GateLimits) -> Rule:
    """Ask that no subgroup with enough positive stays is served much worse than the whole."""
    limit, needed = limits.max_subgroup_loss, limits.min_positives
    judged = [row for row in evaluation["subgroups"] if row["positives"] >= needed]
    if not judged:
        return not_asked(
            "subgroups",
            Kind.EVIDENCE,
            f"no subgroup has {needed} positive stays: whether one loses more than {told(limit)} of AUROC is not known",
        )
    overall = _number(evaluation["parts"]["test"]["auroc"]["value"])
    levels = {f"{row['group']} {row['level']}": _number(row["auroc"]["value"]) for row in judged}
    known = {who: value for who, value in levels.items() if value is not None}
    if overall is None or len(known) < len(levels):
        lacking = "all" if overall is None else ", ".join(who for who in levels if who not in known)
        return _undefined("subgroups", f"the AUROC of {lacking}", f"a loss of {told(limit)}")
    return _subgroups(overall, known, limit)


def _subgroups(overall: float, levels: Mapping[str, float], limit: float) -> Rule:
    worst = min(levels, key=lambda who: levels[who])
    under = [f"{who} ({told(value)})" for who, value in levels.items() if overall - value > limit + _TINY]
    return ruled(
        "subgroups",
        Kind.EVIDENCE,
        not under,
        f"AUROC {told(levels[worst])} in the worst of {len(levels)} subgroups, {worst}, and {told(overall)} in all; a loss "
        f"of {told(limit)} is allowed",
        otherwise=f"these would be served worse than others: {', '.join(under)}",
    )


def _calibration(evaluation: Mapping[str, Any], name: str) -> float | None:
    return _number(evaluation["parts"]["test"]["calibration"][name]["value"])


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def _undefined(rule: str, what: str, limit: str) -> Rule:
    return ruled(
        rule,
        Kind.EVIDENCE,
        False,
        f"{what} is undefined (limit: {limit})",
        otherwise="what is not known is no evidence",
    )
