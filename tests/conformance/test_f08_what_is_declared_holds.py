"""F8: the peer's required, dtype, unit and transform are decoration, and a Condition feature is never filled."""

from pathlib import Path

import pytest
from tests.charts import LOINC, SICK, chart, patient, result, schema_of, sepsis, value

from screening.errors import SchemaError
from screening.outcome import Outcome
from screening.schema import parse_schema

ICD = "http://hl7.org/fhir/sid/icd-10"


@pytest.mark.parametrize("name", [feature.name for feature in sepsis().features.values() if feature.required])
def test_f8_a_required_feature_that_is_absent_keeps_the_patient_from_a_score(name: str) -> None:
    """The peer says "Validation passed" with all six required observations absent."""
    values = {feature: number for feature, number in SICK.items() if feature != name}
    one = result([*chart(values=values)[1:], patient(birthDate=None if name == "age" else "1966-03-10")])
    assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, (name,))


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("transform: nonsense_transform", "features.heart_rate.transform"),
        ("dtype: nonsense", "features.heart_rate.dtype"),
        ("unit: nonsense", "features.heart_rate.unit"),
        ("required: perhaps", "features.heart_rate.required"),
        ("nonsense: 1", "features.heart_rate.nonsense"),
        ("field: birthDate", "features.heart_rate"),
    ],
)
def test_f8_a_key_that_means_nothing_is_refused(key: str, problem: str) -> None:
    """The peer accepts transform: nonsense_transform."""
    unit = "" if key.startswith("unit") else "unit: bpm, "
    text = (
        "name: s\nversion: '1'\nfeatures:\n"
        f"  heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, {unit}{key}}}\n"
    )
    with pytest.raises(SchemaError) as caught:
        parse_schema(text)
    assert [found.split(": ")[0] for found in caught.value.problems] == [problem]


def test_f8_a_resource_type_that_is_not_read_is_refused() -> None:
    """The peer documents MedicationStatement features, and maps none."""
    with pytest.raises(SchemaError, match=r"features\.statins\.fhir_resource"):
        schema_of("statins: {fhir_resource: MedicationStatement, code: c, code_system: s}")


def test_f8_a_condition_feature_is_filled() -> None:
    """The peer leaves a Condition A41.9 NaN."""
    schema = schema_of(f'sepsis: {{fhir_resource: Condition, code: A41.9, code_system: "{ICD}"}}')
    condition = {
        "resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}, "recordedDate": "2026-03-01",
        "code": {"coding": [{"system": ICD, "code": "A41.9"}]},
    }  # fmt: skip
    assert value([patient(), condition], "sepsis", schema=schema) == 1.0
    assert value([patient()], "sepsis", schema=schema) == 0.0


def test_f8_the_tutorials_required_features_hold(tutorial: Path) -> None:
    """The peer's own schema requires eight features, and its validation asks for none."""
    schema = parse_schema((tutorial / "sepsis_vitals.yaml").read_text())
    assert all(feature.required for feature in schema.features.values())
