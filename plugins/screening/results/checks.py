"""What a RiskAssessment of ours must be before it leaves, and whether the server's copy says the same.

`fhir.resources` validates structure but lets through an unknown status, a probability of -1, "0.4" or 850, any reference
target and an empty array; those are checked here, in our own closed form.
"""

from __future__ import annotations

import math
import re
from typing import Any

from screening.errors import ResultError
from screening.results.identity import IDENTIFIER_SYSTEM

STATUSES = ("registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown")
"""Required binding: https://hl7.org/fhir/R4/valueset-observation-status.html"""
LEVELS = ("low", "moderate", "high")
_ID = r"[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
_SUBJECT = re.compile(r"Patient/[A-Za-z0-9\-.]{1,64}")
_BASIS = re.compile(rf"(?:Observation|Patient|Condition|Encounter|MedicationRequest|MedicationAdministration)/{_ID}")
_ENCOUNTER = re.compile(r"(?:https?://\S+/)?Encounter/" + _ID)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_LEAVE = ("id", "meta", "text", "status")


def check(resource: dict[str, Any]) -> None:
    """Refuse what must not be written.

    Raises
    ------
    ResultError
        Names every element that is wrong, without its value.
    """
    problems = [name for name, fine in _rules(resource) if not fine]
    if not problems:
        problems = _structure(resource)
    if problems:
        raise ResultError(f"RiskAssessment not fit to be written: {', '.join(problems)}")


def _rules(resource: dict[str, Any]) -> list[tuple[str, bool]]:
    own = [item for item in _list(resource.get("identifier")) if item.get("system") == IDENTIFIER_SYSTEM]
    predictions = _list(resource.get("prediction"))
    basis = resource.get("basis", [])
    encounter = resource.get("encounter")
    return [
        ("status", resource.get("status") in STATUSES),
        ("identifier", len(own) == 1 and bool(own[0].get("value"))),
        ("subject", _matches(_SUBJECT, resource.get("subject"))),
        ("encounter", encounter is None or _matches(_ENCOUNTER, encounter)),
        ("occurrenceDateTime", _is_moment(resource.get("occurrenceDateTime")) and "occurrencePeriod" not in resource),
        ("basis", isinstance(basis, list) and all(_matches(_BASIS, item) for item in basis)),
        ("method", bool(_coded(resource.get("method")))),
        ("prediction", len(predictions) == 1 and isinstance(resource.get("prediction"), list)),
        ("prediction.probability", all(_is_probability(item) for item in predictions)),
        ("prediction.qualitativeRisk", all(_coded(item.get("qualitativeRisk")) in LEVELS for item in predictions)),
        ("prediction.outcome", all(_coded(item.get("outcome")) for item in predictions)),
        ("an empty array, object or text", not _has_empty(resource)),
    ]


def _structure(resource: dict[str, Any]) -> list[str]:
    """Return the elements that the R4B model refuses (its RiskAssessment is R4's)."""
    from fhir.resources.R4B.riskassessment import RiskAssessment
    from pydantic import ValidationError

    try:
        RiskAssessment.model_validate(resource)
    except ValidationError as error:
        return sorted({".".join(str(part) for part in item["loc"]) or "structure" for item in error.errors()})
    return []


def _is_probability(prediction: dict[str, Any]) -> bool:
    value = prediction.get("probabilityDecimal")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value <= 1 and "probabilityRange" not in prediction


def _is_moment(value: Any) -> bool:
    from datetime import datetime

    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _matches(pattern: re.Pattern[str], reference: Any) -> bool:
    text = reference.get("reference") if isinstance(reference, dict) else None
    return isinstance(text, str) and bool(pattern.fullmatch(text))


def _coded(concept: Any) -> str | None:
    codings = _list(concept.get("coding")) if isinstance(concept, dict) else []
    code = codings[0].get("code") if len(codings) == 1 and codings[0].get("system") else None
    return code if isinstance(code, str) else None


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _has_empty(node: Any) -> bool:
    if isinstance(node, dict):
        return not node or any(_has_empty(item) for item in node.values())
    if isinstance(node, list):
        return not node or any(_has_empty(item) for item in node)
    return node is None or node == ""


def same_content(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Tell whether the server's copy says the same.

    Left out of account: id, meta, narrative, the status where theirs is `amended`, the order of members and of `basis`, and
    the form of decimals (0.85 and 0.8500).
    """
    status = ours.get("status") == theirs.get("status") or theirs.get("status") == "amended"
    return status and _plain(ours) == _plain(theirs)


def _plain(resource: dict[str, Any]) -> dict[str, Any]:
    kept = {name: _numbers(value) for name, value in resource.items() if name not in _LEAVE}
    if isinstance(kept.get("basis"), list):
        kept["basis"] = sorted(kept["basis"], key=str)
    return kept


def _numbers(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _numbers(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_numbers(item) for item in node]
    if isinstance(node, int | float) and not isinstance(node, bool):
        return float(node)
    return node


def superseded(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the resource to PUT where the content under one identifier changed: ours, amended, under their id (RA-23)."""
    return {**ours, "id": theirs["id"], "status": "amended"}
