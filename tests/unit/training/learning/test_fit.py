"""Scores, calibration and threshold come from patients that were left out, and fit what serving reads."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from screening.errors import FatalError
from screening.model.calibration import calibrate, parse_calibration
from screening.training.data import TrainingSet
from screening.training.learning import fit as module
from screening.training.learning.candidates import pipeline
from screening.training.learning.fit import (
    IDENTITY,
    Fitted,
    best,
    best_threshold,
    calibration_map,
    fit,
    out_of_fold,
    raw_probabilities,
)
from screening.training.learning.folds import Fold, folds
from screening.training.plan import CANDIDATES, Candidate

Make = Callable[..., TrainingSet]
SMALL: dict[Candidate, dict[str, Any]] = {
    "logistic_regression": {"C": 0.5},
    "random_forest": {"n_estimators": 15, "max_depth": 4},
    "xgboost": {"n_estimators": 15, "max_depth": 3, "subsample": 0.8},
}


def _fit(name: Candidate, data: TrainingSet, seed: int = 1) -> tuple[Fitted, list[Fold]]:
    cut = folds(data.labels, data.subjects, 4, seed)
    return fit(name, SMALL[name], data, cut, seed), cut


@pytest.mark.parametrize("name", CANDIDATES)
def test_each_score_is_from_a_model_without_the_patient(training_set: Make, name: Candidate) -> None:
    data = training_set(patients=200, seed=1)
    fitted, cut = _fit(name, data)
    for fold in cut:
        apart = pipeline(name, SMALL[name], 1).fit(data.values[fold.train], data.labels[fold.train])
        assert np.array_equal(raw_probabilities(apart, data.values[fold.test]), fitted.raw[fold.test])
    whole = pipeline(name, SMALL[name], 1).fit(data.values, data.labels)
    assert np.array_equal(raw_probabilities(whole, data.values), raw_probabilities(fitted.model, data.values))
    assert not np.array_equal(raw_probabilities(whole, data.values), fitted.raw)


def test_each_score_is_calibrated_by_a_map_of_the_other_folds(training_set: Make) -> None:
    data = training_set(patients=200, seed=1)
    fitted, cut = _fit("xgboost", data)
    for fold in cut:
        others = parse_calibration(calibration_map(fitted.raw[fold.train], data.labels[fold.train], "platt"))
        assert np.array_equal(calibrate(others, fitted.raw[fold.test]), fitted.calibrated[fold.test])
    assert fitted.calibration == calibration_map(fitted.raw, data.labels, "platt")


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_same_seed_gives_the_same_bytes(training_set: Make, name: Candidate, tmp_path: Any) -> None:
    data = training_set(patients=150, seed=1)
    written = []
    for seed in (1, 1, 2):
        fitted, _ = _fit(name, data, seed)
        joblib.dump(fitted, tmp_path / "fitted")
        written.append((tmp_path / "fitted").read_bytes())
    assert written[0] == written[1]
    assert written[0] != written[2]


def test_cross_calibrated_scores_tell_the_risk(training_set: Make) -> None:
    data = training_set(patients=3000, seed=1)
    fitted, _ = _fit("xgboost", data)
    assert abs(fitted.calibrated.mean() - data.labels.mean()) < 0.01
    high = fitted.calibrated >= np.quantile(fitted.calibrated, 0.9)
    assert abs(fitted.calibrated[high].mean() - data.labels[high].mean()) < 0.06


def test_the_method_goes_by_the_number_of_positives(training_set: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = training_set(patients=200, seed=1)
    assert module.ISOTONIC_FROM == 1000
    monkeypatch.setattr(module, "ISOTONIC_FROM", int(data.labels.sum()) + 1)
    assert _fit("xgboost", data)[0].calibration["method"] == "platt"
    monkeypatch.setattr(module, "ISOTONIC_FROM", int(data.labels.sum()))
    fitted, cut = _fit("xgboost", data)
    assert fitted.calibration["method"] == "isotonic"
    others = calibration_map(fitted.raw[cut[0].train], data.labels[cut[0].train], "isotonic")
    assert np.array_equal(calibrate(parse_calibration(others), fitted.raw[cut[0].test]), fitted.calibrated[cut[0].test])


def _scores(count: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return raw probabilities that are too extreme, labels, and the true risk: half the log-odds, and one less."""
    random = np.random.default_rng(seed)
    odds = random.normal(0, 2, count)
    risk = 1 / (1 + np.exp(-(0.5 * odds - 1)))
    return 1 / (1 + np.exp(-odds)), (random.random(count) < risk).astype("int64"), risk


