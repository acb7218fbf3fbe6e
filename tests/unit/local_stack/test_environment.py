"""What the processes of a local stack are told."""

from pathlib import Path

import pytest

from cds_hooks.settings import from_environment
from local_stack.environment import Ports, airflow_environment, sidecar_environment

PORTS = Ports(fhir=1, airflow=2, scheduler_health=3)


def test_what_is_screened_with_may_be_chosen_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "SCREENING_MODELS": "/mine/models",
        "SCREENING_PLANS": "/mine/plans",
        "SCREENING_SCHEMAS": "/mine/schemas",
        "AIRFLOW_CONN_MIMIC": "postgres://host/mimic",
        "AIRFLOW_CONN_FHIR_DEFAULT": "fhir://hospital.example",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_HOME": "/mine",
        "SCREENING_STAGING": "s3://mine",
        "SCREENING_SCHEDULED": "true",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    told = airflow_environment(tmp_path / "airflow", PORTS, "http://127.0.0.1:1/fhir", scheduled=False)
    passed = [name for name, value in given.items() if told[name] == value]
    assert passed == ["SCREENING_MODELS", "SCREENING_PLANS", "SCREENING_SCHEMAS", "AIRFLOW_CONN_MIMIC"]
    assert "127.0.0.1:1" in told["AIRFLOW_CONN_FHIR_DEFAULT"]


def test_the_sidecar_asks_nobody_for_a_login_on_this_machine_alone_and_fetches_from_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCREENING_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("CDS_REQUIRE_PATIENT_MATCH", "false")
    monkeypatch.setenv("CDS_BIND", "0.0.0.0:80")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    told = sidecar_environment(tmp_path / "cds", 4, "http://127.0.0.1:1/fhir")
    assert not [name for name in told if name.startswith(("AIRFLOW", "SCREENING_"))]
    settings = from_environment(told)
    assert (settings.auth, settings.bind, settings.prediction_time) == ("off", "127.0.0.1:4", "latest")
    assert (settings.models, settings.state) == (tmp_path / "models", tmp_path / "cds")
    assert settings.fetch_from == "own"
    assert "127.0.0.1:1" in str(settings.fhir_conn)
    assert settings.require_patient_match is False  # what the caller says
    assert from_environment(sidecar_environment(tmp_path / "cds", 4, None)).fetch_from == "ehr"
