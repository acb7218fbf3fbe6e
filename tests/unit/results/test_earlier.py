"""A RiskAssessment of the last screening: read back only where nothing in it is in doubt."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.charts import sepsis
from tests.unit.results.assessments import AT, RESULT, SHA, assessment, result

from screening.outcome import RiskLevel
from screening.results.earlier import EarlierScreening, from_resource, reasons_against
from screening.results.risk_assessment import build
from screening.schema import RiskLevels

from tests.unit.results.assessments import CONTEXT  # isort: skip


def stored(**changed: Any) -> dict[str, Any]:
    """Return an assessment as a server keeps it."""
    return {name: value for name, value in ({"id": "r-1"} | assessment() | changed).items() if value is not None}


def with_prediction(**changed: Any) -> dict[str, Any]:
    made = copy.deepcopy(stored())
    made["prediction"][0] = {k: v for k, v in (made["prediction"][0] | changed).items() if v is not None}
    return made


def reasons(resource: Any, patient_id: str = "p-1") -> list[str]:
    found = reasons_against(resource, sepsis(), patient_id)
    assert (from_resource(resource, sepsis(), patient_id) is None) is bool(found)
    return found


def test_what_the_screening_wrote_is_read_back() -> None:
    assert from_resource(stored(), sepsis(), "p-1") == EarlierScreening(
        "p-1", 0.85, RiskLevel.HIGH, AT, "sepsis", "2.1.0", SHA, "RiskAssessment/r-1", 3
    )


@pytest.mark.parametrize("probability", [0.0, 0.3999, 0.4, 0.6999, 0.7, 1.0])
def test_every_level_is_read_back_as_it_was(probability: float) -> None:
    from screening.scoring import level

    risk = level(probability, sepsis().risk_levels)
    made = {"id": "r-1", **build(result(probability=probability, risk_level=risk), CONTEXT)}
    found = from_resource(made, sepsis(), "p-1")
    assert found is not None
    assert (found.probability, found.risk_level) == (probability, risk)


@pytest.mark.parametrize("status", ["final", "preliminary", "amended", "corrected"])
def test_a_standing_assessment_counts(status: str) -> None:
    found = from_resource(stored(status=status), sepsis(), "p-1")
    assert found is not None
    assert found.preliminary is (status == "preliminary")


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "registered", "unknown", "", None, 1])
def test_one_that_was_taken_back_or_never_stood_does_not(status: Any) -> None:
    assert reasons(stored(status=status)) == ["status"]


def test_what_servers_change_is_no_reason() -> None:
    assert reasons(with_prediction(probabilityDecimal=Decimal("0.8500"))) == []
    assert reasons(with_prediction(probabilityDecimal=1)) == []
    assert reasons(stored(meta={"versionId": "7"}, text={"status": "generated"})) == []
    moved = from_resource(stored(occurrenceDateTime="2026-03-10T17:45:00.000+05:45"), sepsis(), "p-1")
    assert moved is not None
    assert moved.occurred == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert moved.occurred.tzinfo is UTC
    without = from_resource(stored(basis=None), sepsis(), "p-1")
    assert without is not None
    assert without.basis_count == 0


SCREEN = {"system": "urn:airflow-risk-screening:schema", "code": "sepsis", "version": "1.0.0"}
METHOD = {"system": "urn:airflow-risk-screening:model", "code": "sepsis", "version": "2.1.0"}


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (None, "no RiskAssessment"),
        ([], "no RiskAssessment"),
        (stored(resourceType="Observation"), "no RiskAssessment"),
        (stored(id=None), "id"),
        (stored(id="../x"), "id"),
        (stored(identifier=None), "identifier is none of ours"),
        (stored(identifier=[{"system": "other", "value": "x"}]), "identifier is none of ours"),
        (
            stored(identifier=[{"system": "urn:airflow-risk-screening:risk-assessment", "value": "x"}]),
            "identifier is none of ours",
        ),
        (stored(identifier=assessment()["identifier"] * 2), "identifier is none of ours"),
        (stored(code={"coding": [SCREEN | {"code": "ward"}]}), "code is another screen's"),
        (stored(code={"coding": [SCREEN | {"version": "2.0.0"}]}), "code is another screen's"),
        (stored(code={"coding": [SCREEN | {"system": "other"}]}), "code is another screen's"),
        (stored(code={"coding": [SCREEN, SCREEN]}), "code is another screen's"),
        (stored(code=None), "code is another screen's"),
        (stored(subject={"reference": "Patient/p-2"}), "subject is another"),
        (stored(subject={"reference": "Group/p-1"}), "subject is another"),
        (stored(subject="Patient/p-1"), "subject is another"),
        (stored(method={"coding": [METHOD]}), "method"),
        (stored(method={"coding": [METHOD], "text": "sha256:abc"}), "method"),
        (stored(method={"coding": [METHOD | {"version": " "}], "text": f"sha256:{SHA}"}), "method"),
        (stored(method={"coding": [METHOD | {"version": "1\0"}], "text": f"sha256:{SHA}"}), "method"),
        (stored(method={"coding": [METHOD | {"code": "x" * 256}], "text": f"sha256:{SHA}"}), "method"),
        (stored(method={"coding": [METHOD | {"system": "other"}], "text": f"sha256:{SHA}"}), "method"),
        (stored(occurrenceDateTime="2026-03-10"), "occurrenceDateTime"),
        (stored(occurrenceDateTime="2026-03-10T12:00:00"), "occurrenceDateTime"),
        (stored(occurrenceDateTime="2026-02-30T12:00:00Z"), "occurrenceDateTime"),
        (stored(occurrenceDateTime="0001-01-01T00:00:00+14:00"), "occurrenceDateTime"),
        (stored(occurrencePeriod={"start": "2026-03-10"}), "occurrenceDateTime"),
        (stored(modifierExtension=[{"url": "u"}]), "a modifier that is not understood"),
        (stored(implicitRules="u"), "a modifier that is not understood"),
        (stored(basis={"reference": "Observation/a"}), "basis"),
        (stored(prediction=None), "prediction"),
        (stored(prediction=assessment()["prediction"] * 2), "prediction"),
        (stored(prediction=["x"]), "prediction"),
        (with_prediction(probabilityDecimal=85), "prediction.probability"),
        (with_prediction(probabilityDecimal=-0.1), "prediction.probability"),
        (with_prediction(probabilityDecimal="0.85"), "prediction.probability"),
        (with_prediction(probabilityDecimal=True), "prediction.probability"),
        (with_prediction(probabilityDecimal=0.85001), "prediction.probability"),
        (with_prediction(probabilityDecimal=float("nan")), "prediction.probability"),
        (with_prediction(probabilityDecimal=Decimal("NaN")), "prediction.probability"),
        (with_prediction(probabilityDecimal=10**400), "prediction.probability"),
        (with_prediction(probabilityDecimal=None, probabilityRange={}), "prediction.probability"),
        (with_prediction(probabilityRange={}), "prediction.probability"),
        (with_prediction(outcome={"coding": [{"system": "s", "code": "A41.9"}]}), "prediction.outcome"),
        (with_prediction(probabilityDecimal=0.5), "prediction.qualitativeRisk is not the level of the bounds in force"),
        (with_prediction(qualitativeRisk=None), "prediction.qualitativeRisk is not the level of the bounds in force"),
    ],
)
def test_what_is_in_doubt_is_not_shown(resource: Any, reason: str) -> None:
    assert reasons(resource) == [reason]


def test_bounds_that_changed_since_are_a_reason() -> None:
    moved = sepsis().model_copy(update={"risk_levels": RiskLevels(moderate=0.4, high=0.9)})
    assert reasons_against(stored(), moved, "p-1") == [
        "prediction.qualitativeRisk is not the level of the bounds in force"
    ]


def test_a_screen_that_does_not_say_what_it_predicts_has_no_earlier_one() -> None:
    assert reasons_against(stored(), sepsis().model_copy(update={"outcome": None}), "p-1") == ["prediction.outcome"]


def test_reasons_name_elements_and_never_what_stands_in_them() -> None:
    odd = stored(subject={"reference": "Patient/SECRET"}, status="SECRET", id="SECRET", method={"text": "SECRET"})
    assert "SECRET" not in str(reasons(odd))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["coding", "reference", "code", "system"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(stored())), JSON, max_size=4))
def test_whatever_a_server_sends_it_is_refused_and_never_fails(changed: dict[str, Any]) -> None:
    made = {**stored(), **changed}
    found = from_resource(made, sepsis(), "p-1")
    assert found is None or found == replace(
        found, probability=RESULT.probability, risk_level=RESULT.risk_level, patient_id="p-1", model_sha256=SHA
    )
