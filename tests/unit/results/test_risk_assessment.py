import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.results.assessments import AT, CONTEXT, RESULT, SHA, assessment, context, result

from screening.errors import ResultError
from screening.outcome import Input, Outcome, RiskLevel
from screening.results import risk_assessment
from screening.results.checks import check
from screening.results.identity import IDENTIFIER_SYSTEM, identifier
from screening.results.risk_assessment import AssessmentContext, build, to_json_bytes
from screening.schema import parse_schema

GOLDEN: dict[str, Any] = {
    "resourceType": "RiskAssessment",
    "meta": {
        "security": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                "code": "AIAST",
                "display": "Artificial Intelligence asserted",
            }
        ]
    },
    "identifier": [
        {
            "system": "urn:airflow-risk-screening:risk-assessment",
            "value": identifier("sepsis", "1.0.0", "2.1.0", SHA, "p-1", AT),
        }
    ],
    "status": "final",
    "method": {
        "coding": [{"system": "urn:airflow-risk-screening:model", "version": "2.1.0", "code": "sepsis"}],
        "text": f"sepsis v2.1.0 sha256:{SHA}",
    },
    "code": {
        "coding": [{"system": "urn:airflow-risk-screening:schema", "version": "1.0.0", "code": "sepsis"}],
        "text": "sepsis screen 1.0.0",
    },
    "subject": {"reference": "Patient/p-1"},
    "encounter": {"reference": "Encounter/e-1"},
    "occurrenceDateTime": "2026-03-10T12:00:00Z",
    "performer": {
        "type": "Device",
        "identifier": {"system": "urn:airflow-risk-screening:model", "value": f"sepsis|2.1.0|{SHA}"},
        "display": "sepsis risk model 2.1.0",
    },
    "basis": [
        {"reference": "Observation/a"},
        {"reference": "Observation/b/_history/1"},
        {"reference": "Patient/p-1/_history/2"},
    ],
    "prediction": [
        {
            "outcome": {
                "coding": [
                    {
                        "system": "http://hl7.org/fhir/sid/icd-10",
                        "code": "A41.9",
                        "display": "Sepsis, unspecified organism",
                    }
                ],
                "text": "Sepsis, unspecified organism",
            },
            "probabilityDecimal": 0.85,
            "qualitativeRisk": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/risk-probability",
                        "code": "high",
                        "display": "High likelihood",
                    }
                ]
            },
            "rationale": (
                "85 %; Heart rate 113 /min (2026-03-10T11:00Z), Troponin 0.004 ng/mL (2026-03-10T10:00Z, 3 values), "
                "Age 60 a [age from a birth date of year precision]; "
                "strongest (log-odds): Heart rate +0.91, Age +0.35, Troponin -0.35"
            ),
        }
    ],
    "note": [
        {
            "text": "Output of a screening model, not a diagnosis. Research software, not a medical device. "
            "The model was trained on synthetic patients and must not be used for real ones."
        }
    ],
}


def test_every_element_is_as_documented() -> None:
    assert build(RESULT, CONTEXT) == GOLDEN


def test_what_is_built_passes_our_own_checks() -> None:
    check(build(RESULT, CONTEXT))
    check(
        build(result(basis=(), encounter=None, contributions=None), context(mitigation="Take a look", synthetic=None))
    )


def test_the_bytes_are_the_same_in_every_process() -> None:
    turned = result(basis=RESULT.basis[::-1], contributions=dict(reversed(list((RESULT.contributions or {}).items()))))
    assert to_json_bytes(build(turned, CONTEXT)) == to_json_bytes(build(RESULT, CONTEXT))
    script = (
        "import sys; from tests.unit.results.assessments import RESULT, CONTEXT; "
        "from screening.results.risk_assessment import build, to_json_bytes; "
        "sys.stdout.buffer.write(to_json_bytes(build(RESULT, CONTEXT)))"
    )
    for seed in ("1", "2"):
        other = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "TZ": "Asia/Kolkata"},
            capture_output=True,
            check=True,
        )
        assert other.stdout == to_json_bytes(build(RESULT, CONTEXT))


