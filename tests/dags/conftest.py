"""A real Airflow in this process: a home of its own, a migrated SQLite database, runs by `dag.test()`."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_sandbox.server import SandboxServer

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow and its dependencies warn of themselves; our own warnings stay errors."""
    for item in items:
        if ROOT / "tests" / "dags" in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Path:
    """The Airflow home of this session (see tests/conftest.py) with a migrated database."""
    command = [str(Path(sys.executable).parent / "airflow"), "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=dict(os.environ))
    return Path(os.environ["AIRFLOW_HOME"])


@dataclass
class Screening:
    """Runs the screening DAG against a sandbox and reads what came of it."""

    server: SandboxServer
    folder: Path
    runs: int = 0
    last: str = field(default="", init=False)

    def run(self, **conf: Any) -> str:
        """Run the DAG as a person starts it, without a data interval; return its state."""
        from airflow.dag_processing.dagbag import DagBag

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dag = DagBag(str(ROOT / "dags")).dags["screening_sepsis"]
            run = dag.test(logical_date=None, run_after=NOW, run_conf=conf)
        self.runs += 1
        self.last = run.run_id
        return str(getattr(run.state, "value", run.state))

    @property
    def reports(self) -> Path:
        """The folder of the last run's results."""
        from screening_airflow.run_files import safe

        return self.folder / "reports" / "screening_sepsis" / safe(self.last)

    @property
    def summary(self) -> dict[str, Any]:
        """The summary of the last run."""
        found: dict[str, Any] = json.loads((self.reports / "summary.json").read_text())
        return found

    def assessments(self) -> dict[str, list[dict[str, Any]]]:
        """All RiskAssessments on the server by patient id."""
        import requests

        found: dict[str, list[dict[str, Any]]] = {}
        url: str | None = f"{self.server.base_url}/RiskAssessment?_count=1000"
        while url:
            page = requests.get(url, timeout=30).json()
            for entry in page.get("entry", []):
                who = entry["resource"]["subject"]["reference"].removeprefix("Patient/")
                found.setdefault(who, []).append(entry["resource"])
            url = next((link["url"] for link in page.get("link", []) if link["relation"] == "next"), None)
        return found


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """An empty sandbox."""
    with SandboxServer() as running:
        yield running


@pytest.fixture
def screening(server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Screening:
    """The DAG, pointed at the sandbox, with folders of its own."""
    connection = {"conn_type": "fhir", "host": server.base_url, "extra": {"attempts": 2}}
    monkeypatch.setenv("AIRFLOW_CONN_FHIR_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("SCREENING_STAGING", (tmp_path / "staging").as_uri())
    monkeypatch.setenv("SCREENING_REPORTS", str(tmp_path / "reports"))
    return Screening(server, tmp_path)


@pytest.fixture
def hospital(server: SandboxServer) -> list[str]:
    """Twelve patients and the three named ones, as of `NOW`, in the sandbox; returns their ids."""
    from screening.synthetic import Hospital, fhir_resources

    made = Hospital(size=12, seed=11, now=NOW)
    people = [*made.named(), *made.patients()]
    server.load(resource for person in people for resource in fhir_resources(person, "loinc"))
    return [person.patient_id for person in people]
