from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cds_hooks.bearer.issuer import BASE, ISS, NOW, OURS
from tests.unit.fhir_client.stub_server import Out, Stub

from cds_hooks.bearer import Verifier
from cds_hooks.ehrs import Ehr

MakeVerifier = Callable[..., Verifier]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stub() -> Iterator[Stub]:
    """The EHR's server of keys."""
    server = Stub()
    server.script(Out(200, OURS))
    yield server
    server.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "ehr.jwks.json"
    path.write_bytes(OURS)
    return path


@pytest.fixture
def make_verifier(tmp_path: Path, key_file: Path, clock: Clock) -> Iterator[MakeVerifier]:
    """Verifiers of one EHR, with its keys in a file unless a test says where else."""
    with ExitStack() as stack:

        def make(**ehr: Any) -> Verifier:
            if "jku" not in ehr:
                ehr["jwks"] = key_file
            verifier = Verifier((Ehr(iss=ISS, **ehr),), BASE, tmp_path / "state", clock)
            stack.callback(verifier.close)
            return verifier

        yield make


@pytest.fixture
def verifier(make_verifier: MakeVerifier) -> Verifier:
    return make_verifier()


@pytest.fixture(scope="module")
def shared_verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    """One verifier for all examples of a property."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "keys.json").write_bytes(OURS)
    found = Verifier((Ehr(iss=ISS, jwks=folder / "keys.json"),), BASE, folder, Clock())
    yield found
    found.close()
