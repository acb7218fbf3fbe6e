"""The RiskAssessment that is written for a scored patient (FHIR R4; docs/risk-assessment.md).

The probability trap: R4's comment on `prediction.probability[x]` says that decimals are percentages as well (at most
100), so by the letter 0.85 means 0.85 %. The tutorial that this screening comes from, and the readers known to us, write
and read 0 to 1. We write 0 to 1, and make it unmistakable: `qualitativeRisk` says the band, `rationale` the percentage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from screening.errors import ResultError
from screening.outcome import Input, Outcome, PatientResult, RiskLevel
from screening.results.checks import ENCOUNTER, RISK_SYSTEM
from screening.results.identity import IDENTIFIER_SYSTEM, MODEL_SYSTEM, SCHEMA_SYSTEM, identifier
from screening.results.wording import LIMITS, minute, number, percentage, provenance, strongest
from screening.schema import Coding, Schema

AI_ASSERTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}
RISK_DISPLAY = {
    RiskLevel.LOW: "Low likelihood",
    RiskLevel.MODERATE: "Moderate likelihood",
    RiskLevel.HIGH: "High likelihood",
}
PRELIMINARY = "Preliminary: part of the model's inputs was not observed."
DECIMALS = 4


@dataclass(frozen=True)
class AssessmentContext:
    """What every RiskAssessment of a run has in common.

    Attributes
    ----------
    schema_name, schema_version, outcome
        Of the screen; `outcome` is the coding of what is predicted.
    model_name, model_version, model_sha256
        RA-04: both version and hash are written.
    synthetic
        Whether the model was trained on invented patients; the note then says so. None where that is not known, which the
        note says too.
    tiny
        Whether the model was published in spite of too little data; the note then says so.
    mitigation
        Suggested action, as text; None writes none.
    model_card_url
        Where the model card can be read; None writes none.
    """

    schema_name: str
    schema_version: str
    outcome: Coding
    model_name: str
    model_version: str
    model_sha256: str
    synthetic: bool | None
    tiny: bool = False
    mitigation: str | None = None
    model_card_url: str | None = None

    @classmethod
    def of(cls, schema: Schema, model: Mapping[str, Any]) -> Self:
        """Make the context of a schema and a model as a run names it (`name`, `version`, `sha256`, `synthetic`, `tiny`).

        Raises
        ------
        ResultError
            Where the schema does not say what is predicted.
        """
        if schema.outcome is None:
            raise ResultError(f"schema {schema.name} has no outcome: add outcome: {{system, code, display}} to it")
        return cls(
            schema.name,
            schema.version,
            schema.outcome,
            model["name"],
            model["version"],
            model["sha256"],
            model["synthetic"],
            tiny=model.get("tiny", False),
        )


def build(result: PatientResult, context: AssessmentContext) -> dict[str, Any]:
    """Build the RiskAssessment of a scored patient; equal arguments give equal bytes.

    Raises
    ------
    ResultError
        For a result that is not scored, or whose probability is not the rounded one that its level was taken from.
    """
    if result.outcome is not Outcome.SCORED or result.probability is None or result.risk_level is None:
        raise ResultError(f"Patient/{result.patient_id} was not scored: there is no RiskAssessment to write")
    if result.prediction_time is None:
        raise ResultError(f"Patient/{result.patient_id} was scored without a prediction time")
    if result.probability != round(result.probability, DECIMALS):
        raise ResultError(
            f"Patient/{result.patient_id} has a probability of more than {DECIMALS} decimals: a defect of ours"
        )
    resource: dict[str, Any] = {
        "resourceType": "RiskAssessment",
        "meta": {"security": [AI_ASSERTED]},
        "identifier": [{"system": IDENTIFIER_SYSTEM, "value": _identifier(result, result.prediction_time, context)}],
        "status": "preliminary" if result.imputed else "final",
        "method": _method(context),
        "code": _screen(context),
        "subject": {"reference": f"Patient/{result.patient_id}"},
        "occurrenceDateTime": result.prediction_time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "performer": _performer(context),
        "prediction": [_prediction(result, result.probability, result.risk_level, context)],
        "note": [{"text": _note(result, context)}],
    }
    # A reference of another form (a Bundle's urn:uuid, a contained "#e1") would dangle in a resource of its own.
    if result.encounter and ENCOUNTER.fullmatch(result.encounter):
        resource["encounter"] = {"reference": result.encounter}
    if context.mitigation:
        resource["mitigation"] = context.mitigation
    if result.basis:
        resource["basis"] = [{"reference": reference} for reference in sorted(set(result.basis))]
    return resource


def to_json_bytes(resource: dict[str, Any]) -> bytes:
    """Return the canonical bytes of a resource: sorted keys, no spaces."""
    return json.dumps(resource, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _identifier(result: PatientResult, at: datetime, context: AssessmentContext) -> str:
    return identifier(
        context.schema_name, context.schema_version, context.model_version, context.model_sha256, result.patient_id, at
    )


def _method(context: AssessmentContext) -> dict[str, Any]:
    coding = {"system": MODEL_SYSTEM, "version": context.model_version, "code": context.model_name}
    return {"coding": [coding], "text": f"{context.model_name} v{context.model_version} sha256:{context.model_sha256}"}


def _screen(context: AssessmentContext) -> dict[str, Any]:
    coding = {"system": SCHEMA_SYSTEM, "version": context.schema_version, "code": context.schema_name}
    return {"coding": [coding], "text": f"{context.schema_name} screen {context.schema_version}"}


def _note(result: PatientResult, context: AssessmentContext) -> str:
    parts = [LIMITS, *provenance(context.synthetic, context.tiny)]
    if result.imputed:
        parts.append(PRELIMINARY)
    if context.model_card_url:
        parts.append(f"Model card: {context.model_card_url}")
    return " ".join(parts)


def _performer(context: AssessmentContext) -> dict[str, Any]:
    """A logical reference: the model is a Device, and no Device resource need exist for it to be told apart."""
    value = f"{context.model_name}|{context.model_version}|{context.model_sha256}"
    return {
        "type": "Device",
        "identifier": {"system": MODEL_SYSTEM, "value": value},
        "display": f"{context.model_name} risk model {context.model_version}",
    }


def _prediction(
    result: PatientResult, probability: float, level: RiskLevel, context: AssessmentContext
) -> dict[str, Any]:
    outcome = {"system": context.outcome.system, "code": context.outcome.code}
    if context.outcome.display:
        outcome["display"] = context.outcome.display
    concept: dict[str, Any] = {"coding": [outcome]}
    if context.outcome.display:
        concept["text"] = context.outcome.display
    return {
        "outcome": concept,
        "probabilityDecimal": probability,
        "qualitativeRisk": {
            "coding": [{"system": RISK_SYSTEM, "code": level.value, "display": RISK_DISPLAY[level]}],
        },
        "rationale": rationale(result, probability),
    }


def rationale(result: PatientResult, probability: float) -> str:
    """Return the percentage, every input with unit and time, what was imputed, and the strongest reasons (RA-14)."""
    used = [_words(item) for item in result.inputs if not item.imputed]
    parts = [f"{percentage(probability)} %", ", ".join(used)]
    if result.imputed:
        parts.append(f"not observed: {', '.join(_names(result, result.imputed))}")
    if result.contributions is None:
        parts.append("this model gives no reasons")
    else:
        ranked = strongest(result.contributions)
        names = _names(result, tuple(name for name, _ in ranked))
        reasons = [f"{name} {value:+.2f}" for name, (_, value) in zip(names, ranked, strict=True)]
        parts.append(f"strongest (log-odds): {', '.join(reasons)}")
    return "; ".join(part for part in parts if part)


def _words(item: Input) -> str:
    unit = f" {item.unit}" if item.unit else ""
    values = f", {item.count} values" if item.count > 1 else ""
    time = f" ({minute(item.time)}{values})" if item.time else ""
    note = f" [{item.note}]" if item.note else ""
    return f"{item.display} {'missing' if item.value is None else number(item.value)}{unit}{time}{note}"


def _names(result: PatientResult, features: tuple[str, ...]) -> list[str]:
    display = {item.feature: item.display for item in result.inputs}
    return [display.get(name, name) for name in features]
