"""An evaluation of invented stays, whole and valid: what the report, the pictures and the model card are made from."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
UNITS = {
    "heart_rate": "/min", "temperature": "Cel", "respiratory_rate": "/min", "wbc": "10*3/uL", "lactate": "mmol/L",
    "creatinine": "mg/dL", "age": "a", "gender_encoded": None,
}  # fmt: skip
STEPS = (
    "ICU stays", "with a begin and an end", "with billed diagnoses", "of 6 h or longer", "alive at the prediction time",
    "aged 18 or older", "not excluded by screening", "with the data that screening asks for",
)  # fmt: skip
POINT = ("sensitivity", "specificity", "ppv", "npv", "f1", "alerts_per_100", "number_needed_to_evaluate")
RATES = (*POINT[:5], "auroc", "auprc", "brier")


def example(
    stays: int = 20_000, *, seed: int = 7, prevalence: float = 0.15, features: dict[str, str | None] = UNITS,
    synthetic: bool = True, tiny: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return an evaluation of so many stays, a fifth of them untouched; the same for the same arguments.

    The curves are those of invented scores, the intervals are as wide as a normal law with that many positives makes them.
    """
    random = np.random.default_rng(seed)
    cut = stays // 5
    test, learning = (_scores(random, n, prevalence) for n in (cut, stays - cut))
    better = _scores(random, stays - cut, prevalence, apart=2.0)
    points = {"best F1 (out of fold)": 0.22, "sensitivity 0.80": 0.12, "moderate": 0.4, "high": 0.7}
    rates = {name: _at(*test, threshold) for name, threshold in points.items()}
    return {
        "attrition": _attrition(stays, prevalence),
        "label": "coded sepsis",
        "best": "xgboost",
        "threshold": 0.22,
        "resamples": {"count": 1000, "one_label": {"train": 0, "cross_validation": 0, "test": 0}},
        "synthetic": synthetic,
        "tiny": tiny,
        "candidates": {
            name: {
                **{key: _interval(base + lift, stays) for key, base in (("f1", 0.39), ("auroc", 0.75), ("auprc", 0.36))},
                "brier": _interval(0.118 - lift, stays),
                "threshold": 0.22,
                "calibration_slope": 1.0 + lift,
            }
            for name, lift in (("logistic_regression", 0.0), ("random_forest", 0.008), ("xgboost", 0.012))
        },
        "parts": {"train": _part(*better), "cross_validation": _part(*learning), "test": _part(*test)},
        "operating_points": [{"name": name, "threshold": points[name], **rates[name]} for name in points],
        "threshold_curve": _threshold_curve(*test),
        "net_benefit": _net_benefit(*test),
        "subgroups": _subgroups(random, cut, prevalence),
        "covariates": _covariates(random, features),
        "importances": [
            {"feature": name, "auroc_loss": round(float(loss), 6), "sd": round(0.3 / cut**0.5, 6)}
            for name, loss in zip(features, random.exponential(0.02, len(features)), strict=True)
        ],
        "baselines": {
            "prevalence": {"brier": _interval(prevalence * (1 - prevalence), cut)},
            "early_warning": {
                key: _interval(value, cut)
                for key, value in (("auroc", 0.68), ("auprc", 0.27), ("brier", 0.122), ("f1", 0.32))
            },
        },
    }  # fmt: skip


