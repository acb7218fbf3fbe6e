"""F20: the peer turns an http base URL into https in silence, and then cannot reach the server."""

import pytest
from tests.conformance.sandbox_runs import connected

from fhir_sandbox.server import SandboxServer
from screening.errors import FhirFatalError
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings


@pytest.mark.parametrize(
    ("url", "allow_http"),
    [
        ("http://127.0.0.1:8080/fhir", False),
        ("http://localhost:8080/fhir", False),
        ("http://hapi:8080/fhir", True),
        ("https://fhir.example.org/r4", False),
        ("https://fhir.example.org:8443/r4", True),
    ],
)
def test_f20_a_base_url_is_used_as_it_is_written(url: str, allow_http: bool) -> None:
    assert ClientSettings(base_url=url, allow_http=allow_http).base_url == url


def test_f20_plain_http_on_this_machine_works() -> None:
    with SandboxServer() as server, connected(server) as client:
        assert server.base_url.startswith("http://")
        assert client.capabilities().fhir_version == "4.0.1"


def test_f20_plain_http_elsewhere_is_refused_and_not_rewritten() -> None:
    with pytest.raises(
        FhirFatalError, match=r"plain http to hapi would send patient data .* use https, or set allow_http"
    ):
        ClientSettings(base_url="http://hapi:8080/fhir")


def test_f20_https_is_not_turned_into_http_either() -> None:
    with SandboxServer() as server:
        url = server.base_url.replace("http://", "https://")
        with (
            FhirClient(ClientSettings(base_url=url), sleep=lambda _: None) as client,
            pytest.raises(FhirFatalError, match=r"no TLS that can be trusted; .*or whether it speaks plain http"),
        ):
            client.capabilities()
        assert server.stats.to_json()["requests"] == {}  # nothing went out unencrypted


def test_f20_the_next_page_keeps_the_scheme() -> None:
    from fhir_sandbox.behaviour import Behaviour

    with SandboxServer(behaviour=Behaviour(default_count=1, max_count=1)) as server, connected(server) as client:
        server.load({"resourceType": "Patient", "id": f"p{n}"} for n in range(3))
        assert [one["id"] for one in client.search("Patient", [])] == ["p0", "p1", "p2"]
