"""What a RiskAssessment of ours must be before it leaves, and whether the server's copy says the same.

`fhir.resources` validates structure but lets through an unknown status, a probability of -1, "0.4" or 850, any reference
target and an empty array; those are checked here, in our own closed form.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from screening.errors import ResultError
from screening.results.identity import IDENTIFIER_SYSTEM

STATUSES = ("registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown")
"""Required binding: https://hl7.org/fhir/R4/valueset-observation-status.html"""
LEVELS = ("negligible", "low", "moderate", "high")
"""https://hl7.org/fhir/R4/codesystem-risk-probability.html without `certain`, which no model is."""
RISK_SYSTEM = "http://terminology.hl7.org/CodeSystem/risk-probability"
RETRACTED = ("entered-in-error", "cancelled")
LEFT_OUT = ("id", "meta", "text", "status")
UNORDERED = ("basis", "identifier", "coding")
PERFORMERS = ("Practitioner", "PractitionerRole", "Device")
_ID = r"[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
_SUBJECT = re.compile(r"Patient/[A-Za-z0-9\-.]{1,64}")
_BASIS = re.compile(rf"(?:Observation|Patient|Condition|Encounter|MedicationRequest|MedicationAdministration)/{_ID}")
ENCOUNTER = re.compile(r"(?:https?://\S+/)?Encounter/" + _ID)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


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
    predictions = _list(resource.get("prediction"))
    basis = resource.get("basis", [])
    encounter = resource.get("encounter")
    return [
        ("status", resource.get("status") in STATUSES),
        ("identifier", bool(own_identifier(resource))),
        ("subject", _matches(_SUBJECT, resource.get("subject"))),
        ("encounter", encounter is None or _matches(ENCOUNTER, encounter)),
        ("occurrenceDateTime", _is_moment(resource.get("occurrenceDateTime")) and "occurrencePeriod" not in resource),
        ("basis", isinstance(basis, list) and all(_matches(_BASIS, item) for item in basis)),
        ("basis: a Patient that is not the subject", not _strangers(_list(basis), _subject(resource))),
        ("performer", "performer" not in resource or _is_performer(resource["performer"])),
        ("method", _coded(resource.get("method"))),
        ("prediction", len(predictions) == 1 and isinstance(resource.get("prediction"), list)),
        ("prediction.probability", all(_is_probability(item) for item in predictions)),
        ("prediction.qualitativeRisk", all(_is_level(item.get("qualitativeRisk")) for item in predictions)),
        ("prediction.outcome", all(_coded(item.get("outcome")) for item in predictions)),
        ("an empty array, object or text, or NaN", not _has_empty(resource)),
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
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value <= 1 and "probabilityRange" not in prediction


def _is_level(concept: Any) -> bool:
    coding = _coding(concept)
    return coding is not None and coding.get("system") == RISK_SYSTEM and coding.get("code") in LEVELS


def _is_performer(found: Any) -> bool:
    """Tell whether a performer is a Device (or a clinician) that is named by an identifier or by a reference of its type."""
    if not isinstance(found, dict) or found.get("type") not in PERFORMERS:
        return False
    text = found.get("reference")
    if text is None:
        return isinstance(found.get("identifier"), dict)
    return isinstance(text, str) and re.fullmatch(rf"{found['type']}/{_ID}", text) is not None


def _subject(resource: dict[str, Any]) -> Any:
    found = resource.get("subject")
    return found.get("reference") if isinstance(found, dict) else None


def _strangers(basis: list[dict[str, Any]], own: Any) -> bool:
    texts = [str(item.get("reference")).partition("/_history/")[0] for item in basis]
    return any(text.startswith("Patient/") and text != own for text in texts)


def _is_moment(value: Any) -> bool:
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


def _coded(concept: Any) -> bool:
    coding = _coding(concept)
    return coding is not None and all(isinstance(coding.get(name), str) for name in ("system", "code"))


def _coding(concept: Any) -> dict[str, Any] | None:
    """Return the one coding of a concept; None where there is none, or more than one."""
    found = concept.get("coding") if isinstance(concept, dict) else None
    return found[0] if isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict) else None


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _has_empty(node: Any) -> bool:
    if isinstance(node, dict):
        return not node or any(_has_empty(item) for item in node.values())
    if isinstance(node, list):
        return not node or any(_has_empty(item) for item in node)
    if isinstance(node, str):
        return not node.strip()
    return node is None or (isinstance(node, float) and not math.isfinite(node))


def same_content(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Tell whether the server's copy says the same as the resource that we would write.

    Left out of account: id, meta, narrative; the status where theirs is `amended`; the order of members, of `basis`,
    `identifier` and `coding`; the form of decimals (0.85 and 0.8500) and of the time's zone; and the versions of `basis`
    where theirs has none at all (HAPI strips them unless it is told not to).
    """
    if theirs.get("status") not in (ours.get("status"), "amended"):
        return False
    if "basis" in ours and not any("/_history/" in str(item) for item in _list(theirs.get("basis"))):
        ours = {**ours, "basis": [_unversioned(item) for item in _list(ours["basis"])]}
    return bool(_plain(ours) == _plain(theirs))


def superseded(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the resource to PUT where the content under one identifier changed: ours, amended, under their id (RA-23).

    One that rests on imputed inputs stays `preliminary` all the same: `amended` would say that it is final.

    Raises
    ------
    ResultError
        Theirs was retracted, which a repeated run must not undo; or it has no id, or is not what ours would supersede.
    """
    identity = theirs.get("id")
    if not isinstance(identity, str) or not identity:
        raise ResultError("the server's RiskAssessment has no id: it cannot be amended")
    if theirs.get("status") in RETRACTED:
        raise ResultError(f"RiskAssessment/{identity} was retracted ({theirs['status']}) and stays so")
    if own_identifier(theirs) != own_identifier(ours) or _subject(theirs) != _subject(ours):
        raise ResultError(f"RiskAssessment/{identity} has another identifier or subject: it is not ours to amend")
    status = "preliminary" if ours.get("status") == "preliminary" else "amended"
    return {**ours, "id": identity, "status": status}


def own_identifier(resource: dict[str, Any]) -> str | None:
    """Return the value of the identifier under our system; None where there is none, or more than one."""
    own = [item for item in _list(resource.get("identifier")) if item.get("system") == IDENTIFIER_SYSTEM]
    value = own[0].get("value") if len(own) == 1 else None
    return value if isinstance(value, str) else None


def _plain(node: Any, name: str = "") -> Any:
    """Return a form in which equal content is equal."""
    if isinstance(node, dict):
        leave = LEFT_OUT if node.get("resourceType") else ()
        return {key: _plain(value, key) for key, value in node.items() if key not in leave}
    if isinstance(node, list):
        items = [_plain(item) for item in node]
        return sorted(items, key=repr) if name in UNORDERED else items
    if isinstance(node, int | float | Decimal) and not isinstance(node, bool):
        return float(node)
    if name == "occurrenceDateTime" and _is_moment(node):
        return datetime.fromisoformat(node).astimezone(UTC)
    return node


def _unversioned(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "reference": str(item.get("reference")).partition("/_history/")[0]}
