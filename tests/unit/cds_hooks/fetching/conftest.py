"""Calls as an EHR makes them, a server that is theirs, and the fetcher between."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.fhir_client.stub_server import Call as Arrived
from tests.unit.fhir_client.stub_server import Out, Stub, fhir, searchset

from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.settings import Settings

TOKEN = "t0kenMARKER"
ALL_SCOPES = frozenset({"patient/*.read"})


@dataclass(frozen=True)
class Authorization:
    access_token: str = field(default=TOKEN, repr=False)
    scope: frozenset[str] = ALL_SCOPES
    patient: str | None = None


@dataclass(frozen=True)
class Call:
    """What of a hook's request the fetcher looks at."""

    fhir_server: str | None
    authorization: Authorization | None = None
    patient_id: str = "p"


MakeFetcher = Callable[..., Fetcher]


@pytest.fixture
def make_fetcher() -> Iterator[MakeFetcher]:
    """Fetchers with an allow-list, and settings by name."""
    with ExitStack() as stack:

        def make(*servers: str | tuple[str | None, str], **settings: Any) -> Fetcher:
            wanted = Settings(auth="off", **{"fetch_seconds": 5.0} | settings)
            pairs = [one if isinstance(one, tuple) else (None, one) for one in servers]
            return stack.enter_context(closing(Fetcher(wanted, pairs)))

        yield make


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A FHIR server that knows the Patient p, and answers every search with nothing found."""
    server = Stub()
    server.route = ward()
    yield server
    server.close()


def ward(**outs: Out) -> Callable[[Arrived], Out]:
    """Route to the usual answers; by resource type another one."""

    def route(call: Arrived) -> Out:
        kind = call.path.split("/")[0]
        usual = {"resourceType": "Patient", "id": "p"} if kind == "Patient" else searchset([])
        return outs.get(kind) or fhir(usual)

    return route
