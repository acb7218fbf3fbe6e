"""XGBoost's trees, asked without the detour over scikit-learn's interface and its copies: a quarter of the time a row."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from screening.model.kinds import is_booster, is_kind

Floats = npt.NDArray[np.float64]
ADDS_UP = 1e-4
"""How far contributions may be from the margin, as a share of 1 + |margin|: they are float32 sums over all trees."""


class BoostedTrees:
    """A Booster of trees with the objective `binary:logistic`.

    Parameters
    ----------
    model
        A fitted `XGBClassifier` or `XGBRFClassifier` (its best iteration and its value for missing are kept), or a Booster
        (all its trees, NaN for missing).
    """

    def __init__(self, model: Any) -> None:
        bare = is_booster(model)
        self._booster = model if bare else model.get_booster()
        best = None if bare else self._booster.attr("best_iteration")
        self._range = (0, int(best) + 1) if best is not None else (0, 0)
        # dart weighs its trees, and adds them up in another order for rows in place: off in the last bit.
        self._weighs = _learner(self._booster)["gradient_booster"]["name"] == "dart"
        missing = None if bare else model.missing
        self._missing = float("nan") if missing is None else missing

    def probabilities(self, rows: Floats) -> Floats:
        """Return probabilities of the class 1, float64 (n,)."""
        found = self._booster.inplace_predict(
            rows, iteration_range=self._range, missing=self._missing, validate_features=False
        )
        return np.asarray(found, dtype="float64")

    def both(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return `probabilities` and `contributions`, bit for bit, for one copy of the rows into XGBoost's own form."""
        data = self._data(rows)
        return self.probabilities(rows) if self._weighs else self._ask(data), self._ask(data, pred_contribs=True)

    def contributions(self, rows: Floats) -> Floats:
        """Return exact TreeSHAP contributions, float64 (n, f + 1); the last column is the model's constant."""
        return self._ask(self._data(rows), pred_contribs=True)

    def margins(self, rows: Floats) -> Floats:
        """Return log-odds, float64 (n,)."""
        return self._ask(self._data(rows), output_margin=True)

    def adds_up(self, rows: Floats) -> bool:
        """Tell whether the contributions of these rows add up to their margins."""
        margins = self.margins(rows)
        return bool(np.all(np.abs(self.contributions(rows).sum(axis=1) - margins) <= ADDS_UP * (1 + np.abs(margins))))

    def _data(self, rows: Floats) -> Any:
        import xgboost

        return xgboost.DMatrix(rows, missing=self._missing, nthread=1)

    def _ask(self, data: Any, **what: bool) -> Floats:
        found = self._booster.predict(data, iteration_range=self._range, validate_features=False, **what)
        return np.asarray(found, dtype="float64")


def is_boosted(model: Any) -> bool:
    """Tell whether `BoostedTrees` can stand in for a model: trees (`gbtree`, `dart`) with `binary:logistic`, fitted."""
    if is_booster(model):
        booster = model
    elif is_kind(model, "xgboost", "XGBClassifier", "XGBRFClassifier"):
        booster = model.get_booster()
    else:
        return False
    learner = _learner(booster)
    return learner["objective"]["name"] == "binary:logistic" and learner["gradient_booster"]["name"] in (
        "gbtree",
        "dart",
    )


def _learner(booster: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(booster.save_config())["learner"]
    return found
