from typing import Any

import pytest

from screening.errors import FhirFatalError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.creation import Creation, creations, location_of
from screening.fhir_client.exchange import Reply

RISK = {"resourceType": "RiskAssessment"}


def _with(*identifiers: dict[str, str]) -> dict[str, Any]:
    return {**RISK, "identifier": list(identifiers)}


@pytest.mark.parametrize(
    ("location", "body_id", "expected"),
    [
        ("https://h/fhir/RiskAssessment/17/_history/1", None, "RiskAssessment/17"),
        ("https://h/fhir/RiskAssessment/17", "hc-uuid", "RiskAssessment/17"),
        ("RiskAssessment/17/_history/1", None, "RiskAssessment/17"),
        ("/fhir/RiskAssessment/17/", None, "RiskAssessment/17"),
        ("https://h/fhir/Observation/17", "9", "RiskAssessment/9"),
        ("https://h/fhir", "9", "RiskAssessment/9"),
        ("", "9", "RiskAssessment/9"),
        ("RiskAssessment/..", None, None),
        ("", None, None),
    ],
)
def test_the_location_is_the_servers_own_id(location: str, body_id: str | None, expected: str | None) -> None:
    body = {**RISK, "id": body_id} if body_id else None
    assert location_of("RiskAssessment", Reply(201, {"Location": location}), body) == expected


@pytest.mark.parametrize(
    ("condition", "held", "met"),
    [
        ("identifier=urn:s|v", [{"system": "urn:s", "value": "v"}], True),
        ("identifier=urn%3As%7Cv", [{"system": "x", "value": "v"}, {"system": "urn:s", "value": "v"}], True),
        ("identifier=urn:s|v", [{"system": "urn:t", "value": "v"}], False),
        ("identifier=urn:s|v", [{"system": "urn:s", "value": "w"}], False),
        ("identifier=urn:s|v", [], False),
        ("identifier=|v", [{"value": "v"}], True),
        ("identifier=|v", [{"system": "urn:s", "value": "v"}], False),
        ("identifier=v", [{"system": "urn:s", "value": "v"}], True),
        ("identifier=urn:s|", [{"system": "urn:s", "value": "anything"}], True),
        ("identifier=urn:s|a,urn:s|b", [], True),
        ("target=RiskAssessment/1", [], True),
    ],
)
def test_a_resource_meets_its_identifier_or_not(condition: str, held: list[dict[str, str]], met: bool) -> None:
    creation = Creation("RiskAssessment", RISK, condition)
    assert creation.is_met_by(_with(*held)) is met


def test_another_type_never_meets_it_and_a_single_identifier_may() -> None:
    creation = Creation("RiskAssessment", RISK, "identifier=urn:s|v")
    assert not creation.is_met_by({"resourceType": "Basic", "identifier": [{"system": "urn:s", "value": "v"}]})
    assert creation.is_met_by({**RISK, "identifier": {"system": "urn:s", "value": "v"}})
    assert not creation.is_met_by({**RISK, "identifier": "text"})


def test_the_search_is_percent_encoded() -> None:
    creation = Creation("RiskAssessment", RISK, "identifier=http://e.org/id|a%26b")
    assert creation.search == "RiskAssessment?identifier=http://e.org/id%7Ca%26b"


@pytest.mark.parametrize(
    "condition", ["", "identifier", "identifier=", "=x", "identifier=a b", "identifier=ä", "a=b\r\nX: 1"]
)
def test_a_condition_that_would_not_bind_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="resource 2: If-None-Exist"):
        creations([RISK, RISK], ["identifier=s|v", condition])


def test_arguments_must_fit_together() -> None:
    with pytest.raises(ValueError, match="1 resources, but 2 conditions"):
        creations([RISK], ["identifier=s|v", "identifier=s|w"])
    with pytest.raises(ValueError, match="resource 1: no resourceType"):
        creations([{}], ["identifier=s|v"])


def test_nothing_of_it_shows() -> None:
    assert repr(Creation("RiskAssessment", {"x": "MARKER"}, "identifier=MARKER")) == "Creation(type='RiskAssessment')"


def test_errors_name_the_parameter_but_not_its_value() -> None:
    creation = Creation("RiskAssessment", RISK, "identifier=urn:s|MARKER&subject=Patient/1")
    request = creation.request(ServerAddress("https://h/fhir"), conditional=True)
    error = creation.several(request)
    assert isinstance(error, FhirFatalError)
    assert str(error) == (
        "POST /fhir/RiskAssessment: 412, several RiskAssessment resources have this identifier, subject; "
        "keep one and delete the others"
    )
    assert error.status == 412
