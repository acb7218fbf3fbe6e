"""A RiskAssessment of the last screening, read back so strictly that it may be shown where the chart gives no live score.

Whatever it says that is not exactly what this project writes, of this screen, about this patient, is a reason not to show
it: nothing is better than somebody else's score, or one that was taken back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from screening.outcome import RiskLevel
from screening.results.checks import RISK_SYSTEM, own_identifier
from screening.results.identity import MODEL_SYSTEM, SCHEMA_SYSTEM
from screening.schema import Schema
from screening.scoring import DECIMALS, level

STANDING = ("final", "preliminary", "amended", "corrected")
"""Statuses of an assessment that stands; `entered-in-error` and `cancelled` were taken back."""
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LONGEST_NAME = 255
_SHA = re.compile(r"sha256:([0-9a-f]{64})\b")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class EarlierScreening:
    """What an earlier screening found.

    Attributes
    ----------
    patient_id
        Whom it is about.
    probability, risk_level
        As written: four decimals, and the level by the bounds in force now.
    occurred
        The prediction time, timezone-aware.
    model_name, model_version, model_sha256
        Of the model that answered then.
    reference
        `RiskAssessment/id`.
    basis_count
        How many resources it rests on.
    preliminary
        Whether part of the inputs was stood in for.
    """

    patient_id: str
    probability: float
    risk_level: RiskLevel
    occurred: datetime
    model_name: str
    model_version: str
    model_sha256: str
    reference: str
    basis_count: int
    preliminary: bool = False


def from_resource(resource: Any, schema: Schema, patient_id: str) -> EarlierScreening | None:
    """Read a RiskAssessment of ours; None where `reasons_against` has any.

    Parameters
    ----------
    resource
        A RiskAssessment as parsed from JSON.
    schema
        The screen that it must be of, in name, version, outcome and bounds.
    patient_id
        Whom it must be about.
    """
    if reasons_against(resource, schema, patient_id):
        return None
    (prediction,) = resource["prediction"]
    (method,) = resource["method"]["coding"]
    probability = float(prediction["probabilityDecimal"])
    return EarlierScreening(
        patient_id,
        probability,
        level(probability, schema.risk_levels),
        datetime.fromisoformat(resource["occurrenceDateTime"]).astimezone(UTC),
        method["code"],
        method["version"],
        _SHA.findall(resource["method"]["text"])[0],
        f"RiskAssessment/{resource['id']}",
        len(resource.get("basis", ())),
        resource["status"] == "preliminary",
    )


def reasons_against(resource: Any, schema: Schema, patient_id: str) -> list[str]:
    """Say why a resource cannot be shown as this screen's assessment of this patient; empty where it can be.

    The words name elements, never their content.
    """
    if not isinstance(resource, dict) or resource.get("resourceType") != "RiskAssessment":
        return ["no RiskAssessment"]
    rules = [*_own(resource, schema, patient_id), *_said(resource, schema)]
    return [words for words, holds in rules if not holds]


def _own(resource: dict[str, Any], schema: Schema, patient_id: str) -> list[tuple[str, bool]]:
    return [
        ("id", isinstance(resource.get("id"), str) and bool(_ID.fullmatch(resource["id"]))),
        (
            "a modifier that is not understood",
            not resource.get("modifierExtension") and not resource.get("implicitRules"),
        ),
        ("identifier is none of ours", _is_uuid(own_identifier(resource))),
        ("status", resource.get("status") in STANDING),
        ("code is another screen's", _is_coding(resource.get("code"), SCHEMA_SYSTEM, schema.name, schema.version)),
        ("subject is another", _at(resource, "subject", "reference") == f"Patient/{patient_id}"),
        ("method", _names_model(resource.get("method"))),
        ("occurrenceDateTime", _is_moment(resource.get("occurrenceDateTime")) and "occurrencePeriod" not in resource),
        ("basis", isinstance(resource.get("basis", []), list)),
    ]


def _said(resource: dict[str, Any], schema: Schema) -> list[tuple[str, bool]]:
    predictions = resource.get("prediction")
    if not isinstance(predictions, list) or len(predictions) != 1 or not isinstance(predictions[0], dict):
        return [("prediction", False)]
    said = predictions[0]
    probability: Any = said.get("probabilityDecimal")
    if not _is_probability(probability):
        return [("prediction.probability", False)]
    found = level(float(probability), schema.risk_levels)
    outcome = schema.outcome
    return [
        ("prediction.probability", "probabilityRange" not in said),
        ("prediction.outcome", outcome is not None and _is_coding(said.get("outcome"), outcome.system, outcome.code)),
        (
            "prediction.qualitativeRisk is not the level of the bounds in force",
            _is_coding(said.get("qualitativeRisk"), RISK_SYSTEM, found.value),
        ),
    ]


def _is_uuid(value: str | None) -> bool:
    try:
        return str(UUID(value or "")) == value
    except ValueError:
        return False


def _is_probability(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    if isinstance(value, Decimal) and value.is_nan():  # which no comparison takes
        return False
    return 0 <= value <= 1 and round(float(value), DECIMALS) == float(value)


def _is_moment(value: Any) -> bool:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _is_coding(concept: Any, system: str, code: str, version: str | None = None) -> bool:
    coding = _coding(concept)
    return (coding.get("system"), coding.get("code")) == (system, code) and version in (None, coding.get("version"))


def _names_model(method: Any) -> bool:
    coding = _coding(method)
    text = _at(method, "text")
    named = all(_is_name(coding.get(name)) for name in ("code", "version"))
    return named and coding.get("system") == MODEL_SYSTEM and isinstance(text, str) and len(_SHA.findall(text)) == 1


def _is_name(value: Any) -> bool:
    """Tell a name that can be kept and shown: what a database refuses, such as U+0000, would take other cards with it."""
    return isinstance(value, str) and bool(value.strip()) and len(value) <= _LONGEST_NAME and value.isprintable()


def _coding(concept: Any) -> Mapping[str, Any]:
    """Return the one coding of a concept; empty where there is none, or more than one."""
    found = _at(concept, "coding")
    return found[0] if isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict) else {}


def _at(node: Any, *path: str) -> Any:
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node
