"""What must not leave, and what is the same.

The first table is requirements/fhir-servers.md, section 4: corrupted RiskAssessments that this or that validator accepts.
"""

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.results.assessments import assessment

from screening.errors import ResultError
from screening.results.checks import STATUSES, check, same_content, superseded
from screening.results.identity import IDENTIFIER_SYSTEM

PREDICTION = assessment()["prediction"][0]
OURS = assessment()["identifier"][0]


def predicted(**changed: Any) -> dict[str, Any]:
    made = {**PREDICTION, **changed}
    return {"prediction": [{name: value for name, value in made.items() if value is not None}]}


def level(**changed: str) -> dict[str, Any]:
    return predicted(qualitativeRisk={"coding": [{**PREDICTION["qualitativeRisk"]["coding"][0], **changed}]})


VALIDATORS_DISAGREE = {
    "missing status": {"status": None},
    "status done": {"status": "done"},
    "missing subject": {"subject": None},
    "subject as array": {"subject": [{"reference": "Patient/p-1"}]},
    "probabilityDecimal 1.7": predicted(probabilityDecimal=1.7),
    "probabilityDecimal 170": predicted(probabilityDecimal=170),
    "probabilityDecimal text": predicted(probabilityDecimal="0.4"),
    "unknown field": {"riskiness": 1},
    "two occurrences": {"occurrencePeriod": {"start": "2026-03-10T12:00:00Z"}},
    "no such day": {"occurrenceDateTime": "2026-13-45"},
    "no such day with time": {"occurrenceDateTime": "2026-13-45T12:00:00Z"},
    "time without zone": {"occurrenceDateTime": "2026-03-10T12:00:00"},
    "subject a Medication": {"subject": {"reference": "Medication/1"}},
    "prediction as object": {"prediction": PREDICTION},
    "note without text": {"note": [{"time": "2026-03-10T12:00:00Z"}]},
    "two probabilities": predicted(probabilityRange={"low": {"value": 0.1}}),
    "empty array": {"note": []},
}
OURS_ALONE = {
    "probabilityDecimal -1": predicted(probabilityDecimal=-1),
    "probabilityDecimal true": predicted(probabilityDecimal=True),
    "probabilityDecimal NaN": predicted(probabilityDecimal=float("nan")),
    "no probability": predicted(probabilityDecimal=None),
    "no prediction": {"prediction": None},
    "two predictions": {"prediction": [PREDICTION, PREDICTION]},
    "no outcome": predicted(outcome=None),
    "certain": level(code="certain"),
    "no such level": level(code="medium"),
    "level of another system": level(system="http://example.org/levels"),
    "level without an object": predicted(qualitativeRisk={"coding": [5]}),
    "level and a number": predicted(qualitativeRisk={"coding": [5, *PREDICTION["qualitativeRisk"]["coding"]]}),
    "level whose code is a list": level(code=["high"]),  # type: ignore[arg-type]
    "no level": predicted(qualitativeRisk=None),
    "no identifier": {"identifier": None},
    "identifier of somebody else": {"identifier": [{"system": "urn:x", "value": "1"}]},
    "identifier without value": {"identifier": [{"system": IDENTIFIER_SYSTEM}]},
    "our identifier twice": {"identifier": [OURS, {**OURS, "value": "2"}]},
    "no occurrence": {"occurrenceDateTime": None},
    "a date alone": {"occurrenceDateTime": "2026-03-10"},
    "no method": {"method": None},
    "method without code": {"method": {"text": "magic"}},
    "subject with version": {"subject": {"reference": "Patient/p-1/_history/1"}},
    "subject by urn": {"subject": {"reference": "urn:uuid:8f1b5d8e-0000-4000-8000-000000000000"}},
    "subject without id": {"subject": {"reference": "Patient/"}},
    "subject by display": {"subject": {"display": "somebody"}},
    "basis of another patient": {"basis": [{"reference": "Patient/p-2"}]},
    "basis of a Practitioner": {"basis": [{"reference": "Practitioner/1"}]},
    "basis without reference": {"basis": [{"display": "a value"}]},
    "basis as object": {"basis": {"reference": "Observation/a"}},
    "encounter a Location": {"encounter": {"reference": "Location/1"}},
    "encounter by urn": {"encounter": {"reference": "urn:uuid:8f1b5d8e-0000-4000-8000-000000000000"}},
    "performer a Patient": {"performer": {"type": "Patient", "identifier": {"value": "1"}}},
    "performer without type": {"performer": {"identifier": {"value": "1"}}},
    "performer of another type": {"performer": {"type": "Device", "reference": "Patient/1"}},
    "performer without a name": {"performer": {"type": "Device", "display": "model"}},
    "empty text": {"mitigation": ""},
    "blank text": {"mitigation": "  "},
    "empty object": {"condition": {}},
    "null": {"note": [{"text": "x"}, None]},
    "another resource type": {"resourceType": "Observation"},
}


def test_a_whole_resource_passes() -> None:
    check(assessment())


@pytest.mark.parametrize("name", [*VALIDATORS_DISAGREE, *OURS_ALONE])
def test_a_defect_is_refused(name: str) -> None:
    with pytest.raises(ResultError, match="RiskAssessment not fit to be written: "):
        check(assessment(**{**VALIDATORS_DISAGREE, **OURS_ALONE}[name]))


def test_the_defect_is_named_and_no_value_is_told() -> None:
    bad = assessment(status="done", **predicted(probabilityDecimal=17.25), subject={"reference": "Patient/Jones 1950"})
    with pytest.raises(ResultError) as refused:
        check(bad)
    text = str(refused.value)
    assert all(part in text for part in ("status", "prediction.probability", "subject"))
    assert not any(part in text for part in ("17.25", "Jones", "done"))


