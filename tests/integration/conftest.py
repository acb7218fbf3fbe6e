"""One sidecar for all tests that fire at it: loading a model takes a second."""

import pytest
from tests.integration.fuzzed import Fuzzed


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    return Fuzzed(tmp_path_factory.mktemp("cds"))
