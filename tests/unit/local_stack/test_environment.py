"""What the processes of a local stack are told."""

from pathlib import Path

import pytest

from local_stack.environment import Ports, airflow_environment

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
