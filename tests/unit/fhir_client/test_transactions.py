from typing import Any

import pytest
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.stub_server import DROP, Out, Stub, fhir, outcome, patient, searchset

from screening.errors import FhirFatalError, FhirNotFhir, FhirTemporaryError


def _entry(method: str, condition: str | None = None) -> dict[str, Any]:
    request = {"method": method, "url": "Patient/a"}
    return {"resource": patient("a"), "request": {**request, **({"ifNoneExist": condition} if condition else {})}}


def _bundle(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def _response(*responses: dict[str, Any]) -> Out:
    entries = [{"response": response} for response in responses]
    return fhir({"resourceType": "Bundle", "type": "transaction-response", "entry": entries})


def test_every_entry_of_a_transaction_is_looked_at(stub: Stub, make_client: MakeClient) -> None:
    statuses = ["201 Created", "400 Bad Request", "429", ""]
    stub.script(_response(*({"status": status} for status in statuses)))
    answers = make_client().transact(_bundle(*[_entry("PUT")] * 4))
    assert [answer.status for answer in answers] == [201, 400, 429, 0]
    assert [type(answer.error) for answer in answers] == [
        type(None),
        FhirFatalError,
        FhirTemporaryError,
        FhirFatalError,
    ]
    assert str(answers[1].error) == "POST /fhir (entry of transaction of 4): 400"


@pytest.mark.parametrize(
    ("entry", "times"), [(_entry("PUT"), 2), (_entry("POST", "identifier=s|v"), 2), (_entry("POST"), 1)]
)
def test_a_lost_transaction_is_repeated_only_where_every_entry_may_be(
    stub: Stub, make_client: MakeClient, entry: dict[str, Any], times: int
) -> None:
    stub.script(DROP)
    with pytest.raises(FhirTemporaryError):
        make_client(attempts=2).transact(_bundle(_entry("PUT"), entry))
    assert len(stub.calls) == times


def test_a_refused_transaction_is_raised(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(400, "invalid"))
    with pytest.raises(FhirFatalError, match=r"^POST /fhir \(transaction of 1\): 400 \(invalid\)$"):
        make_client().transact(_bundle(_entry("PUT")))


@pytest.mark.parametrize("out", [_response(), fhir(searchset([]))])
def test_a_transaction_answered_otherwise_is_not_trusted(stub: Stub, make_client: MakeClient, out: Out) -> None:
    stub.script(out)
    with pytest.raises(FhirNotFhir, match="no response Bundle with one entry for each"):
        make_client().transact(_bundle(_entry("PUT")))
