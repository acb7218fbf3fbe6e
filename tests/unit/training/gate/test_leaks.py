"""The alarm for leaks is silent on honest training, and rings for the two ways in which labels reach the fit."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.training.evaluation_example import example, undefined

from screening.errors import FatalError
from screening.training.data import TrainingSet
from screening.training.gate import leaks as module
from screening.training.gate.leaks import ShuffledLabels, auroc_alarm, shuffled_label_auroc
from screening.training.learning.fit import out_of_fold
from screening.training.learning.folds import Fold
from screening.training.plan import CANDIDATES, Candidate

Make = Callable[..., TrainingSet]
SETTINGS: dict[Candidate, dict[str, Any]] = {
    "logistic_regression": {},
    "random_forest": {"n_estimators": 15},
    "xgboost": {"n_estimators": 20, "max_depth": 5, "learning_rate": 0.3},
}


def alike(data: TrainingSet, stays: int = 3) -> TrainingSet:
    """Return so many stays of each patient, nearly equal in their values and equal in their label, as of one illness."""
    first = data.take(np.unique(data.subjects, return_index=True)[1])
    again = first.take(np.repeat(np.arange(len(first)), stays))
    noise = np.random.default_rng(5).normal(scale=0.02, size=again.values.shape)
    return replace(again, values=again.values + noise, stays=np.arange(len(again), dtype="int64"))


def by_stay(labels: Any, subjects: Any, count: int, seed: int) -> list[Fold]:
    """Cut stays, as if each were a patient of its own."""
    part = np.random.default_rng(seed).integers(0, count, len(labels))
    return [Fold(np.flatnonzero(part != each), np.flatnonzero(part == each)) for each in range(count)]


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("signal", [0.0, 1.0])
def test_no_alarm_where_nothing_leaks(training_set: Make, name: Candidate, signal: float) -> None:
    found = shuffled_label_auroc(name, SETTINGS[name], training_set(patients=300, seed=3, signal=signal), 4, 1, 3)
    assert not found.leak
    assert abs(found.mean - 0.5) < 0.1
    assert 0.5 < found.limit < 0.6


@pytest.mark.parametrize("name", ["random_forest", "xgboost"])
def test_alarm_where_a_patients_stays_are_on_both_sides_of_a_cut(
    training_set: Make, monkeypatch: pytest.MonkeyPatch, name: Candidate
) -> None:
    data = alike(training_set(patients=150, seed=1, missing=0.0))
    assert not shuffled_label_auroc(name, SETTINGS[name], data, 4, 1, 2).leak
    monkeypatch.setattr(module, "folds", by_stay)
    found = shuffled_label_auroc(name, SETTINGS[name], data, 4, 1, 2)
    assert found.leak
    assert found.mean > 0.9


def test_alarm_where_a_step_was_fitted_on_all_rows(training_set: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = training_set(patients=300, seed=1)
    noise = np.random.default_rng(2).normal(size=(len(data), 300))

    def chosen_by_all(name: Candidate, settings: Any, given: TrainingSet, cut: Any, seed: int) -> Any:
        told = np.abs(np.corrcoef(noise.T, given.labels)[-1, :-1])
        best = np.argsort(-told)[: len(given.feature_names)]
        return out_of_fold(name, settings, replace(given, values=noise[:, best]), cut, seed)

    monkeypatch.setattr(module, "out_of_fold", chosen_by_all)
    found = shuffled_label_auroc("logistic_regression", {}, data, 4, 1, 2)
    assert found.leak
    assert found.mean > 0.6


def test_the_labels_that_are_fitted_on_are_shuffled_among_patients_with_as_many_stays(
    training_set: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = training_set(patients=200, seed=4)
    seen: list[TrainingSet] = []

    def watched(name: Candidate, settings: Any, given: TrainingSet, cut: Any, seed: int) -> Any:
        seen.append(given)
        # cut after the shuffle: each fold has its share of the labels as they now are
        assert all(abs(given.labels[fold.test].mean() - given.labels.mean()) < 0.03 for fold in cut)
        assert all(not set(given.subjects[fold.train]) & set(given.subjects[fold.test]) for fold in cut)
        return out_of_fold(name, settings, given, cut, seed)

    monkeypatch.setattr(module, "out_of_fold", watched)
    shuffled_label_auroc("logistic_regression", {}, data, 4, 1, 2)
    assert len(seen) == 2
    assert (seen[0].labels != seen[1].labels).any()

    def patients(labels: Any) -> Counter[tuple[int, int]]:
        """Count the patients by number of stays and of positive ones."""
        whose = [labels[data.subjects == subject] for subject in np.unique(data.subjects)]
        return Counter((len(mine), int(mine.sum())) for mine in whose)

    for given in seen:
        assert (given.labels != data.labels).any()
        assert np.array_equal(given.values, data.values, equal_nan=True)
        assert patients(given.labels) == patients(data.labels)


def test_the_same_seed_finds_the_same(training_set: Make) -> None:
    data = training_set(patients=200, seed=1)

    def found(seed: int) -> ShuffledLabels:
        return shuffled_label_auroc("logistic_regression", {}, data, 4, seed, 2)

    assert found(1) == found(1)
    assert found(1).aurocs != found(2).aurocs
    assert len(found(1).aurocs) == 2


def test_the_limit_is_three_standard_errors_of_the_mean() -> None:
    assert ShuffledLabels((0.56,), 0.02).limit == pytest.approx(0.56)
    assert ShuffledLabels((0.5,) * 4, 0.02).limit == pytest.approx(0.53)
    assert ShuffledLabels((0.5601,), 0.02).leak
    assert not ShuffledLabels((0.5599,), 0.02).leak
    assert not ShuffledLabels((0.1,), 0.02).leak  # as chance has it where rows are few


def test_the_spread_is_that_of_chance() -> None:
    # a hundred patients with one stay, half of them positive: the spread that Mann and Whitney give
    labels = np.arange(100, dtype="int64") % 2
    wanted = np.sqrt(101 / (12 * 50 * 50))
    groups = module._equally_many_stays(np.arange(100, dtype="int64"))
    ranked = module._Ranked(np.random.default_rng(0).random(100), groups)
    random = np.random.default_rng(1)
    found = [ranked.auroc(module._shuffled(labels, groups, random)) for _ in range(2000)]
    assert np.std(found) == pytest.approx(wanted, rel=0.06)
    assert np.mean(found) == pytest.approx(0.5, abs=0.005)


def test_labels_that_cannot_be_told_apart_are_refused(training_set: Make) -> None:
    data = training_set(patients=120, seed=1)
    one = data.take(np.unique(data.subjects, return_index=True)[1])
    twice = one.take(np.repeat(np.arange(len(one)), np.where(one.labels == 1, 2, 1)))
    with pytest.raises(FatalError, match="no two patients with equally many stays have different labels: take more"):
        shuffled_label_auroc("logistic_regression", {}, twice, 3, 1, 1)


def test_an_auroc_too_good_to_be_true_is_named() -> None:
    evaluation = example()
    parts = evaluation["parts"]
    parts["train"]["auroc"]["value"] = 1.0  # on the rows that were fitted on it means nothing
    parts["test"]["auroc"]["value"], parts["cross_validation"]["auroc"]["value"] = 0.9, 0.95
    assert auroc_alarm(evaluation, 0.9) == {"cross_validation": 0.95}
    assert auroc_alarm(evaluation, 0.89) == {"test": 0.9, "cross_validation": 0.95}
    assert auroc_alarm(evaluation, 0.95) == {}
    assert auroc_alarm(undefined(evaluation), 0.9) == {"cross_validation": 0.95}


def test_the_ranking_costs_little_beside_the_fits(training_set: Make) -> None:
    data = training_set(patients=20_000, seed=1)
    groups, random = module._equally_many_stays(data.subjects), np.random.default_rng(0)
    begin = time.process_time()
    ranked = module._Ranked(random.random(len(data)), groups)
    for _ in range(module.DRAWS):
        ranked.auroc(module._shuffled(data.labels, groups, random))
    assert time.process_time() - begin < 2  # 0.1 s for 27,000 stays
