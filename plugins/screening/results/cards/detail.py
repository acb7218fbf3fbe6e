"""A card's `detail`: what the score rests on, so that a clinician can judge it without trusting it (CH-4F, CH-4G).

GitHub-flavoured Markdown: one table and paragraphs. Every foreign text in it is escaped.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from screening.outcome import Input, PatientResult
from screening.results.cards.context import CardContext, duration
from screening.results.cards.markdown import escaped
from screening.results.wording import minute, number, percentage, printed, strongest

INPUTS = "| Input | Value | Measured (UTC) | Age | Remarks |\n|---|---|---|---|---|"
MISSING = "| Input | Newest value, too old to count (UTC) | Age | Remarks |\n|---|---|---|---|"
SLIGHT = 0.005
"""Log-odds that read as 0.00."""


def scored(
    result: PatientResult,
    probability: float,
    context: CardContext,
    shown_at: datetime,
    stale: Mapping[str, datetime],
    remarks: Mapping[str, str],
    incomplete: Collection[str] = (),
) -> str:
    """Return the detail of a score."""
    level = result.risk_level.name if result.risk_level else ""
    when = f", as of {minute(result.prediction_time)}" if result.prediction_time else ""
    parts = [f"**{level}: {percentage(probability)}%**{when}. {context.bounds_told}"]
    if lost := [escaped(words.display) for name, words in context.features.items() if name in incomplete]:
        parts.append(
            f"**Incomplete:** data were lost or could not be used, and the risk may be another: {', '.join(lost)}."
        )
    if imputed := result.imputed:
        parts.append(f"**Preliminary:** {len(imputed)} of {len(result.inputs)} inputs not observed, but stood in for.")
    rows = [_row(item, context, shown_at, stale, remarks) for item in result.inputs]
    parts.append("\n".join([INPUTS, *rows]))
    parts += others(remarks, context, {item.feature for item in result.inputs})
    parts.append(_reasons(result))
    parts.append(context.facts_told)
    return "\n\n".join(parts)


def missing(
    features: Iterable[str],
    context: CardContext,
    shown_at: datetime,
    stale: Mapping[str, datetime],
    remarks: Mapping[str, str],
) -> list[str]:
    """Return the paragraphs that say what is missing, how old the newest value is, and what a score needs."""
    lacking = set(features)
    told = [name for name in context.features if name in lacking or name in stale or name in remarks]
    rows = [MISSING]
    for name in told:
        old = stale.get(name)
        when, age = (minute(old), _age(shown_at, old)) if old else ("–", "–")
        words = (["**missing**"] if name in lacking else []) + ([escaped(remarks[name])] if remarks.get(name) else [])
        rows.append(f"| {escaped(context.features[name].display)} | {when} | {age} | {'; '.join(words) or '–'} |")
    table = ["\n".join(rows)] if told else []
    return [*table, *others(remarks, context, told), context.needs_told]


def _row(
    item: Input, context: CardContext, shown_at: datetime, stale: Mapping[str, datetime], remarks: Mapping[str, str]
) -> str:
    value = "none" if item.value is None else number(item.value)
    if item.unit and item.value is not None:
        value = f"{value} {escaped(printed(item.unit))}"
    when, age = (minute(item.time), _age(shown_at, item.time)) if item.time else ("–", "–")
    told = _remarks(item, context, shown_at, stale, remarks)
    return f"| {escaped(item.display)} | {value} | {when} | {age} | {told} |"


def _remarks(
    item: Input, context: CardContext, shown_at: datetime, stale: Mapping[str, datetime], remarks: Mapping[str, str]
) -> str:
    told = []
    known = context.features.get(item.feature)
    if item.imputed:
        told.append("**imputed**" if item.value is not None else "**imputed** by the model itself")
        if old := stale.get(item.feature):
            limit = f"older than {context.lookback}" if context.lookback else "too old"
            told.append(
                f"**stale:** the newest value is of {minute(old)} ({_age(shown_at, old)}), {limit}, and not used"
            )
        elif not remarks.get(item.feature):
            bound = context.lookback and (known is None or known.ages)
            told.append(f"no value in the last {context.lookback}" if bound else "no value")
    elif item.count > 1:
        told.append(f"{known.how if known else 'of'} of {item.count} values")
    if remark := remarks.get(item.feature):
        told.append(escaped(remark))
    if item.note:
        told.append(escaped(item.note))
    return "; ".join(told) or "–"


def _age(now: datetime, then: datetime) -> str:
    span = now - then
    return duration(span) if span.total_seconds() >= 0 else "later than this card"


def others(remarks: Mapping[str, str], context: CardContext, told: Collection[str]) -> list[str]:
    """Return a paragraph of the remarks on what has no row: the Patient, or an input that this model does not use."""
    named = {name: words.display for name, words in context.features.items() if name in remarks}
    named |= {name: name for name in remarks if name not in named}
    found = [
        f"{escaped(shown)}: {escaped(remarks[name])}"
        for name, shown in named.items()
        if remarks[name] and name not in told
    ]
    return [f"Also: {'; '.join(found)}."] if found else []


def _reasons(result: PatientResult) -> str:
    if result.contributions is None:
        return "Reasons: this model gives none."
    items = {item.feature: item for item in result.inputs}
    told = []
    for name, value in strongest(result.contributions):
        if abs(value) < SLIGHT:
            continue
        item = items.get(name)
        what = escaped(item.display if item else name)
        if item and item.imputed:
            what += " (imputed)"
        elif item and item.value is not None:
            what += f" {number(item.value)}" + (f" {escaped(printed(item.unit))}" if item.unit else "")
        told.append(f"{what} {'raises' if value > 0 else 'lowers'} it ({value:+.2f})")
    if not told:
        return "Reasons: no input moved the score by 0.01 log-odds or more."
    return f"Strongest reasons, in log-odds of the risk: {', '.join(told)}."
