"""The facts of a model card: what the model is, what it learned from, and how it did; each from one source, none by hand."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from screening.schema import Feature, Schema
from screening.training.plan import TrainingPlan
from screening.training.report.facts import Facts
from screening.training.report.wording import RESEARCH, SYNTHETIC, TINY, percent

NOT_DONE, NOT_STATED = "not done", "not stated"
_HOUR = timedelta(hours=1)
_RATES = ("auroc", "auprc", "f1", "sensitivity", "specificity", "ppv", "npv", "brier")


def model(plan: TrainingPlan, evaluation: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Return what the model is."""
    return {
        "name": facts.model,
        "version": facts.version or "not published",
        "sha256": facts.sha256,
        "created": facts.created.isoformat(timespec="seconds"),
        "candidate": evaluation["best"],
        "settings": plan.candidates[evaluation["best"]],
        "seed": plan.seed,
        "threshold_of_best_f1": evaluation["threshold"],
        "risk_levels_from": facts.metadata["thresholds"],
        "calibration_map": facts.metadata["calibration"]["method"],
        "library_versions": facts.metadata["versions"],
    }


def label(plan: TrainingPlan) -> dict[str, Any]:
    """Return what a positive stay is."""
    return {
        "name": plan.label.name,
        "version": plan.label.version,
        "definition": "Any ICD code that the stay's hospital admission was billed with begins with one of these prefixes.",
        "icd9_prefixes": list(plan.label.icd9),
        "icd10_prefixes": list(plan.label.icd10),
        "time": "none: a diagnosis code of the discharge, for the whole admission",
    }


def cohort(schema: Schema, plan: TrainingPlan, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return who was learned from and judged by, and at what time."""
    lookback = "everything before" if schema.lookback is None else f"the {hours(schema.lookback)} before"
    return {
        "one_row": "one stay in intensive care",
        "prediction_time": f"{hours(plan.prediction.after_intime)} after the stay began, or its end where that comes first",
        "values_that_count": f"{lookback} the prediction time",
        "split": f"by patient: {percent(plan.untouched.share)} of the patients, by a hash of their number, are untouched; "
        f"the others are cut into {plan.folds} folds",
        "inclusion_rules": [dict(step) for step in evaluation["attrition"]],
    }


def data(facts: Facts) -> dict[str, Any]:
    """Return where the data come from."""
    counts = facts.metadata["counts"]
    return {
        "source": facts.data,
        "fingerprint_of_the_learning_rows": facts.metadata["data_fingerprint"],
        "learned_from": dict(counts),
        "prevalence": facts.metadata["prevalence"],
        "tables": [
            {"table": name, "rows": found.get("rows", NOT_STATED), "sha256": found.get("sha256", NOT_STATED)}
            for name, found in sorted(facts.sources.items())
        ],
        "dropped_values": [
            {"feature": feature, "reason": reason, "values": count} for feature, reason, count in sorted(facts.dropped)
        ],
    }


def features(schema: Schema, facts: Facts) -> list[dict[str, Any]]:
    """Return the features, one row each: what is measured, where it is found, and what stands in for it."""
    known = facts.metadata["train_distribution"]
    filled = facts.metadata["imputation"]
    return [
        {
            "feature": feature.name,
            "unit": feature.unit or "none",
            "required": feature.required,
            "from": _origin(feature),
            "range": list(feature.range) if feature.range else "none",
            "codes": [f"{coding.system}|{coding.code}" for coding in feature.codes],
            "missing_share": known[feature.name]["missing"],
            "imputed_with": filled.get(feature.name, "not imputed"),
        }
        for feature in schema.features.values()
    ]


def performance(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures, with 95 % intervals by resampling patients."""
    parts = evaluation["parts"]
    return {
        "by_patients": [
            {"patients_of": name, **{key: parts[name][key] for key in ("stays", "patients", "positives", "prevalence")},
             **{key: parts[name][key] for key in _RATES}}
            for name in ("test", "cross_validation", "train")
        ],
        "calibration": [{"patients_of": name, **parts[name]["calibration"]} for name in ("test", "cross_validation")],
        "at_thresholds": [dict(point) for point in evaluation["operating_points"]],
        "by_sex_and_age": [dict(row) for row in evaluation["subgroups"]],
        "candidates_out_of_fold": [{"candidate": name, **found} for name, found in evaluation["candidates"].items()],
        "baselines": [
            {"baseline": name, **{key: found.get(key) for key in ("auroc", "auprc", "brier", "f1")}}
            for name, found in evaluation["baselines"].items()
        ],
        "importances": [dict(row) for row in evaluation["importances"]],
    }  # fmt: skip


def limits(plan: TrainingPlan, evaluation: Mapping[str, Any]) -> list[str]:
    """Return what must be known before anything is made of the figures."""
    told = [
        RESEARCH,
        f"The label ({plan.label.name}) is a diagnosis-code label, untimed: the model detects a coded diagnosis.",
        "It does not predict when a disease begins; what is detected may have been there, and known, before.",
        "Billing codes miss cases and name some that were none.",
        "Not externally validated: all patients are of one source.",
        "The threshold was chosen by the F1 that is told out of fold: that F1 is a little too good.",
        "The intervals tell what other patients would have made of this model, not what another training would have made.",
    ]
    flags = [words for flag, words in (("synthetic", SYNTHETIC), ("tiny", TINY)) if evaluation[flag]]
    return [*flags, *told]


def hours(span: timedelta) -> str:
    """Return a span of time in hours."""
    return f"{span / _HOUR:g} h"


def _origin(feature: Feature) -> str:
    if feature.fhir_resource == "Patient":
        return f"Patient.{feature.field}"
    window = f"{feature.fhir_resource}, {feature.how}"
    if feature.mimic is None or not feature.mimic.itemid:
        return window
    return f"{window}; MIMIC-IV {feature.mimic.table} {', '.join(map(str, feature.mimic.itemid))}"
