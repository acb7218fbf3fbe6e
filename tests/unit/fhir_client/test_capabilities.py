from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.stub_server import Out, Stub, fhir, html, outcome, searchset

from screening.errors import FhirFatalError, FhirNotFhir, FhirTemporaryError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.capabilities import Capabilities, capabilities_of

ADDRESS = ServerAddress("https://h/fhir")


def _statement(**more: Any) -> dict[str, Any]:
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", **more}


def _server(*resources: dict[str, Any], system: tuple[str, ...] = ()) -> dict[str, Any]:
    return _statement(
        rest=[{"mode": "server", "resource": list(resources), "interaction": [{"code": code} for code in system]}]
    )


def test_what_a_type_allows() -> None:
    interactions = [{"code": code} for code in ("read", "search-type", "create")]
    known = capabilities_of(
        _server(
            {"type": "RiskAssessment", "interaction": interactions, "conditionalCreate": True},
            {"type": "Patient", "interaction": [{"code": "update"}], "conditionalCreate": False},
            {"type": "Observation"},
            system=("batch",),
        ),
        ADDRESS,
    )
    assert (known.can_read("RiskAssessment"), known.can_search("RiskAssessment")) == (True, True)
    assert (known.can_create("RiskAssessment"), known.can_update("RiskAssessment")) == (True, False)
    assert (known.can_create("Patient"), known.can_update("Patient")) == (False, True)
    assert not known.can_read("Observation")
    assert not known.can_create("Absent")
    assert [known.conditional_create(t) for t in ("RiskAssessment", "Patient", "Observation", "Absent")] == [
        True,
        False,
        None,
        None,
    ]
    assert (known.batch, known.transaction) == (True, False)


def test_only_the_servers_side_counts() -> None:
    statement = _statement(
        rest=[{"mode": "client", "resource": [{"type": "Patient", "interaction": [{"code": "read"}]}]}]
    )
    assert not capabilities_of(statement, ADDRESS).can_read("Patient")


@pytest.mark.parametrize("version", ["4.0.1", "4.0.0", "4.0", "4.3.0", "4.3.0-ballot"])
def test_r4_and_r4b_are_spoken(version: str) -> None:
    assert capabilities_of(_statement(fhirVersion=version), ADDRESS).fhir_version == version


@pytest.mark.parametrize("version", ["5.0.0", "3.0.2", "4.1.0", "4.6.0", "4.00", "4.30.1", "", None, 4.0, "<MARKER>"])
def test_other_versions_are_refused(version: Any) -> None:
    with pytest.raises(FhirFatalError, match=r"4\.0 \(R4\) or 4\.3 \(R4B\) is needed") as caught:
        capabilities_of(_statement(fhirVersion=version), ADDRESS)
    assert "MARKER" not in str(caught.value)


@pytest.mark.parametrize(
    "rest",
    [
        None,
        "x",
        [1],
        [{"mode": "server", "resource": "x", "interaction": [3, {"code": 4}]}],
        [{"mode": "server", "resource": [{"type": 5}, {}]}],
    ],
)
def test_odd_statements_declare_nothing(rest: Any) -> None:
    known = capabilities_of(_statement(rest=rest), ADDRESS)
    assert known == Capabilities("4.0.1")


def test_the_software_is_named() -> None:
    assert (
        capabilities_of(_statement(software={"name": "medplum", "version": "5.0"}), ADDRESS).software == "medplum 5.0"
    )
    assert capabilities_of(_statement(software={"name": 7}), ADDRESS).software == ""


def test_metadata_is_asked_once_even_by_several_threads(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(_server({"type": "Patient", "interaction": [{"code": "read"}]})))
    client = make_client()
    with ThreadPoolExecutor(4) as pool:
        known = list(pool.map(lambda _: client.capabilities(), range(8)))
    assert all(item.can_read("Patient") for item in known)
    assert stub.targets() == ["/fhir/metadata"]


@pytest.mark.parametrize(
    "out", [fhir(searchset([])), html(), html(404), outcome(404), outcome(410), Out(200, b""), Out(200, b"{}")]
)
def test_what_is_no_statement_names_the_base_url(stub: Stub, make_client: MakeClient, out: Out) -> None:
    stub.script(out)
    with pytest.raises(FhirNotFhir, match=f"base URL {stub.base}$"):
        make_client().capabilities()


def test_trouble_is_not_remembered(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(503), fhir(_statement()))
    client = make_client(attempts=1)
    with pytest.raises(FhirTemporaryError):
        client.capabilities()
    assert client.capabilities().fhir_version == "4.0.1"


def test_a_refusal_is_told_as_such(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(401, "login"))
    with pytest.raises(FhirFatalError, match="GET /fhir/metadata: 401"):
        make_client().capabilities()
