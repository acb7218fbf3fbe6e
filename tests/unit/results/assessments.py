"""One scored patient and the context of its run, to vary."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from screening.outcome import Input, Outcome, PatientResult, RiskLevel
from screening.results.risk_assessment import AssessmentContext, build
from screening.schema import Coding

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
SHA = "0123456789abcdef" * 4

CONTEXT = AssessmentContext(
    schema_name="sepsis",
    schema_version="1.0.0",
    outcome=Coding(system="http://hl7.org/fhir/sid/icd-10", code="A41.9", display="Sepsis, unspecified organism"),
    model_name="sepsis",
    model_version="2.1.0",
    model_sha256=SHA,
    synthetic=True,
)
RESULT = PatientResult(
    "p-1",
    Outcome.SCORED,
    prediction_time=AT,
    probability=0.85,
    risk_level=RiskLevel.HIGH,
    inputs=(
        Input("heart_rate", "Heart rate", "/min", 113.0, AT - timedelta(hours=1), 1),
        Input(
            "troponin",
            "Troponin",
            "ng/mL",
            0.004,
            (AT - timedelta(hours=2)).astimezone(timezone(timedelta(hours=5))),
            3,
        ),
        Input("age", "Age", "a", 60.0, note="age from a birth date of year precision"),
    ),
    contributions={"heart_rate": 0.912, "troponin": -0.35, "age": 0.35},
    basis=("Patient/p-1/_history/2", "Observation/b/_history/1", "Observation/a"),
    encounter="Encounter/e-1",
)


def result(**changed: Any) -> PatientResult:
    return replace(RESULT, **changed)


def context(**changed: Any) -> AssessmentContext:
    return replace(CONTEXT, **changed)


def assessment(**changed: Any) -> dict[str, Any]:
    """Return a fresh resource of ours, with elements replaced; None takes one away."""
    made = {**build(RESULT, CONTEXT), **changed}
    return {name: value for name, value in made.items() if value is not None}
