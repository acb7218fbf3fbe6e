"""F17: the peer reports an id of its own making ("hc-…") for what it wrote, under which the server knows nothing."""

from pathlib import Path

import pytest
import requests
from tests.conformance.sandbox_runs import admit, connected, on_server, screen

from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer

LOST = Faults(
    rules=(Rule(Match(method="POST", path_regex="^/?$|^/RiskAssessment"), action="drop", times=1, commit=True),)
)


@pytest.mark.parametrize("faults", [Faults(), LOST], ids=["all well", "answer lost after the write"])
@pytest.mark.parametrize("batch_entries", [1, 50])
def test_f17_what_is_reported_can_be_read_on_the_server(tmp_path: Path, faults: Faults, batch_entries: int) -> None:
    with SandboxServer() as server:
        ids = admit(server, 5)
        with connected(server, batch_entries=batch_entries) as client:
            first = screen(client, server, ids, tmp_path / "before")  # creates them, to be found by the next
            server.faults = faults
            again = screen(client, server, ids, tmp_path / "after")
        scored = [line for line in first.values() if line.outcome == "scored"]
        assert len(scored) >= 3
        for line in scored:
            found = requests.get(f"{server.base_url}/{line.resource}", timeout=10).json()
            assert found["resourceType"] == "RiskAssessment"
            assert found["subject"]["reference"] == f"Patient/{line.patient_id}"
            assert again[line.patient_id].resource == line.resource
        assert {line.resource for line in scored} == {f"RiskAssessment/{one['id']}" for one in on_server(server)}


def test_f17_a_write_whose_answer_was_lost_is_reported_under_the_servers_id(tmp_path: Path) -> None:
    with SandboxServer() as server:
        ids = admit(server, 3)
        server.faults = LOST
        with connected(server, batch_entries=2) as client:
            lines = screen(client, server, ids, tmp_path)
        assert server.stats.to_json()["faults"] == {"drop": 1}
        told = {line.resource: line.patient_id for line in lines.values() if line.outcome == "scored"}
        held = {f"RiskAssessment/{one['id']}": one["subject"]["reference"][8:] for one in on_server(server)}
        assert told == held