def undefined(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the same evaluation as of a test part with one class: every figure that needs two is null."""
    nothing = {"value": None, "low": None, "high": None}
    test = dict(evaluation["parts"]["test"], positives=0, prevalence=0.0, **dict.fromkeys(RATES, nothing))
    test["calibration"] = {
        name: nothing if isinstance(value, dict) else None for name, value in test["calibration"].items()
    }
    curves = {
        name: {axis: [None] * len(values) for axis, values in curve.items()}
        for name, curve in test["curves"].items()
        if name != "calibration_bins"
    }
    test["curves"] = {**curves, "calibration_bins": []}
    points = [{**point, **dict.fromkeys(POINT, nothing)} for point in evaluation["operating_points"]]
    flat = {name: [None] * len(values) for name, values in evaluation["threshold_curve"].items() if name != "threshold"}
    level = {"auroc": nothing, "calibration_in_the_large": None, "positives": 0}
    return {
        **evaluation,
        "parts": {**evaluation["parts"], "test": test},
        "operating_points": points,
        "threshold_curve": {"threshold": evaluation["threshold_curve"]["threshold"], **flat},
        "net_benefit": {name: [None] * len(values) for name, values in evaluation["net_benefit"].items()}
        | {"threshold": evaluation["net_benefit"]["threshold"]},
        "subgroups": [{**row, **level} for row in evaluation["subgroups"]],
        "importances": [{**row, "auroc_loss": None, "sd": None} for row in evaluation["importances"]],
        "covariates": [
            {**row, "positive": {"mean": None, "sd": None, "missing": None}, "smd": None}
            for row in evaluation["covariates"]
        ],
        "baselines": {name: dict.fromkeys(row, nothing) for name, row in evaluation["baselines"].items()},
    }


def _scores(random: np.random.Generator, n: int, prevalence: float, apart: float = 1.1) -> tuple[Floats, Floats]:
    """Return labels and probabilities of a normal law that is calibrated by itself."""
    labels = (random.permutation(n) < max(2, round(n * prevalence))).astype("float64")
    raw = random.normal(size=n) + apart * labels
    logit = apart * raw - apart**2 / 2 + np.log(prevalence / (1 - prevalence))
    return labels, 1 / (1 + np.exp(-logit))


def _interval(value: float | None, n: int, wide: float = 1.2, most: float | None = 1.0) -> dict[str, float | None]:
    if value is None or not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    half = wide / n**0.5
    high = value + half if most is None else min(value + half, most)
    return {
        "value": round(float(value), 6),
        "low": round(float(max(value - half, 0.0)), 6),
        "high": round(float(high), 6),
    }


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _at(labels: Floats, scores: Floats, threshold: float) -> dict[str, dict[str, float | None]]:
    found = scores >= threshold
    tp, fp = float(labels[found].sum()), float((1 - labels[found]).sum())
    fn, tn = float(labels.sum()) - tp, float((1 - labels).sum()) - fp
    ppv, n = _ratio(tp, tp + fp), len(labels)
    whole = {
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "ppv": ppv,
        "npv": _ratio(tn, tn + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }
    more = {"alerts_per_100": 100 * (tp + fp) / n, "number_needed_to_evaluate": 1 / ppv if ppv else None}
    return {name: _interval(value, n, 2.0) for name, value in whole.items()} | {
        name: _interval(value, n, 60.0, None) for name, value in more.items()
    }


def _ranked(labels: Floats, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Return false positive rate, true positive rate and precision after each stay, from the highest score down."""
    ordered = labels[np.argsort(-scores, kind="stable")]
    tp, fp = np.cumsum(ordered), np.cumsum(1 - ordered)
    return fp / fp[-1], tp / tp[-1], tp / (tp + fp)


def _band(values: Floats, n: int, wide: float) -> dict[str, list[float]]:
    return {
        "low": np.clip(values - wide / n**0.5, 0, 1).round(6).tolist(),
        "high": np.clip(values + wide / n**0.5, 0, 1).round(6).tolist(),
    }


def _part(labels: Floats, scores: Floats) -> dict[str, Any]:
    n, grid = len(labels), np.linspace(0, 1, 101)
    fpr, tpr, precision = _ranked(labels, scores)
    roc, best = np.interp(grid, fpr, tpr), np.maximum.accumulate(precision[::-1])[::-1]
    pr = np.interp(grid, tpr, best)
    spots = np.quantile(scores, np.linspace(0.01, 0.99, 60))
    edges = np.quantile(scores, np.linspace(0, 1, 11))
    bins = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, 9)
    observed = np.clip(spots * 1.06 - 0.004, 0, 1)
    auroc = float(np.sum(np.diff(grid) * (roc[1:] + roc[:-1]) / 2))
    return {
        "stays": n,
        "patients": int(n * 0.7),
        "positives": int(labels.sum()),
        "prevalence": round(float(labels.mean()), 6),
        "auroc": _interval(auroc, n),
        "auprc": _interval(float(pr.mean()), n, 2.5),
        "brier": _interval(float(((scores - labels) ** 2).mean()), n, 0.4),
        **{name: value for name, value in _at(labels, scores, 0.22).items() if name in POINT[:5]},
        "calibration": {
            "mean_predicted": round(float(scores.mean()), 6),
            "mean_observed": round(float(labels.mean()), 6),
            "in_the_large": {"value": 0.021, "low": -3 / n**0.5, "high": 3 / n**0.5},
            "intercept": {"value": 0.034, "low": -4 / n**0.5, "high": 4 / n**0.5},
            "slope": _interval(1.03, n, 4, None),
            "ece": _interval(0.012, n, 0.3),
            "e_avg": 0.009,
            "e_90": 0.021,
            "e_max": 0.064,
        },
        "curves": {
            "roc": {"fpr": grid.round(6).tolist(), "tpr": roc.round(6).tolist(), **_band(roc, n, 2.4)},
            "precision_recall": {"recall": grid.round(6).tolist(), "precision": pr.round(6).tolist(), **_band(pr, n, 2.4)},
            "calibration": {
                "predicted": spots.round(6).tolist(), "observed": observed.round(6).tolist(), **_band(observed, n, 3)
            },
            "calibration_bins": [
                {
                    "predicted": round(float(scores[bins == each].mean()), 6),
                    "observed": round(float(labels[bins == each].mean()), 6),
                    "stays": int((bins == each).sum()),
                }
                for each in range(10)
                if (bins == each).any()
            ],
        },
    }  # fmt: skip


