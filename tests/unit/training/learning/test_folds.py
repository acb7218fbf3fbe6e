"""Cuts are between patients, the same for ever, and refused where they would leave nothing to judge by."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mimic import PLAN

from screening.errors import FatalError
from screening.training.data import TrainingSet
from screening.training.learning import folds as module
from screening.training.learning.folds import Fold, folds, split, untouched

Make = Callable[..., TrainingSet]


def test_no_subject_in_two_parts(training_set: Make) -> None:
    data = training_set(patients=500, seed=3)
    kept = untouched(data.subjects, 0.2, "sepsis")
    learning = data.take(~kept)
    assert not set(data.subjects[kept]) & set(learning.subjects)
    cut = folds(learning.labels, learning.subjects, 5, seed=1)
    assert len(cut) == 5
    for fold in cut:
        assert not set(learning.subjects[fold.train]) & set(learning.subjects[fold.test])
    for one, other in combinations(cut, 2):
        assert not set(learning.subjects[one.test]) & set(learning.subjects[other.test])


def test_every_row_is_predicted_once_and_by_a_fit_on_all_the_others(training_set: Make) -> None:
    data = training_set(seed=4)
    cut = folds(data.labels, data.subjects, 4, seed=0)
    assert sorted(np.concatenate([fold.test for fold in cut]).tolist()) == list(range(len(data)))
    for fold in cut:
        assert sorted([*fold.train.tolist(), *fold.test.tolist()]) == list(range(len(data)))


def test_every_fold_has_about_the_same_share_of_positives(training_set: Make) -> None:
    data = training_set(patients=2000, seed=5)
    for fold in folds(data.labels, data.subjects, 5, seed=9):
        assert abs(data.labels[fold.test].mean() - data.labels.mean()) < 0.02


def test_the_same_seed_cuts_the_same_and_another_otherwise(training_set: Make) -> None:
    data = training_set(seed=6)

    def cut(seed: int) -> list[list[int]]:
        return [fold.test.tolist() for fold in folds(data.labels, data.subjects, 5, seed)]

    assert cut(1) == cut(1)
    assert cut(1) != cut(2)


@given(
    subjects=st.lists(st.integers(0, 2**40), min_size=1, max_size=60),
    more=st.lists(st.integers(0, 2**40), max_size=60),
    share=st.floats(0.05, 0.85),
    salt=st.text(max_size=8),
)
def test_more_data_never_move_a_patient(subjects: list[int], more: list[int], share: float, salt: str) -> None:
    alone = untouched(np.array(subjects, dtype="int64"), share, salt)
    grown = untouched(np.array(more + subjects, dtype="int64"), share, salt)
    assert alone.tolist() == grown[len(more) :].tolist()


def test_the_part_of_a_patient_is_fixed_for_ever() -> None:
    # Another hash, order of salt and id, or byte order would move patients between parts of models already published.
    subjects = np.arange(10_000_000, 10_000_020, dtype="int64")
    assert np.flatnonzero(untouched(subjects, 0.2, "sepsis")).tolist() == [5, 8, 11, 14]


def test_the_share_is_kept_and_grows_by_adding_patients_only() -> None:
    subjects = np.arange(20_000, dtype="int64")
    less, more = untouched(subjects, 0.2, "a"), untouched(subjects, 0.3, "a")
    assert abs(less.mean() - 0.2) < 0.01
    assert abs(more.mean() - 0.3) < 0.01
    assert not (less & ~more).any()
    assert (untouched(subjects, 0.2, "b") != less).any()


def _stays(positive: int, negative: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([1] * positive + [0] * negative, dtype="int64")
    return labels, np.arange(len(labels), dtype="int64")


def test_one_label_is_refused() -> None:
    with pytest.raises(FatalError, match="no stay is positive"):
        folds(*_stays(0, 30), 5, 0)
    with pytest.raises(FatalError, match="every stay is positive"):
        folds(*_stays(30, 0), 5, 0)
    with pytest.raises(FatalError, match=r"every stay is positive|no stay is positive"):
        folds(*_stays(0, 0), 5, 0)


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({0}, r"of \d+ stays untouched, to judge by 0 are positive"),
        ({1}, r"of (\d+) stays untouched, to judge by \1 are positive"),
        (set(), "of 0 stays untouched, to judge by 0 are positive"),
    ],
)
def test_untouched_patients_of_one_label_are_called_so(training_set: Make, kept: set[int], told: str) -> None:
    """The label's prefixes are not to blame, and the attrition does not tell it."""
    data = training_set(patients=300)
    judges = untouched(data.subjects, PLAN.untouched.share, PLAN.untouched.salt)
    given = data.take(~judges | np.isin(data.labels, list(kept)))
    with pytest.raises(FatalError, match=f"{told}, and it takes both kinds: take more patients"):
        split(given, PLAN)


def test_fewer_positive_patients_than_folds_are_refused_however_many_stays_they_have() -> None:
    with pytest.raises(FatalError, match=r"cannot cut 5 folds: only 4 patient.*positive.*take fewer folds"):
        folds(*_stays(4, 50), 5, 0)
    with pytest.raises(FatalError, match=r"only 3 patient.*negative"):
        folds(*_stays(50, 3), 5, 0)
    labels, subjects = _stays(20, 50)
    subjects[:20] //= 5  # twenty positive stays of four patients
    with pytest.raises(FatalError, match="only 4 patient"):
        folds(labels, subjects, 5, 0)
    assert len(folds(*_stays(5, 50), 5, 0)) == 5


def test_a_fold_with_one_label_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, subjects = _stays(6, 30)

    class Unlucky:
        def __init__(self, **how: object) -> None:
            pass

        def split(self, *given: object) -> list[Fold]:
            return [Fold(np.arange(0, 30), np.arange(30, 36)), Fold(np.arange(30, 36), np.arange(0, 30))]

    monkeypatch.setattr("sklearn.model_selection.StratifiedGroupKFold", Unlucky)
    with pytest.raises(FatalError, match="one label only: take fewer folds"):
        module.folds(labels, subjects, 2, 0)


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_folds_hold_their_promise_or_refuse(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    subjects = random.integers(0, 25, 60)
    labels = (random.random(60) < 0.2).astype("int64")
    try:
        cut = folds(labels, subjects, count, seed)
    except FatalError:
        return
    for fold in cut:
        assert set(labels[fold.train]) == set(labels[fold.test]) == {0, 1}
        assert not set(subjects[fold.train]) & set(subjects[fold.test])
