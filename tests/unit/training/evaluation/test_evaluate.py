"""The evaluation says what the patients say, in the shape that report and model card are made from."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score
from tests.charts import ROOT
from tests.unit.training.evaluation_example import example, undefined

from screening.errors import FatalError
from screening.model.calibration import calibrate, parse_calibration
from screening.schema import Schema, load_schema
from screening.training.data import TrainingSet
from screening.training.evaluation.evaluate import evaluate
from screening.training.learning.fit import Fitted, fit, probabilities
from screening.training.learning.folds import Split, split
from screening.training.plan import TrainingPlan, load_plan

Make = Callable[..., TrainingSet]
CANDIDATES = {"logistic_regression": {"C": 0.5}, "xgboost": {"n_estimators": 20, "max_depth": 3, "subsample": 0.8}}


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    whole = load_plan(ROOT / "include/training/sepsis.yaml", bootstrap=100, folds=4)
    return whole.model_copy(update={"candidates": CANDIDATES})


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(ROOT / "include/schemas/sepsis.yaml")


def _fits(cut: Split, plan: TrainingPlan) -> list[Fitted]:
    return [fit(name, settings, cut.learning, cut.folds, plan.seed) for name, settings in plan.candidates.items()]


@pytest.fixture(scope="module")
def cut(training_set: Make, plan: TrainingPlan) -> Split:
    return split(training_set(patients=1400, seed=4), plan)


@pytest.fixture(scope="module")
def fitted(cut: Split, plan: TrainingPlan) -> list[Fitted]:
    return _fits(cut, plan)


@pytest.fixture(scope="module")
def evaluation(cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan) -> dict[str, Any]:
    return _evaluated(cut, fitted, schema, plan)


def _evaluated(cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan) -> dict[str, Any]:
    steps = [{"step": "ICU stays", "stays": 900, "patients": 700, "positives": 200}]
    return evaluate(cut, fitted, schema, plan, steps, synthetic=True)


def _best(fitted: list[Fitted], evaluation: dict[str, Any]) -> Fitted:
    return next(one for one in fitted if one.name == evaluation["best"])


def _shape(found: Any) -> Any:
    """Return keys and kinds; None and numbers are alike, and a list is told by its first."""
    if isinstance(found, dict):
        return {key: _shape(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_shape(found[0])] if found else []
    if isinstance(found, bool):
        return bool
    return "figure" if found is None or isinstance(found, int | float) else type(found)


def _same_shape(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    wanted = {**wanted, "candidates": {name: wanted["candidates"][name] for name in found["candidates"]}}
    assert _shape(found) == _shape(wanted)


def _figures(found: Any) -> list[dict[str, Any]]:
    """Return every figure with an interval."""
    if isinstance(found, dict) and set(found) == {"value", "low", "high"}:
        return [found]
    inside = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return [figure for each in inside for figure in _figures(each)]


def test_the_shape_is_that_of_the_example(evaluation: dict[str, Any]) -> None:
    _same_shape(evaluation, example())
    for name, part in example()["parts"].items():
        found = evaluation["parts"][name]["curves"]
        for curve in ("roc", "precision_recall", "calibration"):
            assert {axis: len(values) for axis, values in found[curve].items()} == {
                axis: len(values) for axis, values in part["curves"][curve].items()
            }
    for rows, keys in (
        ("operating_points", ("name",)), ("subgroups", ("group", "level")), ("covariates", ("feature", "unit")),
        ("importances", ("feature",)),
    ):  # fmt: skip
        told = [[[row[key] for key in keys] for row in of[rows]] for of in (evaluation, example())]
        assert told[0] == told[1]
    assert evaluation["threshold_curve"]["threshold"] == example()["threshold_curve"]["threshold"]
    assert evaluation["net_benefit"]["threshold"] == example()["net_benefit"]["threshold"]


def test_it_is_json_with_six_decimals(evaluation: dict[str, Any]) -> None:
    text = json.dumps(evaluation, allow_nan=False)
    numbers: list[float] = []
    json.loads(text, parse_float=lambda number: numbers.append(float(number)))
    assert len(numbers) > 2000
    assert all(number == round(number, 6) for number in numbers)
    assert "-0.0," not in text


def test_every_figure_lies_in_its_interval(evaluation: dict[str, Any]) -> None:
    found = _figures({name: value for name, value in evaluation.items() if name != "parts"})
    for part in evaluation["parts"].values():
        # a resample adds noise to the distance in bins, which may carry it above the value itself
        found += _figures({**part, "calibration": {**part["calibration"], "ece": None}})
    assert len(found) > 70
    for figure in found:
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["low"] < figure["high"]


def test_the_same_input_gives_the_same_bytes(
    evaluation: dict[str, Any], cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    again = _evaluated(cut, fitted, schema, plan)
    assert json.dumps(again) == json.dumps(evaluation)
    other = _evaluated(cut, fitted, schema, plan.model_copy(update={"seed": 5}))
    assert other["parts"]["test"]["auroc"]["value"] == evaluation["parts"]["test"]["auroc"]["value"]
    assert other["parts"]["test"]["auroc"] != evaluation["parts"]["test"]["auroc"]


def test_each_part_is_judged_by_its_own_scores(evaluation: dict[str, Any], cut: Split, fitted: list[Fitted]) -> None:
    best = _best(fitted, evaluation)
    learning, test = cut.learning, cut.test
    stored = parse_calibration(best.calibration)
    scores = {
        "train": (
            learning.labels,
            calibrate(stored, best.model.predict_proba(learning.values)[:, 1].astype("float64")),
        ),
        "cross_validation": (learning.labels, best.calibrated),
        "test": (test.labels, calibrate(stored, best.model.predict_proba(test.values)[:, 1].astype("float64"))),
    }
    assert evaluation["threshold"] == pytest.approx(best.threshold, abs=1e-6)
    for name, (labels, probabilities_) in scores.items():
        part = evaluation["parts"][name]
        found = {key: part[key]["value"] for key in ("auroc", "auprc", "brier", "f1")}
        assert found == pytest.approx(
            {
                "auroc": roc_auc_score(labels, probabilities_),
                "auprc": average_precision_score(labels, probabilities_),
                "brier": brier_score_loss(labels, probabilities_),
                "f1": f1_score(labels, probabilities_ >= best.threshold),
            },
            abs=1e-6,
        )
        assert (part["stays"], part["positives"]) == (len(labels), labels.sum())
        assert part["calibration"]["mean_predicted"] == pytest.approx(probabilities_.mean(), abs=1e-6)
    assert evaluation["parts"]["test"]["patients"] == len(np.unique(test.subjects))


def test_candidates_are_judged_out_of_fold(evaluation: dict[str, Any], cut: Split, fitted: list[Fitted]) -> None:
    assert list(evaluation["candidates"]) == [one.name for one in fitted]
    for one in fitted:
        found = evaluation["candidates"][one.name]
        assert found["auroc"]["value"] == pytest.approx(roc_auc_score(cut.learning.labels, one.calibrated), abs=1e-6)
        assert found["f1"]["value"] == pytest.approx(one.f1, abs=1e-6)
        assert found["threshold"] == pytest.approx(one.threshold, abs=1e-6)
    best, part = evaluation["candidates"][evaluation["best"]], evaluation["parts"]["cross_validation"]
    assert {name: part[name] for name in ("f1", "auroc", "auprc", "brier")} == {
        name: best[name] for name in ("f1", "auroc", "auprc", "brier")
    }
    assert best["calibration_slope"] == part["calibration"]["slope"]["value"]
    assert best["f1"]["value"] == max(found["f1"]["value"] for found in evaluation["candidates"].values())


def test_labels_of_the_untouched_choose_nothing(
    evaluation: dict[str, Any], cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    flipped = replace(cut, test=replace(cut.test, labels=1 - cut.test.labels))
    other = _evaluated(flipped, fitted, schema, plan)
    for name in ("best", "threshold", "candidates"):
        assert other[name] == evaluation[name]
    for name in ("train", "cross_validation"):
        assert other["parts"][name] == evaluation["parts"][name]
    thresholds = [[point["threshold"] for point in found["operating_points"]] for found in (other, evaluation)]
    assert thresholds[0] == thresholds[1]
    mirrored = 1 - evaluation["parts"]["test"]["auroc"]["value"]
    assert other["parts"]["test"]["auroc"]["value"] == pytest.approx(mirrored, abs=1e-5)


def test_operating_points_belong_to_the_untouched(evaluation: dict[str, Any], cut: Split, fitted: list[Fitted]) -> None:
    best, points = _best(fitted, evaluation), {point["name"]: point for point in evaluation["operating_points"]}
    first = points["best F1 (out of fold)"]
    assert {name: first[name] for name in ("f1", "ppv", "npv", "sensitivity", "specificity")} == {
        name: evaluation["parts"]["test"][name] for name in ("f1", "ppv", "npv", "sensitivity", "specificity")
    }
    labels, chosen = cut.learning.labels, points["sensitivity 0.80"]["threshold"]
    reached = [(best.calibrated[labels == 1] >= chosen + step).mean() for step in (-1e-6, 1e-6)]
    assert reached[0] >= 0.8 > reached[1]
    assert (points["moderate"]["threshold"], points["high"]["threshold"]) == (0.4, 0.7)


def test_few_patients_tell_little_however_often_they_are_resampled(
    training_set: Make, schema: Schema, plan: TrainingPlan, evaluation: dict[str, Any]
) -> None:
    few = split(training_set(patients=150, seed=4), plan)
    found = _evaluated(few, _fits(few, plan), schema, plan.model_copy(update={"bootstrap": 300}))
    assert found["resamples"]["count"] == 300

    def width(of: dict[str, Any]) -> float:
        figure = of["parts"]["cross_validation"]["auroc"]
        return float(figure["high"] - figure["low"])

    assert width(found) > 2 * width(evaluation)


@pytest.mark.parametrize("label", [0, 1])
def test_untouched_patients_with_one_label_tell_nothing(
    label: int, cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    one = replace(cut, test=replace(cut.test, labels=np.full_like(cut.test.labels, label)))
    found = _evaluated(one, fitted, schema, plan)
    json.dumps(found, allow_nan=False)
    _same_shape(found, undefined(example()))
    part, wanted = found["parts"]["test"], undefined(example())["parts"]["test"]
    for name in wanted:
        if name not in ("stays", "patients", "positives", "prevalence"):
            assert part[name] == wanted[name]
    assert found["resamples"]["one_label"] == {"train": 0, "cross_validation": 0, "test": 100}
    wanted = undefined(example())
    for name in ("threshold_curve", "net_benefit", "baselines", "importances"):
        assert found[name] == wanted[name]


def test_a_model_that_tells_nothing_is_said_to(
    training_set: Make, cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    class Same:
        def predict_proba(self, values: Any) -> Any:
            return np.tile([0.9, 0.1], (len(values), 1))

    dull = replace(fitted[0], model=Same(), calibrated=np.full(len(cut.learning), 0.1), threshold=0.5, f1=0.0)
    found = _evaluated(cut, [dull], schema, plan)
    json.dumps(found, allow_nan=False)
    part = found["parts"]["test"]
    assert part["auroc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    nothing = {"value": None, "low": None, "high": None}
    assert part["ppv"] == part["calibration"]["slope"] == nothing
    assert part["calibration"]["e_avg"] is None
    assert part["curves"]["calibration"] == dict.fromkeys(("predicted", "observed", "low", "high"), [None] * 60)
    assert found["operating_points"][0]["number_needed_to_evaluate"] == nothing
    assert {row["auroc_loss"] for row in found["importances"]} == {0.0}


def test_resamples_without_a_positive_are_counted(
    cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    labels = np.zeros_like(cut.test.labels)
    labels[np.argmax(probabilities(fitted[0], cut.test.values))] = 1
    found = _evaluated(replace(cut, test=replace(cut.test, labels=labels)), fitted, schema, plan)
    json.dumps(found, allow_nan=False)
    assert 20 <= found["resamples"]["one_label"]["test"] <= 55  # nobody draws the patient: 1 in e
    assert 0 < found["parts"]["test"]["auroc"]["low"] <= found["parts"]["test"]["auroc"]["high"] <= 1


def test_the_baselines_learn_from_the_learning_part(
    evaluation: dict[str, Any], cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    found = evaluation["baselines"]
    told = np.full(len(cut.test), cut.learning.labels.mean())
    assert found["prevalence"]["brier"]["value"] == pytest.approx(brier_score_loss(cut.test.labels, told), abs=1e-6)
    columns = [cut.learning.feature_names.index(name) for name in ("heart_rate", "respiratory_rate", "temperature")]
    medians = np.nanmedian(cut.learning.values, axis=0)
    filled = [np.where(np.isnan(of.values), medians, of.values)[:, columns] for of in (cut.learning, cut.test)]
    middle, spread = filled[0].mean(axis=0), filled[0].std(axis=0)
    line = LogisticRegression(max_iter=1000).fit((filled[0] - middle) / spread, cut.learning.labels)
    auroc = roc_auc_score(cut.test.labels, line.decision_function((filled[1] - middle) / spread))
    assert found["early_warning"]["auroc"]["value"] == pytest.approx(auroc, abs=1e-6)
    assert found["early_warning"]["auroc"]["value"] < evaluation["parts"]["test"]["auroc"]["value"]


def test_without_the_vital_signs_there_is_no_early_warning(
    training_set: Make, schema: Schema, plan: TrainingPlan
) -> None:
    kept = [name for name in schema.feature_names if name != "temperature"]
    less = schema.model_copy(update={"features": {name: schema.features[name] for name in kept}})
    data = training_set(patients=300, seed=2)
    columns = [data.feature_names.index(name) for name in kept]
    part = split(replace(data, feature_names=tuple(kept), values=data.values[:, columns]), plan)
    found = _evaluated(part, _fits(part, plan)[:1], less, plan)
    assert found["baselines"]["early_warning"] == undefined(example())["baselines"]["early_warning"]
    assert found["baselines"]["prevalence"]["brier"]["value"] > 0
    assert [row["feature"] for row in found["covariates"]] == kept


def test_subgroups_hold_every_stay_and_are_judged_alone(
    evaluation: dict[str, Any], cut: Split, fitted: list[Fitted]
) -> None:
    test, rows = cut.test, evaluation["subgroups"]
    for group in ("sex", "age"):
        assert sum(row["stays"] for row in rows if row["group"] == group) == len(test)
    scores = probabilities(_best(fitted, evaluation), test.values)
    found = {row["level"]: row for row in rows}
    for level, mine in (
        ("female", test.sex == "female"), ("male", test.sex == "male"), ("18-44", test.age < 45),
        ("45-64", (test.age >= 45) & (test.age < 65)), ("65-79", (test.age >= 65) & (test.age < 80)),
        ("80+", test.age >= 80),
    ):  # fmt: skip
        assert (found[level]["stays"], found[level]["positives"]) == (mine.sum(), test.labels[mine].sum())
        assert found[level]["auroc"]["value"] == pytest.approx(roc_auc_score(test.labels[mine], scores[mine]), abs=1e-6)


def test_a_subgroup_with_one_label_and_stays_of_nobody_known(
    cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    labels, sex, age = cut.test.labels.copy(), cut.test.sex.copy(), cut.test.age.copy()
    labels[cut.test.sex == "female"] = 0
    sex[:3], age[:2], age[2] = "", np.nan, 12
    age[age >= 80] = 79
    odd = replace(cut, test=replace(cut.test, labels=labels, sex=sex, age=age))
    rows = {(row["group"], row["level"]): row for row in _evaluated(odd, fitted, schema, plan)["subgroups"]}
    women = rows["sex", "female"]
    assert women["stays"] > 0
    assert (women["positives"], women["calibration_in_the_large"]) == (0, None)
    assert women["auroc"] == {"value": None, "low": None, "high": None}
    counts = [
        rows[key]["stays"] for key in (("sex", "unknown"), ("age", "unknown"), ("age", "under 18"), ("age", "80+"))
    ]
    assert counts == [3, 2, 1, 0]
    assert rows["age", "80+"]["auroc"] == women["auroc"]
    for group in ("sex", "age"):
        assert sum(row["stays"] for key, row in rows.items() if key[0] == group) == len(cut.test)


def test_importances_tell_what_the_model_uses(evaluation: dict[str, Any], cut: Split) -> None:
    loss = {row["feature"]: row["auroc_loss"] for row in evaluation["importances"]}
    assert list(loss) == list(cut.test.feature_names)
    assert loss["lactate"] > 0.02
    assert abs(loss["gender_encoded"]) < 0.01
    assert all(row["sd"] >= 0 for row in evaluation["importances"])


def test_covariates_describe_all_patients(evaluation: dict[str, Any], cut: Split) -> None:
    both = cut.learning.joined(cut.test)
    assert len(both) == len(cut.learning) + len(cut.test)
    row = evaluation["covariates"][4]
    values = both.values[:, 4]
    mine, others = values[both.labels == 1], values[both.labels == 0]
    assert (row["feature"], row["unit"]) == ("lactate", "mmol/L")
    for side, of in (("positive", mine), ("negative", others)):
        assert row[side] == pytest.approx(
            {"mean": np.nanmean(of), "sd": np.nanstd(of, ddof=1), "missing": np.isnan(of).mean()}, abs=1e-6
        )
    spread = np.sqrt((np.nanvar(mine, ddof=1) + np.nanvar(others, ddof=1)) / 2)
    assert row["smd"] == pytest.approx((np.nanmean(mine) - np.nanmean(others)) / spread, abs=1e-6)


def test_patients_on_both_sides_are_refused(
    cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    subjects = cut.test.subjects.copy()
    subjects[0] = cut.learning.subjects[0]
    with pytest.raises(FatalError, match="a patient is learned from and judges"):
        _evaluated(replace(cut, test=replace(cut.test, subjects=subjects)), fitted, schema, plan)


def test_what_was_fitted_on_other_rows_or_features_is_refused(
    cut: Split, fitted: list[Fitted], schema: Schema, plan: TrainingPlan
) -> None:
    with pytest.raises(FatalError, match="logistic_regression: fitted on other stays"):
        _evaluated(cut, [replace(fitted[0], calibrated=fitted[0].calibrated[1:])], schema, plan)
    renamed = replace(cut, learning=replace(cut.learning, feature_names=cut.learning.feature_names[::-1]))
    with pytest.raises(FatalError, match="features are not the schema's"):
        _evaluated(renamed, fitted, schema, plan)
