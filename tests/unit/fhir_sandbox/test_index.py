import pytest

from fhir_sandbox.index import index
from fhir_sandbox.moments import EARLIEST, LATEST, span
from fhir_sandbox.refusals import Refusal


def test_an_observation_is_indexed_by_everything_it_is_searched_by(observation):
    resource = observation(
        "o1",
        encounter={"reference": "Encounter/e1/_history/3"},
        category=[{"coding": [{"system": "urn:c", "code": "vital-signs"}]}],
    )
    resource["code"]["coding"].append({"code": "HR"})
    entry = index(resource)
    assert (entry.subject, entry.encounter) == ("Patient/p1", "Encounter/e1")
    assert (entry.low, entry.high) == span("2024-05-01T10:00:00Z")
    assert entry.tokens == {
        ("Observation.code", "http://loinc.org", "8867-4"),
        ("Observation.code", "", "HR"),
        ("Observation.status", "http://hl7.org/fhir/observation-status", "final"),
        ("Observation.category", "urn:c", "vital-signs"),
    }


def test_a_period_is_indexed_from_its_start_to_its_end_and_open_where_it_is_open():
    def spans(period):
        entry = index({"resourceType": "Encounter", "period": period})
        return entry.low, entry.high

    start, end = span("2024-05-01T10:00:00Z")[0], span("2024-05-02")[1]
    assert spans({"start": "2024-05-01T10:00:00Z", "end": "2024-05-02"}) == (start, end)
    assert spans({"start": "2024-05-01T10:00:00Z"}) == (start, LATEST)
    assert spans({"end": "2024-05-02"}) == (EARLIEST, end)


def test_coded_values_of_every_shape_are_indexed():
    patient = {"resourceType": "Patient", "active": True, "gender": "male", "identifier": [{"value": "7"}]}
    assert index(patient).tokens == {
        ("Patient.active", "", "true"),
        ("Patient.gender", "http://hl7.org/fhir/administrative-gender", "male"),
        ("Patient.identifier", "", "7"),
    }
    encounter = {"resourceType": "Encounter", "class": {"system": "urn:act", "code": "IMP"}}
    assert index(encounter).tokens == {("Encounter.class", "urn:act", "IMP")}
    request = {"resourceType": "MedicationRequest", "medicationCodeableConcept": {"text": "uncoded"}}
    assert index(request).tokens == frozenset()


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("subject", [{"reference": "Patient/1"}]),
        ("effectiveDateTime", "2026-13-45"),
        ("effectiveDateTime", 2026),
        ("effectivePeriod", {"start": 7}),
        ("code", 7),
        ("code", {"coding": {"code": "x"}}),
        ("code", {"coding": ["x"]}),
        ("code", {"coding": [{"code": 5}]}),
        ("category", [{"coding": [{"system": 5, "code": "x"}]}]),
    ],
)
def test_an_indexed_element_of_the_wrong_shape_is_refused_by_its_name(element, value):
    with pytest.raises(Refusal) as refused:
        index({"resourceType": "Observation", element: value})
    assert refused.value.status == 400
    assert refused.value.expression == f"Observation.{element}"


def test_a_type_without_parameters_of_its_own_is_not_indexed():
    entry = index({"resourceType": "Provenance", "subject": 7, "code": 7})
    assert (entry.subject, entry.low, entry.tokens) == (None, None, frozenset())
