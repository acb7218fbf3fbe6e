"""One part of the patients judged: every figure of it, with the interval that another draw of patients would give."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from screening.training.data import Floats, Ints
from screening.training.evaluation.calibration_figures import Calibration
from screening.training.evaluation.discrimination import GRID, Ranked, auprc, auroc, precision_recall, roc
from screening.training.evaluation.intervals import Estimate, bootstrap
from screening.training.evaluation.operating_points import rates

RATES = ("auroc", "auprc", "brier", "sensitivity", "specificity", "ppv", "npv", "f1")


@dataclass(frozen=True, eq=False)
class Judged:
    """Stays with what was predicted and what became of them.

    Attributes
    ----------
    labels, scores, subjects
        (n,): 1 for a positive stay; calibrated probabilities; subject_id.
    threshold
        From which score on a stay is called positive; chosen out of fold.
    count, seed
        Of the patient resamples.
    """

    labels: Ints
    scores: Floats
    subjects: Ints
    threshold: float
    count: int
    seed: int

    def headline(self) -> dict[str, Estimate]:
        """Return `RATES`."""
        ranked = Ranked(self.labels, self.scores)
        return bootstrap(
            lambda weights: self._rates(ranked, weights)[0], self.labels, self.subjects, self.count, self.seed
        )

    def whole(self) -> tuple[dict[str, Any], int]:
        """Return everything about the part, and in how many resamples it is undefined, all patients having one label.

        `in_the_large`, `intercept`, `slope`, `ece`, `e_avg`, `e_90` and `e_max` are told in `calibration_figures`. Where
        the stays themselves have one label, nothing but their number is defined.
        """
        ranked, calibration = Ranked(self.labels, self.scores), Calibration(self.labels, self.scores)

        def figures(weights: Floats) -> dict[str, Floats]:
            found, counts = self._rates(ranked, weights)
            curves = {"roc": roc(counts), "precision_recall": precision_recall(counts)}
            return {**found, **curves, **calibration.figures(weights)}

        found = bootstrap(figures, self.labels, self.subjects, self.count, self.seed)
        means = {"mean_predicted": float(self.scores.mean()), "mean_observed": float(self.labels.mean())}
        distances = {**means, **calibration.distances()}
        if ranked.one_label:
            distances = dict.fromkeys(distances, np.nan)
        fitted = {name: found[name].interval() for name in ("in_the_large", "intercept", "slope", "ece")}
        part = {
            "stays": len(self.labels),
            "patients": len(np.unique(self.subjects)),
            "positives": int(self.labels.sum()),
            "prevalence": float(self.labels.mean()),
            **{name: found[name].interval() for name in RATES},
            "calibration": {**fitted, **distances},
            "curves": {
                "roc": _curve("fpr", GRID, "tpr", found["roc"]),
                "precision_recall": _curve("recall", GRID, "precision", found["precision_recall"]),
                "calibration": _curve("predicted", calibration.predicted, "observed", found["observed"]),
                "calibration_bins": [] if ranked.one_label else calibration.bins(),
            },
        }
        return part, found["auroc"].undefined

    def _rates(self, ranked: Ranked, weights: Floats) -> tuple[dict[str, Floats], Any]:
        counts = ranked.counts(weights)
        found = rates(counts, ranked.columns(self.threshold))
        found["auroc"], found["auprc"] = auroc(counts), auprc(counts)
        found["brier"] = weights @ (self.scores - self.labels) ** 2 / weights.sum(axis=1)
        return {name: found[name] for name in RATES}, counts


def _curve(across: str, x: Floats, up: str, curve: Estimate) -> dict[str, list[float]]:
    """Return a curve with its band; NaN throughout where there is none."""
    there = x if not np.isnan(curve.value).all() else np.full_like(x, np.nan)
    return {across: there.tolist(), up: curve.value.tolist(), **curve.band()}
