"""A candidate is one Pipeline: nothing is learned from rows it is not fitted on, and no class is weighted."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from tests.charts import ROOT

from screening.errors import SchemaError
from screening.training.data import TrainingSet
from screening.training.learning.candidates import OURS, SETTINGS, WEIGHTS, check_candidates, pipeline
from screening.training.learning.folds import folds
from screening.training.plan import CANDIDATES, Candidate, load_plan

Make = Callable[..., TrainingSet]
SMALL: dict[Candidate, dict[str, Any]] = {
    "logistic_regression": {"C": 0.5},
    "random_forest": {"n_estimators": 15, "max_depth": 4},
    "xgboost": {"n_estimators": 15, "max_depth": 3},
}


@pytest.mark.parametrize("name", CANDIDATES)
def test_values_of_the_test_fold_do_not_change_a_fit(training_set: Make, name: Candidate) -> None:
    data = training_set(patients=150, seed=2)
    fold = folds(data.labels, data.subjects, 5, seed=0)[0]
    other = data.values.copy()
    other[fold.test] = other[fold.test] * 1000.0 + 7.0
    answers = [
        pipeline(name, SMALL[name], 1).fit(values[fold.train], data.labels[fold.train]).predict_proba(data.values)
        for values in (data.values, other)
    ]
    assert np.array_equal(*answers)


@pytest.mark.parametrize("name", CANDIDATES)
def test_all_that_learns_is_inside_the_pipeline(training_set: Make, name: Candidate) -> None:
    data = training_set(patients=150, seed=2)
    model = pipeline(name, SMALL[name], 1)
    assert not hasattr(model, "classes_")
    model.fit(data.values, data.labels)
    steps = [step for step, _ in model.steps]
    assert (
        steps
        == {
            "logistic_regression": ["imputer", "scaler", "model"],
            "random_forest": ["imputer", "model"],
            "xgboost": ["model"],
        }[name]
    )
    if name != "xgboost":
        assert model["imputer"].statistics_.tolist() == np.nanmedian(data.values, axis=0).tolist()


@pytest.mark.parametrize("name", CANDIDATES)
def test_missing_values_and_a_feature_that_nobody_has_are_answered(training_set: Make, name: Candidate) -> None:
    data = training_set(patients=150, seed=2)
    data.values[:, 4] = np.nan
    model = pipeline(name, SMALL[name], 1).fit(data.values, data.labels)
    found = model.predict_proba(np.full((1, 8), np.nan))[:, 1]
    assert 0 < found[0] < 1


@pytest.mark.parametrize("name", CANDIDATES)
def test_fits_run_in_one_thread_and_by_their_seed(training_set: Make, name: Candidate) -> None:
    data = training_set(patients=150, seed=2)
    settings = dict(SMALL[name], **({"subsample": 0.5} if name == "xgboost" else {}))

    def answers(seed: int) -> list[float]:
        model = pipeline(name, settings, seed)
        assert model["model"].n_jobs in ((None, 1) if name == "logistic_regression" else (1,))
        return model.fit(data.values, data.labels).predict_proba(data.values)[:, 1].tolist()

    assert answers(1) == answers(1)
    if name != "logistic_regression":  # whose solver draws nothing
        assert answers(1) != answers(2)


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("key", WEIGHTS)
def test_no_class_is_weighted(name: Candidate, key: str) -> None:
    with pytest.raises(SchemaError, match=rf"candidates\.{name}\.{key}: classes are not weighted"):
        pipeline(name, {key: "balanced"}, 0)


@pytest.mark.parametrize("name", CANDIDATES)
def test_probabilities_are_not_shifted(training_set: Make, name: Candidate) -> None:
    data = training_set(patients=3000, seed=2, signal=0.5)
    found = pipeline(name, SMALL[name], 1).fit(data.values, data.labels).predict_proba(data.values)[:, 1]
    assert abs(found.mean() - data.labels.mean()) < 0.02  # a balanced fit would be near 0.5


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("key", OURS)
def test_what_the_training_sets_is_not_for_a_plan(name: Candidate, key: str) -> None:
    with pytest.raises(SchemaError, match=rf"candidates\.{name}\.{key}: is set by the training"):
        pipeline(name, {key: 1}, 0)


def test_every_wrong_name_is_told_at_once() -> None:
    with pytest.raises(SchemaError) as caught:
        check_candidates({"xgboost": {"max_dept": 3, "n_jobs": 2}, "random_forest": {"class_weight": "balanced"}})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "candidates.xgboost.max_dept", "candidates.xgboost.n_jobs", "candidates.random_forest.class_weight",
    ]  # fmt: skip
    assert "known are colsample_bylevel" in caught.value.problems[0]


def test_every_value_that_a_library_refuses_is_told_before_the_data_are_read() -> None:
    with pytest.raises(SchemaError) as caught:
        check_candidates(
            {"logistic_regression": {"C": "x"}, "random_forest": {"max_depth": -3}, "xgboost": {"reg_lambda": -1}}
        )
    assert [problem.split(":")[0] for problem in caught.value.problems] == [f"candidates.{name}" for name in CANDIDATES]
    assert "Stack trace" not in str(caught.value)


def test_the_plan_of_the_project_can_be_fitted() -> None:
    check_candidates(load_plan(ROOT / "include" / "training" / "sepsis.yaml").candidates)


def test_every_known_setting_is_one_of_its_estimator_and_of_one_kind_only() -> None:
    assert set(SETTINGS) == set(CANDIDATES) == set(get_args(Candidate))
    for name, keys in SETTINGS.items():
        assert set(keys) <= set(pipeline(name, {}, 0)["model"].get_params())
        assert not set(keys) & {*OURS, *WEIGHTS}
