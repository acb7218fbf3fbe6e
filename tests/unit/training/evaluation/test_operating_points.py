"""What a threshold means is counted right, and thresholds are chosen out of fold."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from screening.schema import RiskLevels
from screening.training.evaluation.discrimination import Ranked
from screening.training.evaluation.operating_points import (
    THRESHOLDS,
    net_benefit,
    operating_points,
    rates,
    threshold_curve,
    threshold_of_sensitivity,
)

LABELS = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.3, 0.2, 0.1, 0.05])


def _at(threshold: float, labels: Any = LABELS, scores: Any = SCORES) -> dict[str, float]:
    ranked = Ranked(labels, scores)
    return {name: float(each[0]) for name, each in rates(ranked.counts(), ranked.columns(threshold)).items()}


def test_rates_by_hand() -> None:
    found = _at(0.6)  # three of three, and one besides
    assert found == {
        "sensitivity": 1.0,
        "specificity": pytest.approx(6 / 7),
        "ppv": 0.75,
        "npv": 1.0,
        "f1": pytest.approx(6 / 7),
        "alerts_per_100": 40.0,
        "number_needed_to_evaluate": pytest.approx(4 / 3),
    }


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_rates_are_those_of_scikit_learn(seed: int, tenth: int) -> None:
    random = np.random.default_rng(seed)
    labels, scores = np.append(random.integers(0, 2, 30), [0, 1]), random.integers(0, 11, 32) / 10
    weights = random.integers(0, 3, (3, 32)).astype("float64")
    weights[:, -2:] = 1
    ranked = Ranked(labels, scores)
    found = rates(ranked.counts(weights), ranked.columns(tenth / 10))
    called = scores >= tenth / 10
    for row, given_ in enumerate(weights):
        alike = {"sample_weight": given_, "zero_division": np.nan}
        wanted = {
            "sensitivity": recall_score(labels, called, **alike),
            "specificity": recall_score(labels, called, pos_label=0, **alike),
            "ppv": precision_score(labels, called, **alike),
            "npv": precision_score(labels, called, pos_label=0, **alike),
            "f1": f1_score(labels, called, **alike),
        }
        assert {name: found[name][row] for name in wanted} == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("threshold", np.linspace(0.06, 0.9, 15).tolist())
def test_the_number_needed_to_evaluate_is_one_by_ppv(threshold: float) -> None:
    found = _at(threshold)
    assert found["number_needed_to_evaluate"] == pytest.approx(1 / found["ppv"])


def test_without_an_alert_there_is_no_ppv_and_with_false_ones_alone_no_end_of_looking() -> None:
    none = _at(0.95)
    assert np.isnan([none["ppv"], none["number_needed_to_evaluate"]]).all()
    assert (none["sensitivity"], none["alerts_per_100"], none["f1"], none["npv"]) == (0, 0, 0, pytest.approx(0.7))
    false = _at(0.9, labels=1 - LABELS)
    assert (false["ppv"], false["number_needed_to_evaluate"]) == (0, np.inf)
    assert np.isnan(_at(0.0)["npv"])


@pytest.mark.parametrize(
    ("wanted", "threshold"), [(0.2, 0.9), (1 / 3, 0.9), (0.5, 0.8), (2 / 3, 0.8), (0.8, 0.6), (1, 0.6)]
)
def test_the_highest_threshold_that_is_sensitive_enough(wanted: float, threshold: float) -> None:
    assert threshold_of_sensitivity(LABELS, SCORES, wanted) == threshold
    assert _at(threshold)["sensitivity"] >= wanted - 1e-12


def test_net_benefit_by_hand() -> None:
    found = net_benefit(Ranked(LABELS, SCORES))
    assert found["threshold"] == THRESHOLDS.tolist()
    at = {round(threshold, 2): place for place, threshold in enumerate(found["threshold"])}
    # at 0.5 a false alert costs as much as a true one is worth; at 0.2 a quarter
    assert found["model"][at[0.5]] == pytest.approx((3 - 2) / 10)
    assert found["model"][at[0.2]] == pytest.approx((3 - 5 / 4) / 10)
    assert found["treat_all"][at[0.2]] == pytest.approx((3 - 7 / 4) / 10)
    assert found["treat_all"][at[0.3]] == pytest.approx(0)  # at the prevalence
    assert found["model"][at[0.05]] == pytest.approx(found["treat_all"][at[0.05]])
    assert found["model"][at[0.95]] == 0
    assert found["treat_none"] == [0.0] * 99


def test_the_threshold_curve_goes_by_the_rates() -> None:
    curve = threshold_curve(Ranked(LABELS, SCORES))
    assert curve["threshold"] == [pytest.approx(step / 100) for step in range(1, 100)]
    for place, threshold in enumerate(curve["threshold"]):
        found = _at(threshold)
        for name in ("sensitivity", "ppv", "alerts_per_100", "number_needed_to_evaluate"):
            assert curve[name][place] == pytest.approx(found[name], nan_ok=True)


def test_with_one_label_no_curve_is_defined() -> None:
    ranked = Ranked(np.zeros(10, dtype="int64"), SCORES)
    for curve in (threshold_curve(ranked), net_benefit(ranked)):
        assert all(np.isnan(values).all() for name, values in curve.items() if name != "threshold")


def _points(scores: Any, chosen: dict[str, float]) -> dict[str, dict[str, Any]]:
    levels = RiskLevels(moderate=0.4, high=0.7)
    found = operating_points(
        np.tile(LABELS, 3), np.tile(scores, 3), np.arange(30), chosen=chosen, levels=levels, count=100, seed=1
    )
    assert [point["name"] for point in found] == [*chosen, "moderate", "high"]
    return {point["name"]: point for point in found}


def test_points_are_the_chosen_ones_and_the_schemas_levels() -> None:
    found = _points(SCORES, {"mine": 0.6})
    assert {name: point["threshold"] for name, point in found.items()} == {"mine": 0.6, "moderate": 0.4, "high": 0.7}
    for name, threshold in (("mine", 0.6), ("moderate", 0.4), ("high", 0.7)):
        for rate, value in _at(threshold).items():
            figure = found[name][rate]
            assert figure["value"] == pytest.approx(value)
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_a_level_goes_by_the_probability_as_it_is_written() -> None:
    scores = SCORES.copy()
    scores[4] = 0.39996  # is written 0.4
    scores[5] = 0.39994
    found = _points(scores, {"mine": 0.4})
    assert found["moderate"]["alerts_per_100"]["value"] == 50
    assert found["mine"]["alerts_per_100"]["value"] == 40
