"""The paired bootstrap gives scikit-learn's figures, resamples whole patients, and is quick."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from screening.training.data import TrainingSet
from screening.training.evaluation import intervals
from screening.training.gate.paired import FIGURES, Paired, Scored, paired

Make = Callable[..., TrainingSet]


def by_sklearn(labels: Any, scored: Scored, weights: Any = None) -> dict[str, float]:
    called = scored.probabilities >= scored.threshold
    return {
        "auprc": float(average_precision_score(labels, scored.probabilities, sample_weight=weights)),
        "auroc": float(roc_auc_score(labels, scored.probabilities, sample_weight=weights)),
        "f1": float(f1_score(labels, called, sample_weight=weights, zero_division=0.0)),
    }


def invented(seed: int = 0, patients: int = 120) -> tuple[Any, Any, Scored, Scored]:
    random = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(patients, dtype="int64"), random.integers(1, 4, patients))
    labels = (random.random(len(subjects)) < 0.3).astype("int64")
    worse, better = (np.clip(0.3 * labels + random.random(len(labels)) * width, 0, 1) for width in (0.9, 0.6))
    return labels, subjects, Scored(np.round(better, 2), 0.5), Scored(np.round(worse, 2), 0.4)


def test_the_figures_are_scikit_learns_with_ties_and_weights() -> None:
    labels, subjects, new, champion = invented()
    found = paired(labels, subjects, new, champion, resamples=50, seed=1)
    mine, theirs = by_sklearn(labels, new), by_sklearn(labels, champion)
    wanted: dict[str, list[float]] = {name: [] for name in FIGURES}
    for weights in np.vstack(list(intervals.resamples(subjects, 50, 1))):
        one, other = by_sklearn(labels, new, weights), by_sklearn(labels, champion, weights)
        for name in FIGURES:
            wanted[name].append(one[name] - other[name])
    for name in FIGURES:
        assert found[name].new == pytest.approx(mine[name])
        assert found[name].champion == pytest.approx(theirs[name])
        assert found[name].difference == pytest.approx(mine[name] - theirs[name])
        assert found[name].resampled == pytest.approx(wanted[name])
        assert found[name].low == pytest.approx(np.quantile(wanted[name], 0.025))
        assert found[name].high == pytest.approx(np.quantile(wanted[name], 0.975))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=30))
def test_any_scores_give_scikit_learns_figures(rows: list[tuple[int, int, int]]) -> None:
    labels = np.array([0, 1, *(row[0] for row in rows)], dtype="int64")
    new, champion = (Scored(np.array([5, 5, *(row[at] for row in rows)]) / 10, 0.5) for at in (1, 2))
    found = paired(labels, np.arange(len(labels)), new, champion, resamples=3, seed=0)
    mine, theirs = by_sklearn(labels, new), by_sklearn(labels, champion)
    for name in FIGURES:
        assert (found[name].new, found[name].champion) == pytest.approx((mine[name], theirs[name]))


def test_a_patients_stays_are_drawn_together_and_every_resample_has_as_many_patients() -> None:
    subjects = np.array([7, 3, 7, 9, 3, 7], dtype="int64")
    drawn = np.vstack(list(intervals.resamples(subjects, 400, 5)))
    assert drawn.shape == (400, 6)
    for rows in ([0, 2, 5], [1, 4]):
        assert (drawn[:, rows] == drawn[:, rows[:1]]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(6), abs=0.15)


def test_the_seed_alone_decides_and_not_how_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, subjects, new, champion = invented()

    def found(seed: int) -> Any:
        return paired(labels, subjects, new, champion, resamples=40, seed=seed)["auprc"].resampled

    whole = found(1)
    assert np.array_equal(whole, found(1))
    assert not np.array_equal(whole, found(2))
    monkeypatch.setattr(intervals, "_BLOCK", 7 * len(labels))
    assert len(found(1)) == 40
    assert np.array_equal(found(1), whole)


def test_a_model_is_no_worse_than_itself() -> None:
    labels, subjects, new, _ = invented()
    for one in paired(labels, subjects, new, new, resamples=100, seed=1).values():
        assert (one.difference, one.low, one.high) == (0.0, 0.0, 0.0)
        assert one.share_above(0.0) == 1.0


def test_a_better_model_is_found_better_and_a_worse_one_worse() -> None:
    labels, subjects, new, champion = invented(patients=400)
    better = paired(labels, subjects, new, champion, resamples=200, seed=1)["auprc"]
    worse = paired(labels, subjects, champion, new, resamples=200, seed=1)["auprc"]
    assert better.low is not None
    assert better.low > 0
    assert better.share_above(-0.01) == 1.0
    assert (worse.share_above(-0.01) or 0) < 0.05


def test_pairing_takes_out_what_is_hard_about_a_patient() -> None:
    labels, subjects, new, _ = invented(patients=300)
    nearly = Scored(np.clip(new.probabilities + np.random.default_rng(1).normal(0, 0.02, len(labels)), 0, 1), 0.5)
    found = paired(labels, subjects, new, nearly, resamples=300, seed=1)["auroc"]
    alone = [
        by_sklearn(labels, new, weights)["auroc"] for weights in np.vstack(list(intervals.resamples(subjects, 300, 1)))
    ]
    assert np.std(found.resampled) < 0.5 * np.std(alone)


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_leaves_everything_undefined(label: int) -> None:
    _, subjects, new, champion = invented()
    labels = np.full(len(subjects), label, dtype="int64")
    for found in paired(labels, subjects, new, champion, resamples=5, seed=1).values():
        assert (found.new, found.champion, found.difference, found.low, found.high) == (None,) * 5
        assert found.share_above(-1.0) is None


def test_without_a_threshold_there_is_no_f1() -> None:
    labels, subjects, new, champion = invented()
    found = paired(labels, subjects, new, champion._replace(threshold=None), resamples=5, seed=1)
    assert found["f1"].new is not None
    assert (found["f1"].champion, found["f1"].difference, found["f1"].share_above(-1.0)) == (None, None, None)
    assert found["auroc"].difference is not None


def test_a_resample_with_one_label_counts_against_the_new_model() -> None:
    # one positive patient of four: three of ten resamples are without
    labels, subjects = np.array([1, 0, 0, 0], dtype="int64"), np.arange(4, dtype="int64")
    same = Scored(np.array([0.9, 0.1, 0.2, 0.3]), 0.5)
    found = paired(labels, subjects, same, same, resamples=2000, seed=1)["auroc"]
    assert np.isnan(found.resampled).mean() == pytest.approx(0.75**4, abs=0.03)
    assert found.share_above(-1.0) == pytest.approx(1 - 0.75**4, abs=0.03)


def test_a_limit_is_decimal() -> None:
    assert Paired(0.3, 0.31, 0.3 - 0.31, None, None, np.array([0.3 - 0.31])).share_above(-0.01) == 1.0


def test_a_thousand_resamples_of_twenty_thousand_stays_are_quick() -> None:
    random = np.random.default_rng(0)
    labels, subjects = (random.random(19_000) < 0.15).astype("int64"), np.arange(19_000, dtype="int64") // 2
    scores = [Scored(random.random(19_000), 0.5) for _ in range(2)]
    begin = time.process_time()
    paired(labels, subjects, *scores, resamples=100, seed=1)
    assert time.process_time() - begin < 3  # 0.3 s; a thousand take ten times as long
