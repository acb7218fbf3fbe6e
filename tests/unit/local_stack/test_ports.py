"""A port that somebody else has is refused before anything is started, written or made."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.environment import Ports, is_free
from local_stack.stack import LocalStack


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize("name", ["fhir", "airflow", "scheduler_health", "cds"])
def test_a_taken_port_is_named(tmp_path: Path, taken: int, name: str) -> None:
    home = tmp_path / "home"
    with pytest.raises(RuntimeError, match=rf"port {taken} \({name}\) is taken: stop what listens there"):
        LocalStack(home, Ports(**{name: taken}), scheduled=False, say=print)
    assert not home.exists()


def test_a_port_that_has_just_been_left_is_free(taken: int) -> None:
    with socket.create_connection(("127.0.0.1", taken)):
        assert not is_free(taken)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server of ours does
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = server.accept()
        served.close()  # the server ends first: the port waits for a minute
        client.close()
    assert is_free(port)


def test_what_is_not_given_is_settled_on_ports_of_its_own() -> None:
    settled = Ports(airflow=0).settled()
    assert len({settled.fhir, settled.airflow, settled.scheduler_health, settled.cds, 0}) == 5
