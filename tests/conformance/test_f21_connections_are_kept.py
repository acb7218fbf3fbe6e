"""F21: the peer opens six connections and asks for three tokens for every single patient."""

from pathlib import Path

import pytest
from tests.conformance.sandbox_runs import admit, connected, screen

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening.fhir_client.auth import BearerAuth


@pytest.mark.parametrize(("concurrency", "batch_entries"), [(1, 50), (4, 50), (3, 1)])
def test_f21_fifty_patients_need_no_more_connections_than_concurrency(
    tmp_path: Path, concurrency: int, batch_entries: int
) -> None:
    with SandboxServer(behaviour=Behaviour(bearer_token="token")) as server:
        ids = admit(server, 47)
        assert len(ids) == 50
        settings = {"concurrency": concurrency, "batch_entries": batch_entries}
        with connected(server, BearerAuth("token"), **settings) as client:
            screen(client, server, ids, tmp_path)
            sent = client.requests_sent
        counted = server.stats.to_json()
    assert 1 <= counted["connections"] <= concurrency
    assert counted["peak_in_flight"] <= concurrency
    # All that was asked is metadata, reads, searches and creates: no token, and nothing beyond what was counted.
    known = {"GET metadata", "POST batch", "GET read", "GET search", "POST search", "POST conditional_create"}
    assert set(counted["requests"]) <= known
    assert counted["requests"].get("GET metadata") == 1
    assert sum(counted["requests"].values()) == sent
    if batch_entries == 50:
        assert sent <= 6  # for fifty patients
