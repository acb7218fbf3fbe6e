"""One way to ask whatever was pickled: rows in, probability of the positive class and exact contributions out.

A row's answer must not depend on the other rows, nor on the machine's number of threads. Forests of scikit-learn and
trees of XGBoost work row by row inside and are given the whole matrix; every other model is given one row at a time, for
a matrix product may differ in the last bit with the number of rows, and a model of the user's own may do anything.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from screening.errors import ModelError
from screening.model.boosted import BoostedTrees, Floats, is_boosted
from screening.model.kinds import is_booster, is_forest, maps_columns_in_place, steps_of
from screening.model.threads import single_threaded

AGREES = 1e-6
"""How far the fast path may be from `predict_proba`, which is what was evaluated."""


class Estimator:
    """A model behind one interface.

    Parameters
    ----------
    model
        Anything with `predict_proba`, or an XGBoost Booster of trees with the objective `binary:logistic`. It is set to
        one thread, in place.
    feature_names
        The columns, in the order in which the model was fitted.
    scaler
        Applied before the model, or None.
    positive_class
        The label whose probability is wanted; None takes 1 (or True), if it is the second of two.
    probe
        Rows, float64 (n, f) without NaN, on which the fast path is held against `predict_proba` and contributions
        against the margin; what differs is not used.

    Raises
    ------
    ModelError
        There is no `predict_proba`, it fails on the probe, the model or the scaler was fitted on other columns or in
        another order, or the classes do not tell which one is positive.
    """

    def __init__(
        self, model: Any, feature_names: Sequence[str], *, scaler: Any, positive_class: Any, probe: Floats
    ) -> None:
        self.feature_names = tuple(feature_names)
        if not is_booster(model) and not callable(getattr(model, "predict_proba", None)):
            raise ModelError(f"the model, a {type(model).__name__}, has no predict_proba")
        _same_columns(model, "model", self.feature_names)
        _same_columns(scaler, "scaler", self.feature_names)
        single_threaded(model)
        self._column = _column(model, positive_class)
        before = [] if scaler is None else [scaler]
        steps, last = steps_of(model)
        in_place = all(maps_columns_in_place(step) for step in before)
        self._trees: BoostedTrees | None = None
        if in_place and self._column == 1 and is_boosted(last):
            self._trees = BoostedTrees(last)
        elif is_booster(model):
            raise ModelError("a bare XGBoost Booster must be made of trees and have the objective binary:logistic")
        self._whole = self._trees is not None or (in_place and is_forest(last))
        self._before, self._model = (before + steps, last) if self._whole else (before, model)
        self._explains = False
        if self._trees is not None:
            self._settle(self._trees, probe)

    def _settle(self, trees: BoostedTrees, probe: Floats) -> None:
        rows = self._prepared(probe)
        if not is_booster(self._model) and not np.all(np.abs(self._answer(rows) - trees.probabilities(rows)) <= AGREES):
            self._trees = None
        else:
            self._explains = trees.adds_up(rows)

    def probabilities(self, matrix: Floats) -> Floats:
        """Return what the model answers, float64 (n,); its range is for the caller to check.

        Raises
        ------
        ModelError
            `predict_proba` answers with anything but numbers in two columns.
        """
        if not len(matrix):
            return np.empty(0)
        if self._trees is not None:
            return self._trees.probabilities(self._prepared(matrix))
        parts = [matrix] if self._whole else [matrix[i : i + 1] for i in range(len(matrix))]
        return np.concatenate([self._answer(self._prepared(part)) for part in parts])

    def contributions(self, matrix: Floats) -> Floats | None:
        """Return exact contributions in log-odds, float64 (n, f); None where the model has none to give."""
        if self._trees is None or not self._explains:
            return None
        if not len(matrix):
            return np.empty((0, len(self.feature_names)))
        return self._trees.contributions(self._prepared(matrix))[:, :-1]

    def both(self, matrix: Floats) -> tuple[Floats, Floats | None]:
        """Return `probabilities` and `contributions`, bit for bit, asked at once where that is quicker."""
        if self._trees is None or not self._explains or not len(matrix):
            return self.probabilities(matrix), self.contributions(matrix)
        found, contributions = self._trees.both(self._prepared(matrix))
        return found, contributions[:, :-1]

    def _prepared(self, rows: Floats) -> Floats:
        for step in self._before:
            rows = np.asarray(step.transform(self._named(step, rows)), dtype="float64")
            if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
                raise ModelError(f"the {type(step).__name__} before the model changes the number of columns")
        return rows

    def _answer(self, rows: Floats) -> Floats:
        answer = np.asarray(self._model.predict_proba(self._named(self._model, rows)))
        if answer.shape != (len(rows), 2) or answer.dtype.kind not in "fiu":
            raise ModelError(
                f"predict_proba answers with shape {answer.shape} and dtype {answer.dtype}; needed are numbers of shape "
                f"({len(rows)}, 2), one column a class"
            )
        return np.asarray(answer[:, self._column], dtype="float64")

    def _named(self, part: Any, rows: Floats) -> Any:
        """Return the rows as the part was given them when it was fitted: with column names, or without."""
        if getattr(part, "feature_names_in_", None) is None:
            return rows
        import pandas as pd

        return pd.DataFrame(rows, columns=list(self.feature_names), copy=False)


def _same_columns(part: Any, what: str, names: tuple[str, ...]) -> None:
    if part is None:
        return
    fitted = part.feature_names if is_booster(part) else getattr(part, "feature_names_in_", None)
    count = part.num_features() if is_booster(part) else getattr(part, "n_features_in_", None)
    if fitted is not None and tuple(map(str, fitted)) != names:
        raise ModelError(
            f"the {what} was fitted on the columns {', '.join(map(str, fitted))}, but metadata.feature_names says "
            f"{', '.join(names)}: names and order must agree"
        )
    if count is not None and count != len(names):
        raise ModelError(f"the {what} was fitted on {count} columns, but metadata.feature_names has {len(names)}")


def _column(model: Any, wanted: Any) -> int:
    """Return the place of the positive class in `predict_proba`'s answer."""
    classes = getattr(model, "classes_", None)
    labels = [0, 1] if classes is None else np.asarray(classes).tolist()
    if wanted is None:
        if len(labels) == 2 and labels[1] == 1:
            return 1
        raise ModelError(
            f"the model's classes are {labels}, not 0 and 1: name the positive one as metadata.positive_class"
        )
    if len(labels) != 2 or wanted not in labels:
        raise ModelError(f"metadata.positive_class is {wanted!r}, but the model's classes are {labels}")
    return labels.index(wanted)
