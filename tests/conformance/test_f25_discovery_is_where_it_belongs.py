"""F25: the peer's discovery is elsewhere, asks for no prefetch, loses `usageRequirements`, and has no feedback endpoint."""

from collections.abc import Iterator

import pytest
from tests.conformance.cds.ehr import FEEDBACK, Ehr, sidecar


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with sidecar(state=tmp_path_factory.mktemp("state")) as made:
        yield made


def test_f25_discovery_is_at_cds_services_and_nowhere_else(ehr: Ehr) -> None:
    """The peer has it at /cds/cds-discovery, where no EHR looks."""
    assert ehr.get("/cds-services").status_code == 200
    assert ehr.get("/cds/cds-discovery").status_code == 404


def test_f25_every_service_says_which_data_it_wants(ehr: Ehr) -> None:
    """The peer has no templates, so a real EHR sends it nothing."""
    for service in ehr.get().json["services"]:
        assert service["prefetch"]["patient"] == "Patient/{{context.patientId}}"
        assert len(service["prefetch"]) > 1
        assert "fhirServer" in service["usageRequirements"]


def test_f25_feedback_has_its_endpoint(ehr: Ehr) -> None:
    """The peer's is a 404."""
    assert ehr.post({"feedback": []}, FEEDBACK).status_code == 200
