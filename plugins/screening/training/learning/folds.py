"""Who is learned from and who judges: the untouched patients, and folds that keep each patient in one piece.

A patient's stays resemble each other. With one stay to learn from and another to judge by, a model is praised for knowing
the patient again; so every cut is between patients, never between stays (requirement T2).
"""

import hashlib
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from screening.errors import FatalError
from screening.training.data import Bools, Ints, TrainingSet
from screening.training.plan import TrainingPlan


class Fold(NamedTuple):
    """Indices of rows, int64 ascending: those to fit on, and those to predict."""

    train: Ints
    test: Ints


@dataclass(frozen=True, eq=False)
class Split:
    """The training set in two: patients to learn from, cut into folds, and patients whom nothing of the model ever saw."""

    learning: TrainingSet
    test: TrainingSet
    folds: list[Fold]


def split(data: TrainingSet, plan: TrainingPlan) -> Split:
    """Cut the training set; the same patients go the same way in every run with the plan's salt.

    Raises
    ------
    FatalError
        Where a part has one label only, or too few positive patients to be cut into folds.
    """
    kept = untouched(data.subjects, plan.untouched.share, plan.untouched.salt)
    learning, test = data.take(~kept), data.take(kept)
    for part, whom in ((learning, "to learn from"), (test, "untouched, to judge by")):
        if not 0 < (positives := int(part.labels.sum())) < len(part):
            raise FatalError(
                f"of {len(part)} stays {whom} {positives} are positive, and it takes both kinds: take more patients, or "
                "another untouched.share"
            )
    return Split(learning, test, folds(learning.labels, learning.subjects, plan.folds, plan.seed))


def untouched(subjects: Ints, share: float, salt: str) -> Bools:
    """Tell which rows belong to patients that nothing of the model may see before the last evaluation.

    By a hash of salt and subject_id alone: a patient's part never changes, whatever is added to the data, whichever
    patients are left out, and whatever the seed. So a challenger is judged by patients from whom no champion with the
    same salt ever learned.

    Parameters
    ----------
    subjects
        int64 (n,), subject_id.
    share
        Of the patients, 0 to 1; the share of stays differs a little.
    salt
        Another salt chooses other patients.

    Returns
    -------
    ndarray
        bool (n,).
    """
    limit = int(share * 2**256)
    distinct, place = np.unique(subjects, return_inverse=True)
    digests = (hashlib.sha256(f"{salt}:{subject}".encode()).digest() for subject in distinct.tolist())
    kept = np.fromiter((int.from_bytes(digest) < limit for digest in digests), dtype=np.bool_, count=len(distinct))
    return kept[place]


def folds(labels: Ints, subjects: Ints, count: int, seed: int) -> list[Fold]:
    """Cut rows into folds by patient, each with about the same share of positives.

    Parameters
    ----------
    labels, subjects
        int64 (n,): 1 for a positive stay; subject_id.
    count
        How many folds, 2 or more. Every row is predicted in exactly one.

    Raises
    ------
    FatalError
        Where no stay or every stay is positive; fewer patients than folds have a positive stay, or one that is not; or a
        fold would be left with one label.
    """
    if labels.all() or not labels.any():
        which = "no stay is" if not labels.any() else "every stay is"
        raise FatalError(f"cannot cut folds: {which} positive, so that there is nothing to tell apart")
    for label, name in ((1, "positive"), (0, "negative")):
        patients = len(np.unique(subjects[labels == label]))
        if patients < count:
            raise FatalError(
                f"cannot cut {count} folds: only {patients} patient(s) have a {name} stay: take fewer folds, or more data"
            )
    return _cut(labels, subjects, count, seed)


def _cut(labels: Ints, subjects: Ints, count: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # it warns where it counts too few stays of one label; what matters is checked below, on the folds themselves
        warnings.simplefilter("ignore", UserWarning)
        found = [Fold(train, test) for train, test in splitter.split(np.zeros(len(labels)), labels, subjects)]
    for fold in found:
        if any(labels[rows].all() or not labels[rows].any() for rows in fold):
            raise FatalError(
                f"cannot cut {count} folds: one of them would have stays of one label only: take fewer folds"
            )
    return found