def test_bytes_hold_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json_bytes({"value": float("nan")})


def test_the_probability_is_0_to_1_and_the_percentage_in_words() -> None:
    """The probability trap: 0.85 is a share of one, and the text says which."""
    for probability, words in (
        (0.85, "85 %"),
        (0.6999, "69.99 %"),
        (0.7, "70 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.0001, "0.01 %"),
    ):
        made = build(result(probability=probability), CONTEXT)["prediction"][0]
        assert made["probabilityDecimal"] == probability
        assert made["rationale"].startswith(f"{words}; ")
        assert json.loads(to_json_bytes(made))["probabilityDecimal"] == probability
    assert "percentages as well" in " ".join((risk_assessment.__doc__ or "").split())


@pytest.mark.parametrize(
    ("level", "display"),
    [
        (RiskLevel.LOW, "Low likelihood"),
        (RiskLevel.MODERATE, "Moderate likelihood"),
        (RiskLevel.HIGH, "High likelihood"),
    ],
)
def test_the_level_is_the_bands_own_code(level: RiskLevel, display: str) -> None:
    made = build(result(risk_level=level), CONTEXT)
    coding = made["prediction"][0]["qualitativeRisk"]["coding"]
    assert [(one["code"], one["display"]) for one in coding] == [(level.value, display)]
    check(made)


def test_imputed_inputs_make_it_preliminary_and_are_named() -> None:
    stood_in = (
        *RESULT.inputs,
        Input("lactate", "Lactate", "mmol/L", 1.8, imputed=True),
        Input("wbc", "White cells", "10*3/uL", None, imputed=True),
    )
    made = build(result(inputs=stood_in), CONTEXT)
    assert made["status"] == "preliminary"
    rationale = made["prediction"][0]["rationale"]
    assert "not observed: Lactate, White cells;" in rationale
    assert "1.8" not in rationale
    assert "not observed" in made["note"][0]["text"]
    check(made)


def test_a_model_without_reasons_says_so() -> None:
    rationale = build(result(contributions=None), CONTEXT)["prediction"][0]["rationale"]
    assert rationale.endswith("; this model gives no reasons")


def test_the_strongest_three_are_named_ties_by_name() -> None:
    shares = {"age": 0.1, "heart_rate": -0.5, "troponin": 0.5, "other": 0.05}
    rationale = build(result(contributions=shares), CONTEXT)["prediction"][0]["rationale"]
    assert rationale.endswith("strongest (log-odds): Heart rate -0.50, Troponin +0.50, Age +0.10")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (113.0, "113"),
        (0.004, "0.004"),
        (28500.0, "28500"),
        (1e6, "1000000"),
        (36.66667, "36.6667"),
        (-2.5, "-2.5"),
        (0.0, "0"),
    ],
)
def test_a_value_is_written_as_it_is(value: float, words: str) -> None:
    one = (Input("x", "X", "u", value, AT, 1),)
    assert f"X {words} u (" in build(result(inputs=one, contributions=None), CONTEXT)["prediction"][0]["rationale"]


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (AT, "2026-03-10T12:00:00Z"),
        (AT + timedelta(microseconds=1500), "2026-03-10T12:00:00.001500Z"),
        (datetime.fromisoformat("2026-03-10T17:30:00+05:30"), "2026-03-10T12:00:00Z"),
    ],
)
def test_the_time_of_prediction_is_written_in_utc(at: datetime, written: str) -> None:
    made = build(result(prediction_time=at), CONTEXT)
    assert made["occurrenceDateTime"] == written
    check(made)


@pytest.mark.parametrize(
    "encounter", [None, "", "urn:uuid:8f1b5d8e-0000-4000-8000-000000000000", "#e1", "Patient/1", "Encounter/"]
)
def test_an_encounter_that_would_dangle_is_left_out(encounter: str | None) -> None:
    made = build(result(encounter=encounter), CONTEXT)
    assert "encounter" not in made
    check(made)


