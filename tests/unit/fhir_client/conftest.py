from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.unit.fhir_client.stub_server import Stub

from screening.fhir_client.auth import Auth, NoAuth
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings

MakeClient = Callable[..., FhirClient]


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


@pytest.fixture
def slept() -> list[float]:
    """Every pause that the client made instead of sleeping."""
    return []


@pytest.fixture
def make_client(stub: Stub, slept: list[float]) -> Iterator[MakeClient]:
    """Clients of the stub that do not sleep, whose jitter is always the highest and whose clock stands still."""
    with ExitStack() as stack:

        def make(auth: Auth | None = None, base_url: str | None = None, **settings: Any) -> FhirClient:
            wanted = ClientSettings(base_url or stub.base, **settings)
            client = FhirClient(
                wanted, auth or NoAuth(), clock=lambda: 1_000_000_000.0, sleep=slept.append, random=lambda: 1.0
            )
            return stack.enter_context(client)

        yield make