def test_platt_finds_the_line_of_most_likelihood_with_platts_targets() -> None:
    raw, labels, _ = _scores(400)
    positives = labels.sum()
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (400 - positives + 2))
    odds = np.log(raw / (1 - raw))

    def loss(line: Any) -> float:
        found = line[0] * odds + line[1]
        return float(np.sum(np.logaddexp(0, found) - target * found))

    wanted = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-8}).x
    found = calibration_map(raw, labels, "platt")
    assert (found["coef"], found["intercept"]) == pytest.approx(tuple(wanted), abs=1e-5)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_map_finds_the_true_risk(method: Any) -> None:
    raw, labels, _ = _scores(20_000)
    fresh, _, risk = _scores(2000, seed=1)
    found = calibrate(parse_calibration(calibration_map(raw, labels, method)), fresh)
    assert np.abs(fresh - risk).mean() > 0.1
    assert np.abs(found - risk).mean() < 0.02


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_scores_that_fall_with_the_risk_are_not_turned_round(method: Any) -> None:
    raw, labels, _ = _scores(500)
    found = parse_calibration(calibration_map(1 - raw, labels, method))
    assert found is not None
    assert found.one(0.9) >= found.one(0.1)
    if method == "platt":
        assert calibration_map(1 - raw, labels, method) == IDENTITY


@given(st.integers(0, 100_000), st.sampled_from(["platt", "isotonic"]), st.sampled_from([1, 2, 5, 1000]))
def test_every_map_is_one_that_serving_reads(seed: int, method: Any, distinct: int) -> None:
    random = np.random.default_rng(seed)
    raw = random.integers(0, distinct + 1, 30) / distinct  # with exact 0 and 1, ties and few values
    labels = (random.random(30) < random.uniform(0.05, 0.95)).astype("int64")
    labels[:2] = 0, 1
    found = calibration_map(raw, labels, method)
    read = parse_calibration(found)
    assert read is not None
    answers = calibrate(read, np.linspace(0, 1, 21))
    assert ((answers >= 0) & (answers <= 1)).all()
    assert (np.diff(answers) >= 0).all()
    for value in (found.get("x") or [found.get("coef")]) + (found.get("y") or [found.get("intercept")]):
        assert type(value) is float


def test_scores_that_are_all_equal_are_left_as_they_are() -> None:
    labels = np.array([0, 1, 0, 1])
    for method in ("platt", "isotonic"):
        assert calibration_map(np.full(4, 0.3), labels, method) == IDENTITY  # type: ignore[arg-type]


def test_separated_labels_give_a_line_that_is_finite() -> None:
    raw = np.concatenate([np.linspace(0.1, 0.4, 30), np.linspace(0.6, 0.9, 30)])
    found = calibration_map(raw, np.repeat([0, 1], 30), "platt")
    assert 1 < found["coef"] < 20


def test_isotonic_knots_ascend_and_promise_nobody_certainty() -> None:
    raw, labels, _ = _scores(5000)
    raw = np.round(raw, 2)  # ties
    found = calibration_map(raw, labels, "isotonic")
    assert all(a < b for a, b in pairwise(found["x"]))
    assert all(a <= b for a, b in pairwise(found["y"]))
    assert found["y"][0] > 0
    assert found["y"][-1] < 1
    separated = calibration_map(np.linspace(0, 1, 50), (np.arange(50) >= 25).astype("int64"), "isotonic")
    assert 0 < separated["y"][0] < 0.05
    assert 0.95 < separated["y"][-1] < 1


