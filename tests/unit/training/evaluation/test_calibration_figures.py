"""Calibration is told by maximum likelihood: right where probabilities are, undefined where nothing can be said."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from screening.training.evaluation.calibration_figures import Calibration, log_odds, spline
from screening.training.logistic import fit_logistic, probability


def _calibrated(n: int, seed: int = 0) -> tuple[Any, Any]:
    """Return labels and the very risks that they were drawn by."""
    random = np.random.default_rng(seed)
    risk = probability(random.normal(-1.5, 1.2, n))
    return (random.random(n) < risk).astype("int64"), risk


def _figures(labels: Any, scores: Any) -> dict[str, Any]:
    return {name: each[0] for name, each in Calibration(labels, scores).figures(np.ones((1, len(labels)))).items()}


def test_perfect_probabilities_have_slope_1_and_intercept_0() -> None:
    labels, risk = _calibrated(40_000)
    found = _figures(labels, risk)
    assert found["slope"] == pytest.approx(1, abs=0.04)
    assert found["intercept"] == pytest.approx(0, abs=0.06)
    assert found["in_the_large"] == pytest.approx(0, abs=0.04)
    assert found["ece"] < 0.01
    calibration = Calibration(labels, risk)
    assert found["observed"] == pytest.approx(calibration.predicted, abs=0.02)
    distances = calibration.distances()
    assert 0 < distances["e_avg"] < distances["e_90"] < distances["e_max"] < 0.05


@pytest.mark.parametrize(("stretch", "shift"), [(2.0, 0.0), (0.5, 0.0), (1.0, 0.7), (1.5, -0.5)])
def test_what_was_done_to_the_log_odds_is_found(stretch: float, shift: float) -> None:
    labels, risk = _calibrated(40_000)
    scores = probability(stretch * log_odds(risk) + shift)
    found = _figures(labels, scores)
    assert found["slope"] == pytest.approx(1 / stretch, abs=0.05)
    assert found["intercept"] == pytest.approx(-shift / stretch, abs=0.06)
    if stretch > 1:
        assert found["slope"] < 0.75  # too extreme
    if stretch == 1:
        assert found["in_the_large"] == pytest.approx(-shift, abs=0.05)
    curve = probability((log_odds(Calibration(labels, scores).predicted) - shift) / stretch)
    assert found["observed"] == pytest.approx(curve, abs=0.025)


def test_the_in_the_large_makes_the_mean_right() -> None:
    labels, risk = _calibrated(500)
    large = Calibration(labels, np.sqrt(risk)).in_the_large
    assert large < 0
    assert probability(log_odds(np.sqrt(risk)) + large).mean() == pytest.approx(labels.mean())


def test_the_curve_follows_what_no_line_can() -> None:
    random = np.random.default_rng(4)
    odds = random.normal(0, 1.5, 40_000)
    risk = probability(np.where(odds > 0, 0.3 * odds, odds))  # the high ones are too high
    labels = (random.random(40_000) < risk).astype("int64")
    calibration = Calibration(labels, probability(odds))
    spots = log_odds(calibration.predicted)
    wanted = probability(np.where(spots > 0, 0.3 * spots, spots))
    curve = calibration.figures(np.ones((1, 40_000)))["observed"][0]
    assert curve == pytest.approx(wanted, abs=0.04)
    apart = np.abs(risk - probability(odds))
    distances = calibration.distances()
    assert distances["e_avg"] == pytest.approx(apart.mean(), abs=0.01)
    assert distances["e_90"] == pytest.approx(np.quantile(apart, 0.9), abs=0.02)


def test_bins_hold_equally_many_and_ece_is_their_mean_distance() -> None:
    labels, risk = _calibrated(1000)
    bins = Calibration(labels, risk).bins()
    assert [each["stays"] for each in bins] == [100] * 10
    by_hand = np.array_split(np.argsort(risk), 10)
    for each, rows in zip(bins, by_hand, strict=True):
        assert (each["predicted"], each["observed"]) == pytest.approx((risk[rows].mean(), labels[rows].mean()))
    ece = sum(abs(risk[rows].mean() - labels[rows].mean()) for rows in by_hand) / 10
    assert _figures(labels, risk)["ece"] == pytest.approx(ece)


def test_equal_probabilities_share_a_bin() -> None:
    labels = np.array([0, 0, 0, 1, 1, 0, 1, 1])
    bins = Calibration(labels, np.array([0.1] * 4 + [0.8] * 4)).bins()
    assert bins == [
        {"predicted": pytest.approx(0.1), "observed": 0.25, "stays": 4},
        {"predicted": pytest.approx(0.8), "observed": 0.75, "stays": 4},
    ]


def test_a_weight_is_as_good_as_so_many_stays() -> None:
    labels, risk = _calibrated(300, seed=2)
    weights = np.random.default_rng(0).integers(0, 4, (3, 300)).astype("float64")
    found = Calibration(labels, risk).figures(weights)
    for row in range(3):
        many = weights[row].astype("int64")
        alone = _figures(np.repeat(labels, many), np.repeat(risk, many))
        for name in ("in_the_large", "intercept", "slope"):
            assert found[name][row] == pytest.approx(alone[name], abs=1e-8)


def test_scores_that_are_all_equal_have_a_mean_and_no_slope() -> None:
    labels = np.array([0, 1, 0, 0])
    calibration = Calibration(labels, np.full(4, 0.4))
    found = _figures(labels, np.full(4, 0.4))
    assert found["in_the_large"] == pytest.approx(log_odds(np.array([0.25]))[0] - log_odds(np.array([0.4]))[0])
    assert np.isnan([found["slope"], found["intercept"], *found["observed"]]).all()
    assert np.isnan(list(calibration.distances().values())).all()
    assert found["ece"] == pytest.approx(0.15)


def test_two_scores_give_a_line_and_labels_that_they_separate_none() -> None:
    scores = np.array([0.2] * 5 + [0.6] * 5)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    assert _figures(labels, scores)["slope"] == pytest.approx(2 * np.log(4) / (np.log(1.5) - np.log(0.25)))
    separated = _figures((scores > 0.5).astype("int64"), scores)
    assert np.isnan([separated["slope"], *separated["observed"]]).all()
    assert np.isfinite(separated["ece"])


def test_certainty_is_no_infinity() -> None:
    labels = np.array([0, 1, 0, 1, 1, 0, 0, 1])
    found = _figures(labels, np.array([0.0, 0.0, 0.3, 0.4, 0.6, 0.7, 1.0, 1.0]))
    assert np.isfinite([found["slope"], found["in_the_large"]]).all()
    assert found["slope"] < 0.2


def test_the_fit_is_that_of_most_likelihood() -> None:
    random = np.random.default_rng(6)
    columns = np.column_stack([np.ones(200), random.normal(size=(200, 2)) * [1.0, 30.0]])
    labels = (random.random(200) < probability(columns @ [-1.0, 1.5, 0.02])).astype("int64")
    weights = random.integers(0, 3, (4, 200)).astype("float64")
    offset = random.normal(size=200)
    found = fit_logistic(columns, labels, weights, offset=offset)

    for row, mine in zip(weights, found, strict=True):

        def loss(beta: Any, row: Any = row) -> float:
            odds = columns @ beta + offset
            return float(row @ (np.logaddexp(0, odds) - labels * odds))

        wanted = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-7}).x
        assert mine == pytest.approx(wanted, abs=1e-4)
    started = fit_logistic(columns, labels, weights, offset=offset, start=found[0] + 0.3)
    assert started == pytest.approx(found, abs=1e-8)


def test_resamples_without_a_maximum_leave_the_others_alone() -> None:
    columns = np.column_stack([np.ones(6), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])
    labels = np.array([0, 0, 1, 0, 1, 1])
    weights = np.ones((4, 6))
    weights[0, labels == 1] = 0  # one label
    weights[1, 2] = 0  # separated
    weights[2, [0, 1, 2, 4, 5]] = 0, 0, 0, 0, 0
    found = fit_logistic(columns, labels, weights)
    assert np.isnan(found[:3]).all()
    assert found[3] == pytest.approx(fit_logistic(columns, labels, np.ones((1, 6)))[0])


def test_overconfident_scores_are_no_trap_for_newton() -> None:
    labels, risk = _calibrated(2000, seed=3)
    scores = probability(4 * log_odds(risk))
    assert _figures(labels, scores)["slope"] == pytest.approx(_figures(labels, risk)["slope"] / 4)


def test_the_spline_is_straight_outside_and_smooth_inside() -> None:
    x = np.linspace(-6, 6, 1201)
    knots = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    columns = spline(x, knots)
    assert columns.shape == (1201, 5)
    bend = np.diff(columns, 2, axis=0)
    outside = (x[1:-1] < -2.01) | (x[1:-1] > 2.01)
    assert np.abs(bend[outside]).max() < 1e-9
    assert np.abs(bend[~outside, 2:]).max() > 1e-5
    assert np.abs(np.diff(bend, axis=0)).max() < 1e-5  # no jump in the second derivative
    assert spline(x, knots[:2]).shape == (1201, 2)