def _attrition(stays: int, prevalence: float) -> list[dict[str, Any]]:
    left = [round(stays * share) for share in (1.35, 1.349, 1.348, 1.29, 1.26, 1.26, 1.26, 1.0)]
    return [
        {"step": step, "stays": n, "patients": int(n * 0.69), "positives": round(n * prevalence)}
        for step, n in zip(STEPS, left, strict=True)
    ]


def _threshold_curve(labels: Floats, scores: Floats) -> dict[str, list[float | None]]:
    grid = [round(0.01 * step, 2) for step in range(1, 100)]
    rows = [_at(labels, scores, threshold) for threshold in grid]
    names = ("sensitivity", "ppv", "alerts_per_100", "number_needed_to_evaluate")
    return {"threshold": [*grid], **{name: [row[name]["value"] for row in rows] for name in names}}


def _net_benefit(labels: Floats, scores: Floats) -> dict[str, list[float]]:
    grid = np.arange(1, 100) / 100
    odds, prevalence = grid / (1 - grid), labels.mean()
    found = scores[None, :] >= grid[:, None]
    tp, fp = (found * labels).mean(axis=1), (found * (1 - labels)).mean(axis=1)
    return {
        "threshold": grid.round(2).tolist(),
        "model": (tp - fp * odds).round(6).tolist(),
        "treat_all": (prevalence - (1 - prevalence) * odds).round(6).tolist(),
        "treat_none": [0.0] * 99,
    }


def _subgroups(random: np.random.Generator, n: int, prevalence: float) -> list[dict[str, Any]]:
    shares = (("sex", "female", 0.44), ("sex", "male", 0.56), ("age", "18-44", 0.11), ("age", "45-64", 0.36),
              ("age", "65-79", 0.34), ("age", "80+", 0.19))  # fmt: skip
    return [
        {
            "group": group,
            "level": level,
            "stays": round(n * share),
            "positives": round(n * share * prevalence),
            "auroc": _interval(0.78 + float(random.normal(scale=0.015)), round(n * share)),
            "calibration_in_the_large": round(float(random.normal(scale=0.05)), 6),
        }
        for group, level, share in shares
    ]


def _covariates(random: np.random.Generator, features: dict[str, str | None]) -> list[dict[str, Any]]:
    rows = []
    for feature, unit in features.items():
        mean, missing, smd = random.uniform(2, 90), random.uniform(0, 0.45), random.normal(scale=0.3)
        rows.append(
            {
                "feature": feature,
                "unit": unit,
                "positive": {"mean": mean + 5 * smd, "sd": 6.0, "missing": missing * 0.7},
                "negative": {"mean": mean, "sd": 5.0, "missing": missing},
                "smd": smd,
            }
        )
    return rows
