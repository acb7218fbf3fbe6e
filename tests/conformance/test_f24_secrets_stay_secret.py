"""F24: the peer keeps client secrets in a URL that it uses as a key of its status output."""

import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict

import pytest
from tests.conformance.sandbox_runs import connected

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer
from screening.errors import ScreeningError
from screening.fhir_client.auth import Auth, BasicAuth, BearerAuth
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings

SECRET = "s3cretMARKER"
ENCODED = "czNjcmV0TUFSS0VS"  # what Basic makes of it, but for the user before it
AUTHS: dict[str, Callable[[], Auth]] = {
    "bearer": lambda: BearerAuth(SECRET),
    "basic": lambda: BasicAuth("abc", f"xy{SECRET}"),  # so long that the encoded secret begins on a border of base64
}


def told(*things: object) -> str:
    return "\n".join(f"{thing!r} {thing!s} {thing}" for thing in things)


def clean(text: str) -> bool:
    return SECRET not in text and ENCODED not in text


def test_f24_the_markers_are_what_is_sent() -> None:
    """Else all below would pass for nothing."""
    for make in AUTHS.values():
        headers: dict[str, str] = {}
        make()(headers)
        assert not clean(headers["Authorization"])


@pytest.mark.parametrize("make", AUTHS.values(), ids=AUTHS)
def test_f24_no_text_of_an_object_has_the_secret(make: Callable[[], Auth]) -> None:
    auth = make()
    settings = ClientSettings(base_url="http://127.0.0.1:9/fhir")
    with FhirClient(settings, auth) as client:
        assert clean(told(auth, client, settings, asdict(settings), client.settings, [auth], {"auth": auth}))
        assert clean(pickle.dumps(settings).decode("latin-1"))


TROUBLE = {
    "refused": (Behaviour(bearer_token="another"), Faults(), "Patient/a"),
    "html": (Behaviour(), Faults(rules=(Rule(action="html"),)), "Patient/a"),
    "busy": (Behaviour(), Faults(rules=(Rule(status=503),)), "Patient/a"),
    "dropped": (Behaviour(), Faults(rules=(Rule(action="drop"),)), "Observation?patient=a"),
    "half": (Behaviour(), Faults(rules=(Rule(Match("GET"), action="truncate"),)), "Patient/a"),
}


@pytest.mark.parametrize("name", TROUBLE)
@pytest.mark.parametrize("make", AUTHS.values(), ids=AUTHS)
def test_f24_no_error_and_no_log_line_has_the_secret(
    make: Callable[[], Auth], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    behaviour, faults, url = TROUBLE[name]
    caplog.set_level(logging.DEBUG)
    with SandboxServer() as server:
        server.load([{"resourceType": "Patient", "id": "a"}])
        server.behaviour, server.faults = behaviour, faults
        errors: list[BaseException] = []
        with connected(server, make(), attempts=2) as client:
            try:
                errors += [answer.error for answer in client.get_each([url]) if answer.error]
            except ScreeningError as error:
                errors.append(error)
    assert errors
    chains = [line for error in errors for line in traceback.format_exception(error)]
    assert clean(told(*errors, *(vars(error) for error in errors), *chains) + caplog.text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BearerAuth(f"{SECRET} {SECRET}"),
        lambda: BasicAuth(f"a:{SECRET}", SECRET),
        lambda: ClientSettings(base_url=f"https://user:{SECRET}@fhir.example.org/r4"),
        lambda: ClientSettings(base_url=f"https://fhir.example.org/r4?token={SECRET}"),
        lambda: ClientSettings(base_url=f"https://{SECRET}:99999999/r4"),
    ],
    ids=["token", "user", "URL with password", "URL with token", "URL with a bad port"],
)
def test_f24_what_is_refused_is_not_repeated(make: Callable[[], object]) -> None:
    with pytest.raises(ScreeningError) as caught:
        make()
    assert clean(told(caught.value) + "".join(traceback.format_exception(caught.value)))