def test_a_reference_stands_once_in_basis() -> None:
    made = build(result(basis=("Observation/a", "Observation/a")), CONTEXT)
    assert made["basis"] == [{"reference": "Observation/a"}]
    assert "basis" not in build(result(basis=()), CONTEXT)


def test_a_model_of_very_few_patients_says_so_in_every_assessment() -> None:
    texts = {flag: build(RESULT, context(tiny=flag))["note"][0]["text"] for flag in (True, False)}
    assert "fitted on very few patients" in texts[True]
    assert "very few" not in texts[False]
    named = {"name": "m", "version": "2", "sha256": SHA, "synthetic": False, "tiny": True}
    assert AssessmentContext.of(parse_schema(SCHEMA), named).tiny


def test_a_model_of_real_or_unknown_data_is_not_called_synthetic() -> None:
    texts = {flag: build(RESULT, context(synthetic=flag))["note"][0]["text"] for flag in (True, False, None)}
    assert "synthetic" in texts[True]
    assert "synthetic" not in texts[False]
    assert "not known" in texts[None]
    assert all("not a diagnosis" in text for text in texts.values())


def test_mitigation_and_model_card_are_written_where_given() -> None:
    made = build(RESULT, context(mitigation="Consider cultures", model_card_url="https://cards.example.org/sepsis"))
    assert made["mitigation"] == "Consider cultures"
    assert made["note"][0]["text"].endswith("Model card: https://cards.example.org/sepsis")
    assert "mitigation" not in assessment()
    check(made)


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": Outcome.INSUFFICIENT_DATA},
        {"outcome": Outcome.EXCLUDED},
        {"probability": None},
        {"risk_level": None},
        {"prediction_time": None},
        {"prediction_time": datetime(2026, 3, 10)},  # noqa: DTZ001
        {"probability": 0.85001},
        {"probability": float("nan")},
    ],
)
def test_what_was_not_scored_has_no_assessment(changed: dict[str, Any]) -> None:
    with pytest.raises(ResultError):
        build(result(**changed), CONTEXT)


def test_other_data_do_not_change_the_identifier_but_another_model_does() -> None:
    def value(**changed: Any) -> str:
        own = build(result(probability=0.2), context(**changed))["identifier"]
        assert own[0]["system"] == IDENTIFIER_SYSTEM
        return str(own[0]["value"])

    assert value() == GOLDEN["identifier"][0]["value"]
    assert value(model_sha256="f" * 64) != value()


SCHEMA = """
name: sepsis
version: "3"
outcome: {system: "http://snomed.info/sct", code: "91302008"}
features:
  heart_rate: {fhir_resource: Observation, code: "8867-4", code_system: "http://loinc.org", unit: /min}
"""


def test_the_context_is_made_of_schema_and_model() -> None:
    model = {"name": "m", "version": "2", "sha256": SHA, "synthetic": False}
    made = AssessmentContext.of(parse_schema(SCHEMA), model)
    assert (made.schema_name, made.schema_version, made.outcome.code) == ("sepsis", "3", "91302008")
    assert (made.model_name, made.model_version, made.model_sha256, made.synthetic) == ("m", "2", SHA, False)
    bare = build(RESULT, made)
    assert bare["prediction"][0]["outcome"] == {"coding": [{"system": "http://snomed.info/sct", "code": "91302008"}]}
    check(bare)
    with pytest.raises(ResultError, match="has no outcome: add outcome"):
        AssessmentContext.of(parse_schema(SCHEMA.replace("outcome:", "model_info:")), model)


def test_a_context_cannot_be_changed() -> None:
    assert replace(CONTEXT, synthetic=False) != CONTEXT
    with pytest.raises(AttributeError):
        CONTEXT.synthetic = False  # type: ignore[misc]
