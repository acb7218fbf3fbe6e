"""Fixtures for the whole suite, and an Airflow home of its own for whatever imports Airflow."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests import sidecar_rules

# How fast the machine is decides no test; in CI a property is tried on the same examples every time.
settings.register_profile(
    "project", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

# Airflow reads its environment, and makes its home, when it is imported: so before any test module is.
HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "SCREENING_"))]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "OMP_NUM_THREADS": "1",
}

sidecar_rules.listen()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes minutes, a real Airflow and whole DAG runs: at the end, all other processes would wait for it."""
    items.sort(key=lambda item: (item.get_closest_marker("stack") is None, not _runs_dags(item)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Undo what Airflow does to the process that imports it: what is logged must not depend on which tests ran before."""
    if not _runs_dags(item):
        logging.getLogger().setLevel(logging.WARNING)


def _runs_dags(item: pytest.Item) -> bool:
    return ROOT / "tests" / "dags" in item.path.parents


def pytest_unconfigure() -> None:
    """Remove the home."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real MIMIC, MIMIC-on-FHIR and Synthea data, which is no part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the real data lie outside the project, in ../shared/data, and are not here")
    return SHARED


@pytest.fixture(autouse=True)
def sidecar_keeps_its_rules() -> Iterator[None]:
    """Fail the test in which an answer of the sidecar broke a rule that holds for all of them."""
    yield
    assert sidecar_rules.taken() == []
