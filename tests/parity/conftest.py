"""The pairs, written once; the shipped schema, plan and champion."""

import pytest
from tests.charts import ROOT
from tests.parity.pairs import Pair, write

from screening.model.bundle import ModelBundle
from screening.model.registry import champion
from screening.schema import Schema, load_schema
from screening.training.plan import TrainingPlan, load_plan


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two hundred patients, written twice."""
    return write(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="session")
def schema() -> Schema:
    """Return the shipped schema."""
    return load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")


@pytest.fixture(scope="session")
def plan() -> TrainingPlan:
    """Return the shipped plan."""
    return load_plan(ROOT / "include" / "training" / "sepsis.yaml")


@pytest.fixture(scope="session")
def model() -> ModelBundle:
    """Return the champion."""
    return champion(ROOT / "include" / "models", "sepsis")
