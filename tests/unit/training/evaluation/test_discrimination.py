"""AUROC, average precision and curves are those of scikit-learn, with ties and with weights."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from screening.training.evaluation.discrimination import GRID, Ranked, auprc, auroc, precision_recall, roc


def _stays(seed: int, distinct: int = 12, n: int = 60) -> tuple[Any, Any, Any]:
    """Return labels, scores with ties, and weights of five resamples, with zeros."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.3).astype("int64")
    labels[:2] = 0, 1
    scores = random.integers(0, distinct, n) / distinct + 0.1 * labels
    weights = random.integers(0, 3, (5, n)).astype("float64")
    weights[:, :2] = 1
    return labels, scores, weights


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([1, 3, 12, 1000]))
def test_areas_are_those_of_scikit_learn(seed: int, distinct: int) -> None:
    labels, scores, weights = _stays(seed, distinct)
    counts = Ranked(labels, scores).counts(weights)
    for row, area, precision in zip(weights, auroc(counts), auprc(counts), strict=True):
        assert area == pytest.approx(roc_auc_score(labels, scores, sample_weight=row))
        assert precision == pytest.approx(average_precision_score(labels, scores, sample_weight=row))
    whole = Ranked(labels, scores).counts()
    assert auroc(whole)[0] == pytest.approx(roc_auc_score(labels, scores))
    assert auprc(whole)[0] == pytest.approx(average_precision_score(labels, scores))


def test_a_weight_is_as_good_as_so_many_stays() -> None:
    labels, scores, weights = _stays(3)
    for row, found in zip(weights, auroc(Ranked(labels, scores).counts(weights)), strict=True):
        many = row.astype("int64")
        assert found == pytest.approx(auroc(Ranked(np.repeat(labels, many), np.repeat(scores, many)).counts())[0])


def test_equal_scores_tell_nothing() -> None:
    labels = np.array([1, 0, 0, 0])
    counts = Ranked(labels, np.full(4, 0.3)).counts()
    assert (auroc(counts)[0], auprc(counts)[0]) == (0.5, 0.25)
    assert roc(counts)[0] == pytest.approx(GRID)
    assert precision_recall(counts)[0] == pytest.approx(np.full(101, 0.25))


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_has_no_auroc(label: int) -> None:
    ranked = Ranked(np.full(3, label), np.array([0.1, 0.2, 0.3]))
    assert ranked.one_label
    assert np.isnan(auroc(ranked.counts())).all()


def test_the_roc_curve_is_that_of_scikit_learn() -> None:
    labels, scores, weights = _stays(5, n=200)
    for row, found in zip(weights, roc(Ranked(labels, scores).counts(weights)), strict=True):
        fpr, tpr, _ = roc_curve(labels, scores, sample_weight=row)
        assert found == pytest.approx(np.interp(GRID, fpr, tpr))
        assert (np.diff(found) >= -1e-12).all()
        assert found[-1] == 1


def test_precision_is_told_where_a_recall_is_first_reached() -> None:
    # one at 0.9; then two more for one at 0.7: 2 of 4
    ranked = Ranked(np.array([1, 0, 0, 1]), np.array([0.9, 0.8, 0.8, 0.7]))
    found = precision_recall(ranked.counts())[0]
    assert found[: 50 + 1].tolist() == [1.0] * 51
    assert found[51:].tolist() == [0.5] * 50
    # without whoever has the highest score, the next is the first
    lacking = precision_recall(ranked.counts(np.array([[0.0, 1.0, 1.0, 1.0]])))[0]
    assert lacking[0] == 0
    assert lacking[1:] == pytest.approx(np.full(100, 1 / 3))


def test_the_mean_of_the_precision_curve_is_the_average_precision() -> None:
    random = np.random.default_rng(0)
    labels = (random.random(5000) < 0.2).astype("int64")
    counts = Ranked(labels, random.normal(size=5000) + labels).counts()
    assert precision_recall(counts)[0].mean() == pytest.approx(auprc(counts)[0], abs=0.005)


def test_a_threshold_calls_whoever_reaches_it() -> None:
    ranked = Ranked(np.array([1, 0, 1, 0]), np.array([0.9, 0.5, 0.5, 0.1]))
    counts = ranked.counts()
    columns = ranked.columns(np.array([0.95, 0.9, 0.6, 0.5, 0.1, 0.0]))
    assert counts.tp[0, columns].tolist() == [0, 1, 1, 2, 2, 2]
    assert counts.fp[0, columns].tolist() == [0, 0, 0, 1, 2, 2]
    assert int(ranked.columns(0.5)) == columns[3]
