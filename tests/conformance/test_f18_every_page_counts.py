"""F18: the peer reads the first page of a search only, and scores without the values of the others."""

from pathlib import Path

import pytest
from tests.conformance.sandbox_runs import NOW, admit, connected, probabilities, screen, sepsis

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening import staging
from screening.cohort import members
from screening.errors import TemporaryError
from screening.schema import Cohort
from screening.stages import fetch

AWKWARD = {
    "pages of three": Behaviour(default_count=3, max_count=3),
    "pages of one": Behaviour(default_count=1, max_count=1),
    "relative links": Behaviour(default_count=3, max_count=3, next_link_style="relative"),
    "no total": Behaviour(default_count=3, max_count=3, total="absent"),
    "remarks on every page": Behaviour(default_count=3, max_count=3, outcome_entries=True),
    "no batches": Behaviour(default_count=3, max_count=3, batch=False),
    "no searches in batches": Behaviour(default_count=3, max_count=3, batch_search=False),
}


@pytest.mark.parametrize("behaviour", AWKWARD.values(), ids=AWKWARD)
def test_f18_the_table_is_the_same_whatever_the_pages(tmp_path: Path, behaviour: Behaviour) -> None:
    with SandboxServer() as server:
        ids = admit(server, 4)
        with connected(server) as client:
            whole = screen(client, server, ids, tmp_path / "whole")
        server.behaviour = behaviour
        server.stats.reset()
        with connected(server) as client:
            paged = screen(client, server, ids, tmp_path / "paged")
        asked = server.stats.to_json()["requests"]
    tables = [staging.load_reading(tmp_path / name) for name in ("whole", "paged")]
    assert len(tables[0].observations) > 100
    assert tables[1].observations.equals(tables[0].observations)
    assert tables[1].drops == tables[0].drops
    assert probabilities(paged) == probabilities(whole)
    assert {line.write for line in paged.values() if line.outcome == "scored"} == {"unchanged"}
    assert asked["GET search"] > 30  # there were pages to follow


def test_f18_a_next_link_that_has_expired_is_no_end_of_the_data(tmp_path: Path) -> None:
    with SandboxServer(behaviour=Behaviour(default_count=3, max_count=3, cursor_ttl_s=1e-9)) as server:
        ids = admit(server, 1)
        with connected(server) as client, pytest.raises(TemporaryError, match="Observation"):
            fetch(client, sepsis(), ids, NOW, tmp_path, base_url=server.base_url)
    assert not list(tmp_path.iterdir())  # half a table is none


def test_f18_a_page_is_as_large_as_the_connection_says(tmp_path: Path) -> None:
    """A setting without effect is no setting: a server that cannot give 1000 at once could not be screened."""
    with SandboxServer() as server:
        ids = admit(server, 4)
        with connected(server) as client:
            whole = screen(client, server, ids, tmp_path / "whole")
            everybody = members(Cohort(search="Encounter?class=IMP"), NOW, client, server.base_url)
        server.stats.reset()
        with connected(server, page_size=3) as client:
            paged = screen(client, server, ids, tmp_path / "paged")
            assert server.stats.to_json()["requests"]["GET search"] > 30  # there were pages to follow
            server.stats.reset()
            assert members(Cohort(search="Encounter?class=IMP"), NOW, client, server.base_url) == everybody
            assert server.stats.to_json()["requests"]["GET search"] == -(-len(ids) // 3)
    assert probabilities(paged) == probabilities(whole)