def test_a_structural_defect_is_named_and_no_value_is_told() -> None:
    with pytest.raises(ResultError) as refused:
        check(assessment(riskiness="Jones"))
    assert "riskiness" in str(refused.value)
    assert "Jones" not in str(refused.value)


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_of_the_binding_passes(status: str) -> None:
    check(assessment(status=status))


@pytest.mark.parametrize(
    "fine",
    [
        level(code="negligible"),
        predicted(probabilityDecimal=0),
        predicted(probabilityDecimal=1),
        predicted(probabilityDecimal=1e-05),
        {"basis": [{"reference": "MedicationAdministration/m.1-A/_history/9"}, {"reference": "Condition/c"}]},
        {"encounter": {"reference": "https://fhir.example.org/r4/Encounter/1"}},
        {"encounter": None, "basis": None, "performer": None, "note": None},
        {"performer": {"type": "Device", "reference": "Device/1"}},
        {"occurrenceDateTime": "2026-03-10T12:00:00.001500+05:30"},
        {"identifier": [OURS, {"system": "urn:x", "value": "1"}]},
    ],
)
def test_what_is_allowed_passes(fine: dict[str, Any]) -> None:
    check(assessment(**fine))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["reference", "coding", "code", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(assessment())), JUNK)
def test_junk_is_refused_or_passes_and_never_crashes(element: str, junk: Any) -> None:
    bad = {**assessment(), element: junk}
    try:
        check(bad)
    except ResultError:
        return
    assert junk == assessment()[element] or element in ("meta", "note", "code", "performer", "method", "identifier")


def stored(**changed: Any) -> dict[str, Any]:
    """Return ours as a server gives it back."""
    made = copy.deepcopy(assessment(**changed))
    meta = {**made["meta"], "versionId": "3", "lastUpdated": "2026-03-10T12:00:05Z"}
    return {**made, "id": "77", "meta": meta, "text": {"status": "generated", "div": "<div>…</div>"}}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"status": "amended"},
        predicted(probabilityDecimal=Decimal("0.8500")),
        {"basis": assessment()["basis"][::-1]},
        {"basis": [{"reference": one["reference"].partition("/_history/")[0]} for one in assessment()["basis"]]},
        {"identifier": [dict(reversed(list(OURS.items())))]},
        {"occurrenceDateTime": "2026-03-10T12:00:00.000+00:00"},
        {"occurrenceDateTime": "2026-03-10T17:30:00+05:30"},
    ],
)
def test_the_servers_copy_is_the_same(changed: dict[str, Any]) -> None:
    assert same_content(assessment(), stored(**changed))
    assert same_content(assessment(), dict(reversed(list(stored(**changed).items()))))


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "preliminary"},
        {"status": "entered-in-error"},
        {"status": "cancelled"},
        predicted(probabilityDecimal=0.8501),
        predicted(probabilityDecimal=True),
        predicted(rationale="86 %"),
        level(code="moderate"),
        {"basis": [{"reference": "Observation/a"}]},
        {"basis": None},
        {
            "basis": [
                {"reference": one["reference"].replace("_history/1", "_history/2")} for one in assessment()["basis"]
            ]
        },
        {"basis": [*assessment()["basis"], {"reference": "Observation/c"}]},
        {"occurrenceDateTime": "2026-03-10T12:00:01Z"},
        {"note": [{"text": "seen by a human"}]},
        {"mitigation": "added by a human"},
        {"encounter": None},
        {"subject": {"reference": "Patient/p-2"}},
    ],
)
def test_another_copy_is_not_the_same(changed: dict[str, Any]) -> None:
    assert not same_content(assessment(), stored(**changed))


def test_a_comparison_changes_neither() -> None:
    ours, theirs = assessment(), stored(basis=assessment()["basis"][::-1])
    before = copy.deepcopy((ours, theirs))
    same_content(ours, theirs)
    superseded(ours, theirs)
    assert (ours, theirs) == before


def test_what_supersedes_is_ours_amended_under_their_id() -> None:
    ours = assessment(**predicted(rationale="now more is known"))
    made = superseded(ours, stored())
    assert made == {**ours, "id": "77", "status": "amended"}
    check(made)
    assert same_content(ours, made)


@pytest.mark.parametrize("before", ["final", "preliminary", "amended"])
def test_what_rests_on_imputed_inputs_stays_preliminary(before: str) -> None:
    ours = assessment(status="preliminary", **predicted(rationale="now less is known"))
    made = superseded(ours, stored(status=before))
    assert made == {**ours, "id": "77"}
    check(made)
    assert same_content(ours, made)


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_what_was_retracted_stays_so(status: str) -> None:
    with pytest.raises(ResultError, match=rf"RiskAssessment/77 was retracted \({status}\)"):
        superseded(assessment(), stored(status=status))


@pytest.mark.parametrize(
    "changed",
    [{"identifier": [{**OURS, "value": "2"}]}, {"identifier": None}, {"subject": {"reference": "Patient/p-2"}}],
)
def test_what_is_not_ours_is_not_amended(changed: dict[str, Any]) -> None:
    with pytest.raises(ResultError, match="not ours to amend"):
        superseded(assessment(), stored(**changed))


def test_a_copy_without_an_id_cannot_be_amended() -> None:
    with pytest.raises(ResultError, match="no id"):
        superseded(assessment(), assessment())


def test_a_subject_that_the_server_decorated_is_the_same_subject() -> None:
    theirs = stored(subject={"reference": "Patient/p-1", "display": "shown"})
    assert superseded(assessment(), theirs)["id"] == "77"
