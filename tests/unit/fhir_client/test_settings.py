import dataclasses
from pathlib import Path
from typing import Any

import certifi
import pytest

from screening.errors import FhirFatalError
from screening.fhir_client.settings import ClientSettings

BASE = "https://ehr.example.org/fhir"


def test_defaults_are_those_of_the_documentation() -> None:
    settings = ClientSettings(BASE + "/")
    assert settings == ClientSettings(
        base_url=BASE,
        connect_timeout=5.0,
        read_timeout=30.0,
        attempts=5,
        backoff=0.5,
        backoff_cap=20.0,
        max_wait=60.0,
        page_size=1000,
        batch_entries=50,
        concurrency=4,
        verify=True,
        allow_http=False,
        user_agent="airflow-risk-screening",
        max_response_bytes=268_435_456,
    )


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClientSettings(BASE).attempts = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", 0),
        ("read_timeout", float("nan")),
        ("read_timeout", float("inf")),
        ("backoff", -1),
        ("max_wait", "60"),
        ("attempts", 0),
        ("attempts", True),
        ("attempts", 2.0),
        ("page_size", 0),
        ("batch_entries", 501),
        ("concurrency", 0),
        ("max_response_bytes", 1),
    ],
)
def test_numbers_out_of_bounds_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(FhirFatalError, match=f"^{name}: must be"):
        ClientSettings(BASE, **{name: value})


@pytest.mark.parametrize("agent", ["", "a\r\nX-Evil: 1", "ä"])
def test_user_agent_must_fit_a_header(agent: str) -> None:
    with pytest.raises(FhirFatalError, match="user_agent"):
        ClientSettings(BASE, user_agent=agent)


def test_verify_takes_a_bundle_and_refuses_what_is_none(tmp_path: Path) -> None:
    assert ClientSettings(BASE, verify=certifi.where()).verify == certifi.where()
    assert ClientSettings(BASE, verify=str(tmp_path)).verify == str(tmp_path)
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate", encoding="utf-8")
    for path in (broken, tmp_path / "absent.pem"):
        with pytest.raises(FhirFatalError, match=r"verify: .*pem is neither"):
            ClientSettings(BASE, verify=str(path))
