"""The tutorial's own files, for the faults that were seen with them."""

from pathlib import Path

import pytest
from tests.charts import ROOT


@pytest.fixture(scope="session")
def tutorial() -> Path:
    """Return the folder of the tutorial's patients, schema and model, which are not part of the project."""
    folder = ROOT.parent / "shared/data/healthchain-demo-patients"
    if not folder.exists():
        pytest.skip("the tutorial's files are not here: put the real data beside the project as ../shared/data")
    return folder
