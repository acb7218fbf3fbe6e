"""Servers differ; the result does not: run twice, one RiskAssessment for each scored patient, with the same numbers."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conformance.sandbox_runs import admit, connected, on_server, probabilities, screen

from fhir_sandbox.behaviour import LIKE, Behaviour
from fhir_sandbox.server import SandboxServer
from screening.fhir_client.auth import BearerAuth

SIZE = 3
# Cerner keeps no RiskAssessment; the rest of what it does is tried with one that does.
SERVERS = {"friendly": Behaviour()} | LIKE | {"cerner": replace(LIKE["cerner"], risk_assessment=True)}
ODD = {
    "alone": Behaviour(batch=False, transactions="unsupported", conditional_writes=False),
    "small": Behaviour(default_count=2, max_count=2, max_bundle_entries=2, next_link_style="relative"),
    "guarded": Behaviour(bearer_token="token"),
    "shy": Behaviour(unknown_params="ignore", outcome_entries=True, total="absent"),
}


@cache
def expected() -> dict[str, float | None]:
    """Return the probabilities on the friendliest server."""
    with TemporaryDirectory() as folder, SandboxServer() as server, connected(server) as client:
        return probabilities(screen(client, server, admit(server, SIZE), Path(folder)))


def check(behaviour: Behaviour, folder: Path) -> None:
    """Screen twice on such a server, each time by a client that knows nothing of the other."""
    with SandboxServer(behaviour=behaviour) as server:
        ids = admit(server, SIZE)
        runs = []
        for name in ("one", "two"):
            with connected(server, BearerAuth("token")) as client:
                runs.append(screen(client, server, ids, folder / name))
        server.behaviour = Behaviour()
        held = on_server(server)
    first, second = runs
    assert probabilities(first) == probabilities(second) == expected()
    scored = {who: line.probability for who, line in first.items() if line.outcome == "scored"}
    assert {"demo-high", "demo-moderate", "demo-low"} <= set(scored)
    assert {line.write for line in first.values() if line.outcome == "scored"} == {"created"}
    assert {line.write for line in second.values() if line.outcome == "scored"} == {"unchanged"}
    assert sorted(one["subject"]["reference"][8:] for one in held) == sorted(scored)
    assert {one["subject"]["reference"][8:]: one["prediction"][0]["probabilityDecimal"] for one in held} == scored
    assert {one["meta"]["versionId"] for one in held} == {"1"}


@pytest.mark.parametrize("name", [*SERVERS, *ODD])
def test_there_is_one_assessment_with_the_same_number_on_every_server(name: str, tmp_path: Path) -> None:
    check((SERVERS | ODD)[name], tmp_path)


@st.composite
def behaviours(draw: st.DrawFn) -> Behaviour:
    """Draw any mixture of what servers do, as long as they keep RiskAssessments and let us in."""
    most = draw(st.sampled_from([1, 3, 20, 1000]))
    return Behaviour(
        total=draw(st.sampled_from(["always", "absent"])),
        max_count=most,
        default_count=draw(st.integers(1, min(most, 20))),
        transactions=draw(st.sampled_from(["atomic", "as_batch", "unsupported"])),
        batch=draw(st.booleans()),
        batch_search=draw(st.booleans()),
        max_bundle_entries=draw(st.sampled_from([None, 1, 3])),
        conditional_writes=draw(st.booleans()),
        client_ids=draw(st.sampled_from(["any", "refused"])),
        unknown_params=draw(st.sampled_from(["error", "ignore", "empty"])),
        outcome_entries=draw(st.booleans()),
        next_link_style=draw(st.sampled_from(["absolute", "relative"])),
    )


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(behaviours())
def test_any_mixture_of_servers_gives_the_same(behaviour: Behaviour) -> None:
    with TemporaryDirectory() as folder:
        check(behaviour, Path(folder))


def test_on_a_server_without_risk_assessments_everybody_is_failed_and_told_so(tmp_path: Path) -> None:
    """A run refuses such a server before; here it loses the type in between."""
    with SandboxServer() as server:
        ids = admit(server, SIZE)
        server.behaviour = LIKE["cerner"]
        with connected(server) as client:
            lines = screen(client, server, ids, tmp_path)
    assert {line.outcome for who, line in lines.items() if expected()[who] is not None} == {"failed"}
    assert {line.detail for line in lines.values() if line.outcome == "failed"} == {
        ("RiskAssessment not written: GET /fhir/RiskAssessment: 404 (not-supported)",)
    }
