"""F19: the peer retries nothing: one 503 or 429 loses that patient, and the process ends with 0 all the same."""

from pathlib import Path

import pytest
from tests.conformance.sandbox_runs import admit, connected, on_server, probabilities, screen

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer
from screening.errors import TemporaryError

BATCH = Match(method="POST", path_regex="^/?$")
HICCUPS = {
    "503 for a batch": Rule(BATCH, status=503, times=1),
    "429 for a batch": Rule(BATCH, status=429, headers={"Retry-After": "1"}, times=1),
    "503 for a search": Rule(Match("GET", "^/Observation"), status=503, times=1),
    "503 for a search in a batch": Rule(Match("GET", "Observation", entry=True), status=503, times=1),
    "429 for a create": Rule(Match("POST", "RiskAssessment", entry=True), status=429, times=1),
    "503 for a lone create": Rule(Match("POST", "^/RiskAssessment"), status=503, times=1),
    "a dropped answer": Rule(BATCH, action="drop", times=1),
    "half an answer": Rule(BATCH, action="truncate", times=1),
}


@pytest.mark.parametrize("name", HICCUPS)
def test_f19_one_hiccup_costs_nobody(tmp_path: Path, name: str) -> None:
    entries = 1 if name in ("503 for a search", "503 for a lone create") else 50
    with SandboxServer() as server:
        ids = admit(server, 5)
        with connected(server) as client:
            calm = screen(client, server, ids, tmp_path / "calm")
    with SandboxServer(faults=Faults(rules=(HICCUPS[name],))) as server:
        assert admit(server, 5) == ids
        slept: list[float] = []
        with connected(server, batch_entries=entries, sleep=slept.append) as client:
            lines = screen(client, server, ids, tmp_path / "shaken")
        assert sum(server.stats.to_json()["faults"].values()) == 1  # it did strike
        assert slept  # and was waited out
        assert probabilities(lines) == probabilities(calm)
        scored = {who for who, line in lines.items() if line.outcome == "scored"}
        assert sorted(one["subject"]["reference"][8:] for one in on_server(server)) == sorted(scored)


def test_f19_a_quota_is_waited_for(tmp_path: Path) -> None:
    import time

    with SandboxServer(behaviour=Behaviour(rate_limit=1, rate_window_s=1.5, retry_after=False)) as server:
        ids = admit(server, 3)
        slept: list[float] = []

        def doze(seconds: float) -> None:
            slept.append(seconds)
            time.sleep(seconds)  # a window so long that no slow machine spreads the requests over several

        with connected(server, batch_entries=3, sleep=doze) as client:
            lines = screen(client, server, ids, tmp_path)
        assert slept
        assert all(line.outcome != "failed" for line in lines.values())


def test_f19_who_keeps_failing_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    with SandboxServer() as server:
        ids = admit(server, 3)
        poor = ids[1]
        server.faults = Faults(rules=(
            Rule(Match("GET", f"Observation.*{poor}", entry=True), status=503),
            Rule(Match("GET", f"^/Observation.*{poor}"), status=503),
        ))  # fmt: skip
        with connected(server, attempts=2) as client:
            with pytest.raises(TemporaryError):  # Airflow tries again
                screen(client, server, ids, tmp_path)
            assert on_server(server) == []
            lines = screen(client, server, ids, tmp_path, tolerate=True)  # the last try
        assert lines[poor].outcome == "failed"
        assert lines[poor].detail == ("a request kept failing with HTTP 503",)
        others = {who for who, line in lines.items() if line.outcome == "scored"}
        assert len(others) >= 2
        assert {one["subject"]["reference"][8:] for one in on_server(server)} == others


def test_f19_who_cannot_be_read_is_named_with_what_the_server_did(tmp_path: Path) -> None:
    """A proxy's page in the place of one patient's values is a reason of its own, and no refusal with 200."""
    with SandboxServer() as server:
        ids = admit(server, 0)
        poor = ids[1]
        server.faults = Faults(rules=(Rule(Match("GET", f"^/Observation.*{poor}"), action="html"),))
        with connected(server, batch_entries=1) as client:
            lines = screen(client, server, ids, tmp_path)
    assert lines[poor].outcome == "failed"
    assert "GET /fhir/Observation: 200, but the answer is not a FHIR resource" in lines[poor].detail[0]
    assert {line.outcome for who, line in lines.items() if who != poor} == {"scored"}
