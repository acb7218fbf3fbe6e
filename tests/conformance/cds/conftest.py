"""The sidecar, made once a module where its settings allow, and an EHR that calls it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.cds.ehr import NOW, Clock, Ehr, sidecar
from tests.unit.cds_hooks.bearer.issuer import BASE, ISS, OURS
from tests.unit.cds_hooks.hook_requests import TOKEN

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening.synthetic import fhir_resources
from screening.synthetic.named import named_patients

BROWSER = "https://ehr.example.org"
MakeEhr = Callable[..., Ehr]


@pytest.fixture(scope="module")
def make_ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeEhr]:
    """Sidecars that need no token unless told otherwise, with settings by name, and the EHR that calls each."""
    with ExitStack() as stack:

        def make(*, clock: Clock | None = None, **settings: Any) -> Ehr:
            wanted = {"state": tmp_path_factory.mktemp("state")} | settings
            return stack.enter_context(sidecar(clock, **wanted))

        yield make


@pytest.fixture(scope="module")
def ehr(make_ehr: MakeEhr) -> Ehr:
    """The sidecar as it comes, without tokens, for every test of a module."""
    return make_ehr()


@pytest.fixture(scope="module")
def browser_ehr(make_ehr: MakeEhr) -> Ehr:
    """The same, for browsers of one origin."""
    return make_ehr(cors_origins=(BROWSER,))


@pytest.fixture(scope="session")
def ehrs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that names the one EHR whose tokens `issuer.bearer` makes."""
    folder = tmp_path_factory.mktemp("ehrs")
    (folder / "ehr.jwks.json").write_bytes(OURS)
    file = folder / "ehrs.yaml"
    file.write_text(f"ehrs:\n  - iss: {ISS}\n    jwks: ehr.jwks.json\n")
    return file


@pytest.fixture(scope="module")
def token_ehr(make_ehr: MakeEhr, ehrs_file: Path) -> Ehr:
    """A sidecar that wants a token with every call, and may be called by a browser."""
    return make_ehr(auth="required", ehrs=ehrs_file, base_url=BASE, cors_origins=(BROWSER,))


@pytest.fixture(scope="module")
def fhir_server() -> Iterator[SandboxServer]:
    """The EHR's FHIR server, with the records of the invented patients; it wants `TOKEN`."""
    with SandboxServer(behaviour=Behaviour(bearer_token=TOKEN)) as server:
        for person in named_patients(NOW):
            server.load(fhir_resources(person, "loinc"))
        yield server


@pytest.fixture(scope="module")
def fetching_ehr(make_ehr: MakeEhr, fhir_server: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Ehr:
    """A sidecar that may ask that server."""
    file = tmp_path_factory.mktemp("servers") / "ehrs.yaml"
    file.write_text(f"ehrs:\n  - fhir_servers: [{fhir_server.base_url}]\n")
    return make_ehr(ehrs=file, fetch_seconds=10.0)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that anybody logs, at every level."""
    caplog.set_level(logging.DEBUG)
    return caplog
