from typing import Any

import pytest
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.stub_server import DROP, Out, Stub, fhir, outcome

from screening.errors import FhirFatalError, FhirNotFound, FhirTemporaryError

OURS: dict[str, Any] = {"resourceType": "RiskAssessment", "id": "r1", "status": "amended", "meta": {"versionId": "1"}}
STORED = {**OURS, "meta": {"versionId": "2"}}


@pytest.mark.parametrize(("given", "sent"), [("1", 'W/"1"'), ('W/"1"', 'W/"1"'), ('"1"', '"1"')])
def test_an_update_is_bound_to_its_version(stub: Stub, make_client: MakeClient, given: str, sent: str) -> None:
    stub.script(fhir(STORED, ETag='W/"2"'))
    answer = make_client().update(OURS, given)
    assert (answer.status, answer.resources, answer.error) == (200, [STORED], None)
    assert (answer.etag, answer.location) == ('W/"2"', "RiskAssessment/r1")
    [call] = stub.calls
    assert (call.method, call.path, call.json) == ("PUT", "RiskAssessment/r1", OURS)
    assert call.headers["if-match"] == sent


def test_a_body_that_is_not_shown_is_read_back(stub: Stub, make_client: MakeClient) -> None:
    stub.script(Out(200, headers={"ETag": 'W/"2"'}), fhir(STORED))
    answer = make_client().update(OURS, "1")
    assert (answer.resources, answer.etag) == ([STORED], 'W/"2"')
    assert stub.targets("GET") == ["/fhir/RiskAssessment/r1"]


def test_a_version_that_is_no_longer_current_is_told(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(412, "conflict"))
    answer = make_client().update(OURS, "1")
    assert answer.status == 412
    assert isinstance(answer.error, FhirFatalError)
    assert "read it anew" in str(answer.error)
    assert len(stub.calls) == 1


def test_our_own_update_whose_answer_was_lost_is_recognised(stub: Stub, make_client: MakeClient) -> None:
    stub.script(DROP, outcome(412, "conflict"), fhir(STORED))
    answer = make_client().update(OURS, "1")
    assert (answer.status, answer.resources, answer.error) == (200, [STORED], None)
    assert answer.etag == 'W/"2"'


def test_somebody_elses_change_after_a_lost_answer_stays_a_conflict(stub: Stub, make_client: MakeClient) -> None:
    stub.script(DROP, outcome(412, "conflict"), fhir({**STORED, "status": "final"}))
    assert make_client().update(OURS, "1").status == 412


def test_absence_and_trouble_are_answers(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(404, "not-found"))
    client = make_client(attempts=2)
    assert isinstance(client.update(OURS, "1").error, FhirNotFound)
    stub.script(outcome(503))
    assert isinstance(client.update(OURS, "1").error, FhirTemporaryError)


def test_unknown_credentials_are_raised(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(401, "login"))
    with pytest.raises(FhirFatalError, match="401"):
        make_client().update(OURS, "1")


@pytest.mark.parametrize("version", ["", "a b", 'x"y', "1\r\nX: 1", 'W/"', "ä"])
def test_what_is_no_version_is_refused(stub: Stub, make_client: MakeClient, version: str) -> None:
    with pytest.raises(FhirFatalError, match="If-Match must be"):
        make_client().update(OURS, version)
    assert stub.calls == []


def test_a_resource_without_id_is_refused(stub: Stub, make_client: MakeClient) -> None:
    with pytest.raises(FhirFatalError, match="logical id"):
        make_client().update({"resourceType": "RiskAssessment"}, "1")
    assert stub.calls == []
