"""The standardized mean difference by hand, and what cannot be told is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.charts import ROOT

from screening.schema import load_schema
from screening.training.data import TrainingSet
from screening.training.evaluation.covariates import covariates


def test_the_standardized_mean_difference_by_hand(training_set: Callable[..., TrainingSet]) -> None:
    schema = load_schema(ROOT / "include/schemas/sepsis.yaml")
    data = training_set(patients=20, seed=0).take(np.arange(7))
    values = np.full((7, 8), np.nan)
    values[:, 0] = [100, 110, 120, np.nan, 80, 90, np.nan]
    values[:, 1] = [37, 37, 37, 37, 36, 36, 36]  # no spread
    values[:, 2] = [20, np.nan, np.nan, np.nan, 15, 16, 17]
    labels = np.array([1, 1, 1, 1, 0, 0, 0])
    rows = covariates(replace(data, values=values, labels=labels), schema)
    first = rows[0]
    assert first["feature"] == "heart_rate"
    assert first["positive"] == {"mean": 110, "sd": 10, "missing": 0.25}
    assert first["negative"] == {"mean": 85, "sd": pytest.approx(50**0.5), "missing": pytest.approx(1 / 3)}
    assert first["smd"] == pytest.approx(25 / 75**0.5)  # the variances are 100 and 50
    assert np.isnan(rows[1]["smd"])
    assert (rows[2]["positive"]["mean"], rows[2]["positive"]["missing"]) == (20, 0.75)
    assert np.isnan([rows[2]["positive"]["sd"], rows[2]["smd"]]).all()
    assert np.isnan([rows[3]["positive"]["mean"], rows[3]["negative"]["sd"], rows[3]["smd"]]).all()
    assert rows[3]["positive"]["missing"] == 1
