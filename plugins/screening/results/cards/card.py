"""CDS Hooks cards (2.0.1) from what screening says of a patient: pure functions, one a kind of card.

A low score is no card, unless part of the data was lost on the way. What could not be scored is a card of its own that says
so, and never looks like "all clear" (CH-42).
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from screening.errors import ResultError
from screening.outcome import Outcome, PatientResult, RiskLevel
from screening.results.cards import detail
from screening.results.cards.context import CardContext, duration, model_words
from screening.results.cards.markdown import escaped, one_line, plain
from screening.results.cards.suggestions import orders
from screening.results.earlier import EarlierScreening
from screening.results.wording import UNKNOWN, minute, percentage, short_percentage
from screening.scoring import level

INDICATORS = {RiskLevel.HIGH: "critical", RiskLevel.MODERATE: "warning", RiskLevel.LOW: "info"}
SUMMARY_UNITS = 139
"""The specification asks for fewer than 140 characters."""
NAMES_LENGTH = 45
"""Characters of names in a summary that says what is missing."""
NOT_SENT = "not sent by the EHR"
"""Remark for a prefetch key that was not sent and cannot be fetched."""
_NONE: Mapping[str, Any] = MappingProxyType({})


def risk_card(
    result: PatientResult,
    context: CardContext,
    *,
    new_id: Callable[[], str],
    shown_at: datetime,
    stale: Mapping[str, datetime] = _NONE,
    remarks: Mapping[str, str] = _NONE,
    incomplete: Collection[str] = (),
    patient_reference: str | None = None,
    encounter_reference: str | None = None,
) -> dict[str, Any] | None:
    """Make the card of a scored patient; None where the risk is low and no data were lost.

    Parameters
    ----------
    result
        Of the schema and the model that `context` is of.
    new_id
        Gives a new UUID4 with each call: one for the card, and one for each suggestion (CH-45).
    shown_at
        Timezone-aware; ages are counted to it. Where values of the past are screened, the prediction time.
    stale
        Feature → time of its newest value, where that is too old to count.
    remarks
        Prefetch key → words to show beside it: `NOT_SENT`, or why it could not be read.
    incomplete
        Features whose data, or a part of them, could not be read or fetched: without them a low score is not sure to be one.
    patient_reference, encounter_reference
        `Patient/id` and `Encounter/id` for orders; None takes the patient of the result, and no encounter.

    Raises
    ------
    ResultError
        For a result that is not scored or contradicts the context's bounds, and for a moment without a zone.
    """
    if result.outcome is not Outcome.SCORED or result.probability is None or result.risk_level is None:
        raise ResultError(f"Patient/{result.patient_id} was not scored: there is no risk to show")
    if result.risk_level is not level(result.probability, context.risk_levels):
        raise ResultError(f"Patient/{result.patient_id} was scored by other bounds than the card's: a defect of ours")
    _check_zone(shown_at)
    if result.risk_level is RiskLevel.LOW and not incomplete:
        return None
    said = f"{result.risk_level.name} ({short_percentage(result.probability, context.risk_levels)}%)"
    names = _listed([plain(word.display, 40) for name, word in context.features.items() if name in incomplete])
    if result.risk_level is RiskLevel.LOW:
        said += f" from incomplete data: {names}"
    told = detail.scored(result, result.probability, context, shown_at, stale, remarks, incomplete)
    summary = one_line(f"{context.title} Risk: {said}", SUMMARY_UNITS)
    card = _card(summary, INDICATORS[result.risk_level], told, context, new_id)
    subject = patient_reference or f"Patient/{result.patient_id}"
    return _with_orders(card, orders(result.imputed, context, remarks, new_id, subject, encounter_reference))


def not_computed_card(
    result: PatientResult,
    context: CardContext,
    *,
    new_id: Callable[[], str],
    shown_at: datetime,
    stale: Mapping[str, datetime] = _NONE,
    remarks: Mapping[str, str] = _NONE,
    patient_reference: str | None = None,
    encounter_reference: str | None = None,
) -> dict[str, Any]:
    """Make the card that says why there is no score: what is missing, how old it is, and no percentage (CH-42).

    Parameters and raises as `risk_card`, for a result that is not scored.
    """
    _check_not_scored(result, shown_at)
    lacking = _lacking(result, context)
    others = [one for one in result.detail if one not in lacking]
    names = [plain(context.features[name].display, 40) for name in lacking]
    why = f"missing {_listed(names)}" if names else plain("; ".join(others), 60) or "no data"
    summary = one_line(f"{context.title} risk not computed: {why}", SUMMARY_UNITS)
    when = f", as of {minute(result.prediction_time)}" if result.prediction_time else ""
    told = [f"**No score{when}.** This is not a low risk.", *(f"Why: {escaped(one)}." for one in others)]
    if result.outcome is Outcome.INSUFFICIENT_DATA:
        told += detail.missing(lacking, context, shown_at, stale, remarks)
    else:
        told += detail.others(remarks, context, ())
    told.append(context.facts_told)
    card = _card(summary, "info", "\n\n".join(told), context, new_id)
    subject = patient_reference or f"Patient/{result.patient_id}"
    return _with_orders(card, orders(lacking, context, remarks, new_id, subject, encounter_reference))


def earlier_card(
    earlier: EarlierScreening,
    result: PatientResult,
    context: CardContext,
    *,
    new_id: Callable[[], str],
    shown_at: datetime,
    stale: Mapping[str, datetime] = _NONE,
    remarks: Mapping[str, str] = _NONE,
    patient_reference: str | None = None,
    encounter_reference: str | None = None,
) -> dict[str, Any]:
    """Make the card of an earlier screening, where the chart has too little for a live score.

    Parameters
    ----------
    earlier
        Of this schema and patient; of low risk it is shown too, as `info`.
    result
        The live result that is not scored; the rest as in `risk_card`.

    Raises
    ------
    ResultError
        For a live result that is anything but `insufficient_data`; an earlier screening of somebody else, by other bounds or
        after `shown_at`; and a moment without a zone.
    """
    _check_not_scored(result, shown_at)
    _check_earlier(earlier, result, context, shown_at)
    age = duration(shown_at - earlier.occurred)
    risk = f"{earlier.risk_level.name} ({short_percentage(earlier.probability, context.risk_levels)}%)"
    summary = f"{context.title} Risk: {risk} at the screening {age} ago; too little data for a score now"
    said = f"**{earlier.risk_level.name}: {percentage(earlier.probability)}%**"
    said += f" at the screening of {minute(earlier.occurred)}, {age} before this card. {context.bounds_told}"
    lacking = _lacking(result, context)
    told = [said, "**The chart has too little data for a score now.** What was measured since is not part of this one."]
    told += detail.missing(lacking, context, shown_at, stale, remarks)
    told += [_earlier_model(earlier, context), context.facts_told]
    card = _card(summary, INDICATORS[earlier.risk_level], "\n\n".join(told), context, new_id)
    subject = patient_reference or f"Patient/{result.patient_id}"
    return _with_orders(card, orders(lacking, context, remarks, new_id, subject, encounter_reference))


def _earlier_model(earlier: EarlierScreening, context: CardContext) -> str:
    model = model_words(earlier.model_name, earlier.model_version, earlier.model_sha256)
    told = f"That screening: {model}, {earlier.basis_count} resources used, {escaped(earlier.reference)}."
    if earlier.preliminary:
        told += " It was preliminary: part of its inputs was not observed."
    if earlier.model_sha256 != context.model_sha256:
        told += f" It was another model than the one below. {UNKNOWN}"
    return told


def _card(summary: str, indicator: str, told: str, context: CardContext, new_id: Callable[[], str]) -> dict[str, Any]:
    return {
        "uuid": new_id(),
        "summary": summary,
        "indicator": indicator,
        "detail": told,
        "source": {"label": context.source_label, "url": context.source_url, "topic": dict(context.topic)},
        "overrideReasons": [dict(reason) for reason in context.override_reasons],
        "links": [{"label": context.model_card_label, "url": context.model_card_url, "type": "absolute"}],
    }


def _with_orders(card: dict[str, Any], suggestions: list[dict[str, Any]]) -> dict[str, Any]:
    if suggestions:
        card["suggestions"] = suggestions
        card["selectionBehavior"] = "any"
    return card


def _lacking(result: PatientResult, context: CardContext) -> list[str]:
    """Return the features that the result names; the reasons of other outcomes are no features."""
    return [name for name in result.detail if name in context.features]


def _listed(names: list[str]) -> str:
    """Return names for a summary: as many as fit, one at least, and how many more."""
    shown = len(names)
    while shown > 1 and len(", ".join(names[:shown])) > NAMES_LENGTH:
        shown -= 1
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if shown < len(names) else "")


def _check_not_scored(result: PatientResult, shown_at: datetime) -> None:
    if result.outcome is Outcome.SCORED:
        raise ResultError(f"Patient/{result.patient_id} was scored: the score must be shown")
    _check_zone(shown_at)


def _check_earlier(earlier: EarlierScreening, result: PatientResult, context: CardContext, shown_at: datetime) -> None:
    if result.outcome is not Outcome.INSUFFICIENT_DATA:
        raise ResultError(f"Patient/{result.patient_id} is {result.outcome}: no earlier screening stands in for that")
    if earlier.patient_id != result.patient_id:
        raise ResultError(f"Patient/{result.patient_id} must not be shown another's screening: a defect of ours")
    if earlier.risk_level is not level(earlier.probability, context.risk_levels):
        raise ResultError(f"{earlier.reference} was screened by other bounds than the card's")
    if earlier.occurred > shown_at:
        raise ResultError(f"{earlier.reference} lies after the moment of the card")


def _check_zone(shown_at: datetime) -> None:
    if shown_at.tzinfo is None:
        raise ResultError("a card's moment has no zone: a defect of the caller")
