"""Two alarms for leaks: a model that learns from shuffled labels, and one that is too good to be true (requirement T10).

The first finds every way by which the labels of the rows that judge reach the fit: stays of one patient on both sides of a
cut, a step that was fitted on all rows, folds of other rows. It cannot find a feature that tells the label by itself, such
as a drug that is given because of the diagnosis; for that there is the second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from screening.errors import FatalError
from screening.training.data import Floats, Ints, TrainingSet
from screening.training.learning.fit import out_of_fold
from screening.training.learning.folds import folds
from screening.training.plan import Candidate

SURE = 3.0
"""How many standard errors above 0.5 are an alarm: chance alone gets there once in seven hundred runs."""
DRAWS = 200
"""Shuffles by which the spread of chance is measured, for scores as they are."""
PARTS = ("test", "cross_validation")


@dataclass(frozen=True)
class ShuffledLabels:
    """What a candidate made of labels that mean nothing.

    Attributes
    ----------
    aurocs
        Out of fold, one for each shuffle; within patients of equally many stays.
    spread
        Standard deviation that chance alone gives one of them.
    """

    aurocs: tuple[float, ...]
    spread: float

    @property
    def mean(self) -> float:
        """The mean AUROC."""
        return float(np.mean(self.aurocs))

    @property
    def limit(self) -> float:
        """The mean AUROC above which chance is no explanation."""
        return 0.5 + SURE * self.spread / float(np.sqrt(len(self.aurocs)))

    @property
    def leak(self) -> bool:
        """Whether labels found their way to the rows that judge.

        Only above 0.5 is an alarm. Without a leak the AUROC of pooled out-of-fold predictions lies a little below 0.5 where
        rows are few: whatever positives stand among the rows left out are lacking among the rows that were fitted on, so
        that each fit leans away from the very labels it is judged by.
        """
        return bool(self.mean > self.limit)


def shuffled_label_auroc(
    name: Candidate, settings: Mapping[str, Any], data: TrainingSet, folds_count: int, seed: int, repeats: int
) -> ShuffledLabels:
    """Shuffle the labels among the patients, run the same folds and fits, and see whether anything is learned.

    A patient's labels stay together, and only patients with equally many stays change with each other: else a leak from one
    stay of a patient to another would be shuffled away too. For the same reason the number of stays still tells something,
    which is no leak; so stays are ranked only among those of patients with equally many.

    Parameters
    ----------
    data
        The rows to learn from.
    repeats
        Shuffles, 1 or more; each costs as much as fitting the candidate out of fold.

    Raises
    ------
    FatalError
        As `folds` and `fit`; and where no two patients with equally many stays have different labels.
    """
    groups = _equally_many_stays(data.subjects)
    aurocs, spreads = [], []
    for repeat in range(repeats):
        random = np.random.default_rng([seed, repeat])
        shuffled = replace(data, labels=_shuffled(data.labels, groups, random))
        cut = folds(shuffled.labels, shuffled.subjects, folds_count, seed)
        ranked = _Ranked(out_of_fold(name, settings, shuffled, cut, seed), groups)
        aurocs.append(ranked.auroc(shuffled.labels))
        spreads.append(np.std([ranked.auroc(_shuffled(data.labels, groups, random)) for _ in range(DRAWS)]))
    return ShuffledLabels(tuple(aurocs), float(np.mean(spreads)))


def auroc_alarm(evaluation: Mapping[str, Any], limit: float) -> dict[str, float]:
    """Return the parts, of test and cross validation, whose AUROC is above a limit that honest models do not reach."""
    found = {part: evaluation["parts"][part]["auroc"]["value"] for part in PARTS}
    return {part: float(value) for part, value in found.items() if value is not None and value > limit}


def _equally_many_stays(subjects: Ints) -> list[Ints]:
    """Return, for each number of stays that two patients or more have, their rows: int64 (patients, stays)."""
    order = np.argsort(subjects, kind="stable")
    _, first, many = np.unique(subjects[order], return_index=True, return_counts=True)
    found = []
    for count in np.unique(many).tolist():
        begins = first[many == count]
        if len(begins) > 1:
            found.append(order[begins[:, np.newaxis] + np.arange(count)])
    return found


def _shuffled(labels: Ints, groups: list[Ints], random: np.random.Generator) -> Ints:
    """Return labels dealt out anew to patients with equally many stays, and within a patient to the stays."""
    found = labels.copy()
    for rows in groups:
        found[rows] = random.permuted(random.permutation(labels[rows]), axis=1)
    return found


class _Ranked:
    """Scores ranked among the stays of patients with equally many, so that any labels' AUROC is a sum.

    It is the mean of the groups' AUROCs, weighted as in van Elteren's test: a small group counts by its size, and not by
    its number of pairs, so that a leak among patients with many stays is not drowned by the many with one.
    """

    def __init__(self, scores: Floats, groups: list[Ints]) -> None:
        from scipy.stats import rankdata

        self._groups = [(rows, rankdata(scores[rows].ravel()).reshape(rows.shape)) for rows in groups]

    def auroc(self, labels: Ints) -> float:
        above, pairs = 0.0, 0.0
        for rows, ranks in self._groups:
            mine = labels[rows]
            positives = int(mine.sum())
            above += float((ranks * mine).sum() - positives * (positives + 1) / 2) / (mine.size + 1)
            pairs += positives * (mine.size - positives) / (mine.size + 1)
        if not pairs:
            raise FatalError(
                "the shuffled labels tell nothing: no two patients with equally many stays have different labels: take "
                "more patients"
            )
        return above / pairs
