"""F24, at Airflow's edge: a connection's password is in no text of the hook, in no error and in no log line."""

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.dags.conftest import NOW, Screening

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening.errors import ScreeningError

SECRET = "s3cretMARKER"
ENCODED = "czNjcmV0TUFSS0VS"
CONNECTIONS: dict[str, dict[str, Any]] = {
    "bearer": {"password": SECRET},
    "basic": {"login": "abc", "password": f"xy{SECRET}"},
}


def clean(text: str) -> bool:
    return SECRET not in text and ENCODED not in text


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, screening: Screening) -> Callable[..., None]:
    def change(**fields: Any) -> None:
        whole = {"conn_type": "fhir", "host": screening.server.base_url, "extra": {"attempts": 1}} | fields
        monkeypatch.setenv("AIRFLOW_CONN_FHIR_DEFAULT", json.dumps(whole))

    return change


@pytest.mark.parametrize("name", CONNECTIONS)
def test_f24_no_text_of_the_hook_has_the_password(
    connect: Callable[..., None], server: SandboxServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    from screening_airflow.hook import FhirHook

    caplog.set_level(logging.DEBUG)
    connect(**CONNECTIONS[name])
    server.behaviour = Behaviour(bearer_token="another")
    hook = FhirHook()
    with hook.get_conn() as client:
        assert clean(f"{hook!r} {hook} {client!r} {client}")
        with pytest.raises(ScreeningError) as caught:
            client.read("Patient", "a")
    assert clean("".join(traceback.format_exception(caught.value)) + caplog.text)
    done, said = hook.test_connection()  # metadata is open
    assert done
    assert clean(said)


@pytest.mark.parametrize(
    "fields",
    [
        {"password": f"two {SECRET}"},
        {"login": f"a:{SECRET}", "password": SECRET},
        {"host": f"https://user:{SECRET}@fhir.example.org/r4"},
        {"host": f"fhir.example.org/{SECRET}"},
        {"extra": {"client_secret": SECRET}},
        {"extra": f'{{"client_secret": "{SECRET}'},
        {"extra": {"page_size": SECRET}},
    ],
    ids=["token", "login", "URL", "no scheme", "unknown extra", "broken extra", "wrong extra"],
)
def test_f24_what_the_hook_refuses_is_not_repeated(
    connect: Callable[..., None], fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    from screening_airflow.hook import FhirHook

    caplog.set_level(logging.DEBUG)
    connect(**fields)
    done, said = FhirHook().test_connection()
    assert not done
    assert said.startswith("connection fhir_default: ")
    assert clean(said + caplog.text)


def test_f24_nothing_that_a_run_leaves_has_the_password(
    connect: Callable[..., None], screening: Screening, server: SandboxServer, hospital: list[str], airflow_home: Path
) -> None:
    connect(password=SECRET)
    server.behaviour = Behaviour(bearer_token=SECRET)
    assert screening.run(prediction_time=NOW.isoformat(), patient_ids=hospital[:2], dry_run=True) == "success"
    server.behaviour = Behaviour(bearer_token="another")
    assert screening.run(prediction_time=NOW.isoformat(), patient_ids=hospital[:2]) == "failed"
    left = [path for folder in (airflow_home, screening.folder) for path in folder.rglob("*") if path.is_file()]
    assert len(left) > 3
    assert [path.name for path in left if not clean(path.read_bytes().decode("latin-1"))] == []