def _f1(labels: Any, called: Any) -> float:
    return float(2 * (labels * called).sum() / (labels.sum() + called.sum()))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 19)), min_size=2, max_size=40))
def test_no_threshold_is_better_and_none_as_good_is_lower(rows: list[tuple[int, int]]) -> None:
    labels = np.array([label for label, _ in rows] + [1])
    probabilities = np.array([score / 20 for _, score in rows] + [0.5])
    threshold, f1 = best_threshold(labels, probabilities)
    scores = {float(t): _f1(labels, probabilities >= t) for t in np.unique(probabilities)}
    assert f1 == pytest.approx(max(scores.values()))
    assert scores[threshold] == pytest.approx(f1)
    assert all(other < f1 - 1e-12 for t, other in scores.items() if t < threshold)


def test_of_equal_thresholds_the_lowest_is_taken() -> None:
    labels = np.array([1, 0, 0, 1, 0])
    probabilities = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    # at 0.9: 2 * 1 / (2 + 1); at 0.6: 2 * 2 / (2 + 4)
    assert best_threshold(labels, probabilities) == (0.6, pytest.approx(2 / 3))


def test_the_threshold_is_above_0_and_below_1() -> None:
    labels = np.array([1, 1, 0, 0])
    assert best_threshold(labels, np.array([1.0, 0.4, 0.3, 0.0])) == (0.4, 1.0)
    assert best_threshold(labels, np.array([1.0, 1.0, 0.0, 0.0])) == (0.5, 1.0)
    assert best_threshold(labels, np.array([1.0, 0.0, 0.0, 0.0])) == (0.5, pytest.approx(2 / 3))
    assert best_threshold(labels, np.array([1.0, 1.0, 0.2, 0.0])) == (0.2, pytest.approx(0.8))


def test_a_model_of_chance_is_fitted_all_the_same(training_set: Make) -> None:
    for seed in range(6):
        data = training_set(patients=120, seed=seed, signal=0.0)
        for name in CANDIDATES:
            fitted, _ = _fit(name, data)
            assert 0 < fitted.threshold < 1
            assert parse_calibration(fitted.calibration) is not None


def test_the_threshold_and_its_f1_belong_to_the_calibrated_scores(training_set: Make) -> None:
    data = training_set(seed=8)
    fitted, _ = _fit("random_forest", data)
    assert (fitted.threshold, fitted.f1) == best_threshold(data.labels, fitted.calibrated)
    assert fitted.f1 == pytest.approx(_f1(data.labels, fitted.calibrated >= fitted.threshold))


def test_the_best_f1_wins_and_of_equal_ones_the_simplest(training_set: Make) -> None:
    one, _ = _fit("logistic_regression", training_set(patients=150, seed=1))

    def winner(**f1: float) -> str:
        return best([replace(one, name=name, f1=value) for name, value in f1.items()]).name  # type: ignore[arg-type]

    assert winner(xgboost=0.5, random_forest=0.6, logistic_regression=0.4) == "random_forest"
    assert winner(xgboost=0.6, random_forest=0.6, logistic_regression=0.6) == "logistic_regression"
    assert winner(xgboost=0.6, random_forest=0.6) == "random_forest"
    assert winner(xgboost=0.6000004, random_forest=0.6) == "random_forest"
    assert winner(xgboost=0.600002, random_forest=0.6) == "xgboost"


def test_what_a_library_refuses_is_told_with_the_candidate(training_set: Make) -> None:
    data = training_set(patients=150, seed=1)
    data.values[3, 2] = np.inf
    cut = folds(data.labels, data.subjects, 4, 1)
    with pytest.raises(FatalError, match=r"xgboost cannot be fitted on \d+ stays: .*inf"):
        fit("xgboost", SMALL["xgboost"], data, cut, 1)


def test_folds_of_other_rows_are_refused(training_set: Make) -> None:
    data = training_set(patients=150, seed=1)
    cut = folds(data.labels, data.subjects, 4, 1)
    for wrong in (cut[1:], [*cut, cut[0]]):
        with pytest.raises(FatalError, match="exactly once"):
            out_of_fold("logistic_regression", {}, data, wrong, 1)
