"""What content comes wrapped in, and what in it is never data."""

from collections import Counter
from typing import Any

import pytest
from tests.charts import bundle, observation, patient, sepsis

from screening.observations import Drop
from screening.readers.fhir import read
from screening.readers.fhir_content import unwrap

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}
P, O = patient(), observation()  # noqa: E741 - the two resources that all wrappings hold
REFUSED: Drop = ("", "", "not_a_resource")


def kinds(content: Any) -> tuple[list[str], int]:
    """Return the types of what is found, and how much was no resource."""
    drops: Counter[Drop] = Counter()
    found = [resource["resourceType"] for _, resource in unwrap(content, drops)]
    assert set(drops) <= {REFUSED}
    return found, drops[REFUSED]


BOTH = ["Patient", "Observation"]
ANSWER = {
    "resourceType": "Bundle",
    "type": "batch-response",
    "entry": [{"resource": bundle(P)}, {"resource": bundle(O)}],
}


@pytest.mark.parametrize(
    ("content", "found", "refused"),
    [
        ([P, O], BOTH, 0),
        (bundle(P, O), BOTH, 0),
        (bundle(P, O, mode=None), BOTH, 0),
        (bundle(P, O, mode="include"), BOTH, 0),
        (bundle(P, O, mode="outcome"), [], 0),
        ([bundle(P), bundle(O), bundle()], BOTH, 0),
        (ANSWER, BOTH, 0),
        (bundle(P, OUTCOME, O), BOTH, 0),
        ([P, OUTCOME, O], BOTH, 0),
        ({"patient": P, "readings": bundle(O)}, BOTH, 0),
        ({"patient": P, "readings": None}, ["Patient"], 0),
        ({"patient": None}, [], 0),
        ({"patient": P, "readings": "not here"}, ["Patient"], 1),
        ({"patient": P, "readings": OUTCOME}, ["Patient"], 0),
        ({"patient": P, "readings": [O, O]}, ["Patient", "Observation", "Observation"], 0),
        ({"hook": "patient-view", "prefetch": {"patient": P, "readings": bundle(O)}}, BOTH, 0),
        ({"hook": "patient-view", "prefetch": {"patient": P, "readings": 5}}, ["Patient"], 1),
        ({"hook": "patient-view", "prefetch": None}, [], 1),
        ({"hook": "patient-view", "prefetch": [P]}, [], 1),
        ({"resourceType": "Bundle"}, [], 0),
        ({"resourceType": "Bundle", "entry": None}, [], 0),
        ({"resourceType": "Bundle", "entry": {"resource": P}}, ["Patient"], 0),
        ({"resourceType": "Bundle", "entry": "none"}, [], 1),
        (
            {"resourceType": "Bundle", "entry": [None, 5, {"resource": "x"}, {"resource": {}}, {"resource": P}]},
            ["Patient"],
            4,
        ),
        ({"resourceType": "Bundle", "entry": [{"response": {"status": "404"}}]}, [], 0),
        ({"resourceType": "Bundle", "entry": [{"resource": P, "search": "match"}]}, ["Patient"], 0),
        (None, [], 0),
        ("text", [], 1),
        (7, [], 1),
        ({}, [], 1),
        ({"resourceType": 7}, [], 1),
        ({"id": "p", "birthDate": "1966-03-10"}, [], 1),
        ([[[P]], [O, None]], BOTH, 0),
    ],
)
def test_unwrap(content: Any, found: list[str], refused: int) -> None:
    assert kinds(content) == (found, refused)


@pytest.mark.parametrize(
    "content",
    [[bundle(P, O)], [P, O], [O, P], [[O], [P]], [bundle(O), bundle(P)], [ANSWER], [{"a": P, "b": bundle(O)}],
     [bundle(P, mode="include"), bundle(O, OUTCOME)]],
)  # fmt: skip
def test_the_wrapping_makes_no_difference(content: Any) -> None:
    reading, plain = read(content, sepsis()), read([P, O], sepsis())
    assert reading.observations.equals(plain.observations)
    assert reading.patients.equals(plain.patients)
    assert reading.drops == plain.drops == {}


def test_an_entry_of_an_answer_within_an_answer_keeps_its_own_url() -> None:
    inner = {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:inner", "resource": patient(id=None)}]}
    outer = {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:outer", "resource": inner}]}
    assert [url for url, _ in unwrap(outer, Counter())] == ["urn:uuid:inner"]
    assert read([outer], sepsis()).patients["patient_id"].tolist() == ["inner"]


@pytest.mark.parametrize("url", [None, 5, ["urn:uuid:p"], "\ud800"])
def test_a_full_url_that_cannot_be_read_is_none(url: Any) -> None:
    content = {"resourceType": "Bundle", "entry": [{"fullUrl": url, "resource": P}]}
    assert [found for found, _ in unwrap(content, Counter())] == [""]


def test_what_is_refused_is_counted_in_the_reading() -> None:
    assert read([P, "noise", 5], sepsis()).drops == {REFUSED: 2}


@pytest.mark.parametrize(
    "resource", [{"resourceType": "Specimen"}, {"resourceType": "Condition"}, {"resourceType": ""}]
)
def test_a_resource_that_the_schema_does_not_ask_for_is_no_drop(resource: Any) -> None:
    assert read([P, resource], sepsis()).drops == {}
