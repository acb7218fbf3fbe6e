"""F14: the peer has its bounds in three places, inclusive in one and exclusive in the next."""

from typing import Any

import numpy as np
import pytest
from tests.charts import heart_rate_schema, observation, patient, result

from screening.model.bundle import ModelBundle, as_bundle


class Percent:
    """A model whose probability is the heart rate's hundredth."""

    classes_ = np.array([0, 1])

    def predict_proba(self, rows: Any) -> Any:
        p = np.clip(np.asarray(rows)[:, 0] / 100, 0, 1)
        return np.column_stack([1 - p, p])


def percent(threshold: float = 0.5) -> ModelBundle:
    metadata = {"feature_names": ["heart_rate"], "metrics": {"optimal_threshold": threshold}}
    return as_bundle({"model": Percent(), "metadata": metadata}, name="percent", version="1", sha256="0" * 64)


BOUNDS = [(39.99, "low"), (40.0, "moderate"), (69.99, "moderate"), (70.0, "high")]


@pytest.mark.parametrize(("heart_rate", "level"), BOUNDS)
def test_f14_a_bound_belongs_to_the_upper_band(heart_rate: float, level: str) -> None:
    """At 0.7 the peer writes "high" and shows "moderate"; at 0.4 it writes "moderate" and shows nothing."""
    one = result([patient(), observation(value=heart_rate)], percent(), schema=heart_rate_schema())
    assert one.risk_level is not None
    assert one.risk_level.value == level


@pytest.mark.parametrize("threshold", [0.05, 0.95])
@pytest.mark.parametrize(("heart_rate", "level"), BOUNDS)
def test_f14_the_models_own_threshold_moves_no_band(heart_rate: float, level: str, threshold: float) -> None:
    """The peer's optimal_threshold is told in a note, and its bands are hard-coded."""
    one = result([patient(), observation(value=heart_rate)], percent(threshold), schema=heart_rate_schema())
    assert one.risk_level is not None
    assert one.risk_level.value == level


def test_f14_the_bounds_are_the_schemas() -> None:
    """The peer repeats 0.7 and 0.4 in three files."""
    schema = heart_rate_schema(more="risk_levels: {moderate: 0.2, high: 0.3}")
    found = [result([patient(), observation(value=v)], percent(), schema=schema).risk_level for v in (19.9, 20.0, 30.0)]
    assert found == ["low", "moderate", "high"]


@pytest.mark.parametrize(("heart_rate", "written", "level"), [(69.996, 0.7, "high"), (69.994, 0.6999, "moderate")])
def test_f14_the_band_is_that_of_the_number_that_is_written(heart_rate: float, written: float, level: str) -> None:
    """The peer takes the band from one number and shows another, so that 0.7 can be moderate."""
    one = result([patient(), observation(value=heart_rate)], percent(), schema=heart_rate_schema())
    assert (one.probability, one.risk_level) == (written, level)
