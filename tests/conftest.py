"""Fixtures for the whole suite."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real MIMIC, MIMIC-on-FHIR and Synthea data, which is no part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the real data lie outside the project, in ../shared/data, and are not here")
    return SHARED
