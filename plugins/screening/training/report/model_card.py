"""The model card: one structure, as JSON for machines and as Markdown for people; what was not done says so.

It carries the source attributes of HTI-1 and the fields of CHAI's applied model card, and claims to comply with neither.
The same input gives the same bytes; of the time nothing but `Facts.created` is told.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from screening.schema import Schema
from screening.training.plan import TrainingPlan
from screening.training.report import card_facts
from screening.training.report.card_chai import applied_model_card
from screening.training.report.card_hti1 import source_attributes
from screening.training.report.document import plain, table
from screening.training.report.facts import Facts, as_json
from screening.training.report.wording import UNDEFINED, interval, warnings

NO_CLAIM = (
    "The sections hti1 and chai use the names of 45 CFR 170.315(b)(11)(iv)(B) and of the CHAI applied model card v0.2. No "
    "compliance with them, nor with any other standard, is claimed."
)
_HEADINGS = {
    "hti1": "Source attributes of 45 CFR 170.315(b)(11)(iv)(B), predictive decision support",
    "chai": "CHAI applied model card v0.2",
    "label": "Label: what a positive stay is",
}
_INTERVAL = {"value", "low", "high"}


def model_card(
    schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts
) -> tuple[dict[str, Any], str]:
    """Return the card for JSON, and the same card as Markdown.

    Parameters
    ----------
    evaluation
        Of the chosen candidate; `tests/unit/training/evaluation_example.py` shows its shape.

    Raises
    ------
    FatalError
        The evaluation or the model's metadata hold a number that is not finite.
    """
    card = {
        "title": f"Model card: {facts.named}",
        "warnings": warnings(evaluation),
        "about": NO_CLAIM,
        "model": card_facts.model(plan, evaluation, facts),
        "limits": card_facts.limits(plan, evaluation),
        "gate": {
            "promoted": facts.gate["promoted"],
            "reasons": list(facts.gate["reasons"]),
            "rules": [{key: rule[key] for key in ("rule", "verdict", "words")} for rule in facts.gate["rules"]],
        },
        "label": card_facts.label(plan),
        "cohort": card_facts.cohort(schema, plan, evaluation),
        "data": card_facts.data(facts),
        "features": card_facts.features(schema, facts),
        "performance": card_facts.performance(evaluation),
        "schema": {"name": schema.name, "version": schema.version, "sha256": facts.metadata["schema_sha256"]},
        "hti1": source_attributes(schema, plan, evaluation, facts),
        "chai": applied_model_card(schema, plan, evaluation, facts),
    }
    plain_card: dict[str, Any] = json.loads(as_json(card, "the model card"))
    return plain_card, _markdown(plain_card)


def _markdown(card: Mapping[str, Any]) -> str:
    parts = [f"# {plain(card['title'])}", *(f"> **{plain(text)}**" for text in card["warnings"]), plain(card["about"])]
    for key, value in card.items():
        if key not in ("title", "warnings", "about"):
            parts += [f"## {_heading(key)}", *_body(value, 3)]
    return "\n\n".join(parts) + "\n"


def _body(value: Any, level: int) -> list[str]:
    """Return the blocks of a value: nothing of the structure is left out, whatever stands in it."""
    if isinstance(value, Mapping) and set(value) != _INTERVAL:
        flat = [f"- **{plain(key)}**: {_text(part)}" for key, part in value.items() if not _deep(part)]
        blocks = ["\n".join(flat)] if flat else []
        for key, part in value.items():
            if _deep(part):
                blocks += [f"{'#' * min(level, 6)} {_heading(key)}", *_body(part, level + 1)]
        return blocks
    if _is_table(value):
        return [table([_heading(key) for key in value[0]], [[_cell(part) for part in row.values()] for row in value])]
    if isinstance(value, list):
        return ["\n".join(f"- {_text(part)}" for part in value) or "none"]
    return [_text(value)]


def _deep(value: Any) -> bool:
    """Tell whether a value needs a heading of its own: a table, or more than a figure."""
    return _is_table(value) or (isinstance(value, Mapping) and set(value) != _INTERVAL)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _text(value: Any) -> str:
    return plain(_cell(value))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return UNDEFINED
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return interval({key: value[key] for key in ("value", "low", "high")}, 3)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(_cell(part) for part in value) or "none"
    return str(value)


def _heading(key: str) -> str:
    if key in _HEADINGS:
        return _HEADINGS[key]
    return plain(key.replace("_", " "))
