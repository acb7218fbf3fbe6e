"""The tutorial's own files, for the faults that were seen with them."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tutorial(real_data: Path) -> Path:
    """Return the folder of the tutorial's patients, schema and model, which are no part of the project."""
    return real_data / "healthchain-demo-patients"
