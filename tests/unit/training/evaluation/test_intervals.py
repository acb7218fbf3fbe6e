"""Intervals come from resamples of patients, each with all stays, and say so where a figure is undefined."""

from typing import Any

import numpy as np
import pytest

from screening.training.evaluation import intervals as module
from screening.training.evaluation.intervals import Estimate, bootstrap, ratio, resamples


def _mean(values: Any) -> Any:
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_a_patients_stays_are_drawn_together() -> None:
    subjects = np.array([7, 5, 7, 9, 5, 7])
    weights = np.concatenate(list(resamples(subjects, 200, 1)))
    assert weights.shape == (200, 6)
    for subject in (5, 7, 9):
        mine = weights[:, subjects == subject]
        assert (mine == mine[:, :1]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()  # as many patients as there are
    assert 0.8 < weights[:, 3].mean() < 1.2


def test_resamples_depend_on_the_seed_and_not_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = np.repeat(np.arange(30), 2)
    whole = np.concatenate(list(resamples(subjects, 50, 3)))
    monkeypatch.setattr(module, "_BLOCK", 7 * 60)
    blocks = list(resamples(subjects, 50, 3))
    assert [len(block) for block in blocks] == [7] * 7 + [1]
    assert np.array_equal(np.concatenate(blocks), whole)
    assert not np.array_equal(np.concatenate(list(resamples(subjects, 50, 4))), whole)


def test_the_interval_is_that_of_the_mean() -> None:
    random = np.random.default_rng(0)
    values = random.normal(5, 2, 900)
    found = bootstrap(_mean(values), (values > 5).astype("int64"), np.arange(900), 1000, 1)["mean"].interval()
    error = values.std() / 30
    assert found["value"] == pytest.approx(values.mean())
    assert found["low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found["high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_nineteen_in_twenty_intervals_hold_the_truth() -> None:
    random = np.random.default_rng(1)
    held = 0
    for repeat in range(200):
        values = random.normal(0, 1, 80)
        found = bootstrap(_mean(values), (values > 0).astype("int64"), np.arange(80), 200, repeat)["mean"].interval()
        held += found["low"] <= 0 <= found["high"]
    assert 178 <= held <= 199


def test_the_same_stays_told_twice_teach_nothing() -> None:
    random = np.random.default_rng(2)
    values, labels = random.normal(size=200), random.integers(0, 2, 200)
    twice, subjects = np.tile(values, 4), np.tile(np.arange(200), 4)

    def width(values: Any, labels: Any, subjects: Any) -> float:
        found = bootstrap(_mean(values), labels, subjects, 500, 1)["mean"].interval()
        return found["high"] - found["low"]

    alone = width(values, labels, np.arange(200))
    assert width(twice, np.tile(labels, 4), subjects) == pytest.approx(alone)
    assert width(twice, np.tile(labels, 4), np.arange(800)) < 0.6 * alone  # as if each stay were another patient


def test_a_resample_with_one_label_gives_no_value() -> None:
    labels, subjects = np.array([1, 0, 0, 0]), np.arange(4)
    found = bootstrap(_mean(np.arange(4.0)), labels, subjects, 400, 1)["mean"]
    assert found.undefined == np.isnan(found.draws).sum()
    assert 400 * 0.75**4 * 0.7 < found.undefined < 400 * 0.75**4 * 1.4  # nobody draws the one positive
    assert np.isfinite(list(found.interval().values())).all()
    for one in (np.zeros(4, dtype="int64"), np.ones(4, dtype="int64")):
        nothing = bootstrap(_mean(np.arange(4.0)), one, subjects, 100, 1)["mean"]
        assert nothing.undefined == 100
        assert np.isnan(list(nothing.interval().values())).all()


def test_bounds_are_the_resamples_between_which_95_percent_lie() -> None:
    estimate = Estimate(np.array(500.0), np.random.default_rng(0).permutation(np.arange(1000.0)))
    assert estimate.interval() == {"value": 500.0, "low": 25.0, "high": 974.0}


def test_where_few_resamples_are_defined_there_is_no_interval() -> None:
    draws = np.arange(100.0)
    draws[:50] = np.nan
    assert Estimate(np.array(70.0), draws).interval() == {"value": 70.0, "low": 51.0, "high": 98.0}
    draws[50] = np.nan
    found = Estimate(np.array(70.0), draws).interval()
    assert found["value"] == 70.0
    assert np.isnan([found["low"], found["high"]]).all()


def test_a_figure_without_a_bound_has_an_interval_without_one() -> None:
    draws = np.array([2.0] * 90 + [np.inf] * 10)
    assert Estimate(np.array(2.0), draws).interval() == {"value": 2.0, "low": 2.0, "high": np.inf}


def test_a_band_is_an_interval_at_each_point() -> None:
    draws = np.random.default_rng(3).normal(size=(200, 3))
    draws[:20] = np.nan
    band = Estimate(np.zeros(3), draws).band()
    for point in range(3):
        alone = Estimate(np.array(0.0), draws[:, point]).interval()
        assert (band["low"][point], band["high"][point]) == (alone["low"], alone["high"])


def test_nothing_of_nothing_is_undefined() -> None:
    found = ratio(np.array([1.0, 0.0, 3.0]), np.array([2.0, 0.0, 0.0]))
    assert found[0] == 0.5
    assert np.isnan(found[1:]).all()
