"""The champion is asked as screening asks it, on the same patients, and whatever keeps two models apart is told."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import joblib
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score
from tests.charts import ROOT

from screening.feature_matrix import FeatureMatrix
from screening.model import registry
from screening.model.bundle import ModelBundle, as_bundle
from screening.schema import Schema, load_schema
from screening.scoring import score
from screening.training.data import TrainingSet
from screening.training.gate.comparison import Comparison, answers, compare
from screening.training.learning.artifact import model_content
from screening.training.learning.fit import fit
from screening.training.learning.folds import folds, untouched
from screening.training.plan import TrainingPlan, load_plan

Make = Callable[..., TrainingSet]
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    read = load_plan(ROOT / "include" / "training" / "sepsis.yaml", bootstrap=100)
    return read.model_copy(update={"candidates": {"logistic_regression": {}}})


@pytest.fixture(scope="module")
def whole(training_set: Make) -> TrainingSet:
    return training_set(patients=500, seed=1)


@pytest.fixture(scope="module")
def content(whole: TrainingSet, schema: Schema, plan: TrainingPlan) -> dict[str, Any]:
    """What a model file of real patients holds."""
    data = whole.take(~untouched(whole.subjects, plan.untouched.share, plan.untouched.salt))
    fitted = fit("logistic_regression", {}, data, folds(data.labels, data.subjects, 4, 1), 1)
    return model_content(fitted, data, schema, plan, metrics={}, synthetic=False, tiny=False)


@pytest.fixture(scope="module")
def judges(whole: TrainingSet, plan: TrainingPlan) -> TrainingSet:
    return whole.take(untouched(whole.subjects, plan.untouched.share, plan.untouched.salt))


def bundle(content: Mapping[str, Any], **changed: Any) -> ModelBundle:
    return as_bundle({**content, "metadata": {**content["metadata"], **changed}}, name="sepsis", version="new")


def put(models: Path, content: Mapping[str, Any], model: Any = None, **changed: Any) -> None:
    """Publish a champion: this content with these changes of its metadata; None leaves a key out."""
    metadata = {key: value for key, value in {**content["metadata"], **changed}.items() if value is not None}
    file = io.BytesIO()
    joblib.dump({"model": model or content["model"], "metadata": metadata}, file)
    registry.publish(
        models, "sepsis", "1.0.0", model=file.getvalue(), synthetic=metadata["synthetic"], training_data="", created=WHEN,
        metrics={}, model_card="", more={"tiny": metadata["tiny"]}, promoted=True,
    )  # fmt: skip


Against = Callable[..., Comparison]


@pytest.fixture
def against(
    tmp_path: Path, content: dict[str, Any], judges: TrainingSet, schema: Schema, plan: TrainingPlan
) -> Against:
    """Compare the model with a champion that is the same but for these changes."""

    def against(model: Any = None, new: Mapping[str, Any] | None = None, **changed: Any) -> Comparison:
        models = tmp_path / uuid4().hex
        put(models, content, model, **changed)
        return compare(bundle(content, **(new or {})), models, "sepsis", judges, schema, plan)

    return against


class Turned:
    """A model that ranks the patients the other way round."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict_proba(self, rows: Any) -> Any:
        return self.model.predict_proba(rows)[:, ::-1]


def test_without_a_champion_nothing_is_compared(
    tmp_path: Path, content: dict[str, Any], judges: TrainingSet, schema: Schema, plan: TrainingPlan
) -> None:
    for models in (tmp_path / "none", tmp_path):
        assert compare(bundle(content), models, "sepsis", judges, schema, plan) == Comparison()
    (tmp_path / "sepsis").mkdir()
    assert compare(bundle(content), tmp_path, "sepsis", judges, schema, plan) == Comparison()


def test_a_model_is_compared_on_the_untouched_patients_each_at_its_own_threshold(
    against: Against, content: dict[str, Any], judges: TrainingSet
) -> None:
    worse = Turned(content["model"])
    found = against(worse, metrics={"optimal_threshold": 0.9})
    assert found.problem == ""
    assert found.champion is not None
    assert found.champion[0] == "1.0.0"
    assert found.champion[2:] == (False, False)
    mine, theirs = bundle(content), as_bundle({**content, "model": worse}, name="x", version="1")
    for model, said, threshold in ((mine, "new", mine.threshold), (theirs, "champion", 0.9)):
        probabilities = model.predict(model.impute(judges.values).matrix)
        wanted = average_precision_score(judges.labels, probabilities)
        assert getattr(found.figures["auprc"], said) == pytest.approx(wanted)
        called = f1_score(judges.labels, probabilities >= (threshold or 0), zero_division=0.0)
        assert getattr(found.figures["f1"], said) == pytest.approx(called)
    assert found.figures["auprc"].share_above(-0.01) == 1.0
    assert len(found.figures["auprc"].resampled) == 100
    assert found.remarks == ()


def test_answers_are_those_of_scoring(content: dict[str, Any], judges: TrainingSet, schema: Schema) -> None:
    import pandas as pd

    names = list(schema.feature_names)[::-1]
    model = as_bundle(
        {
            "model": content["model"],
            "metadata": {"feature_names": names, "imputation": {"wbc": 11.0, "lactate": 2.0}, "handles_missing": False},
        },
        name="x",
        version="1",
    )
    found, answered = answers(model, judges)
    assert 0 < answered.sum() < len(answered)
    patients = [str(stay) for stay in judges.stays]
    rows = pd.DataFrame(judges.values, columns=list(judges.feature_names))
    rows = rows.assign(patient_id=patients, standing="", reason="", encounter="", prediction_time=pd.Timestamp(WHEN))
    seen = [
        {"patient_id": patient, "feature": name, "count": 1, "time": pd.NaT, "note": ""}
        for patient, values in zip(patients, judges.values, strict=True)
        for name, value in zip(judges.feature_names, values, strict=True)
        if not np.isnan(value)
    ]
    matrix = FeatureMatrix(rows, pd.DataFrame(seen), pd.DataFrame(columns=["patient_id", "feature", "source"]), {})
    lax = schema.model_copy(update={"min_observed": 0, "missing": "impute"})
    scored = [result.probability for result in score(matrix, lax, model)]
    assert scored == [round(float(p), 4) if yes else None for p, yes in zip(found, answered, strict=True)]


def test_the_same_figures_for_the_same_seed(against: Against) -> None:
    one, other = against(), against()
    assert np.array_equal(one.figures["f1"].resampled, other.figures["f1"].resampled)
    assert {name: each.difference for name, each in one.figures.items()} == {"auprc": 0.0, "auroc": 0.0, "f1": 0.0}


@pytest.mark.parametrize(("synthetic", "tiny"), [(True, False), (False, True), (True, True)])
def test_what_kind_the_champion_is_of_is_told(against: Against, synthetic: bool, tiny: bool) -> None:
    found = against(synthetic=synthetic, tiny=tiny)
    assert found.champion is not None
    assert found.champion[2:] == (synthetic, tiny)
    assert ("the champion learned from invented patients" in found.remarks) is synthetic
    assert ("the champion was published on too few patients to judge it" in found.remarks) is tiny


def test_a_champion_that_needs_another_feature_cannot_be_compared(against: Against, content: dict[str, Any]) -> None:
    names = [*content["metadata"]["feature_names"][:-1], "glucose"]
    kept = {name: value for name, value in content["metadata"]["imputation"].items() if name in names}
    found = against(feature_names=names, imputation=kept)
    assert found.figures == {}
    assert found.champion is not None
    assert "needs feature(s) that the schema lacks: glucose" in found.problem
    assert "Train with the schema it was made for, or give the schema another name under `model`" in found.problem


def test_a_champion_of_other_units_cannot_be_compared(against: Against, content: dict[str, Any]) -> None:
    found = against(units={**content["metadata"]["units"], "temperature": "[degF]"})
    assert found.figures == {}
    assert "temperature ([degF], the schema has Cel)" in found.problem


class Fewer:
    """A model of the first columns, the others as usual."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict_proba(self, rows: Any) -> Any:
        return self.model.predict_proba(np.hstack([rows, np.zeros((len(rows), 1))]))


def test_a_champion_that_does_without_a_feature_is_compared_and_said_so(
    against: Against, content: dict[str, Any]
) -> None:
    names = content["metadata"]["feature_names"][:-1]
    kept = {name: value for name, value in content["metadata"]["imputation"].items() if name in names}
    found = against(Fewer(content["model"]), feature_names=names, imputation=kept)
    assert found.problem == ""
    assert found.figures["auprc"].difference is not None
    assert found.remarks == ("the champion does without gender_encoded",)


def test_a_champion_that_learned_from_these_patients_is_said_to(against: Against, judges: TrainingSet) -> None:
    patients = np.unique(judges.subjects)
    found = against(untouched={"share": 0.3, "salt": "other"})
    seen = int((~untouched(patients, 0.3, "other")).sum())
    assert 0 < seen < len(patients)
    assert "salt other, share 0.3; here sepsis, 0.2" in found.remarks[0]
    assert f"may have learned from {seen} of these {len(patients)}" in found.remarks[0]
    assert found.figures["auprc"].difference == 0.0


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_champion_that_left_out_these_patients_and_more_has_seen_none(against: Against, share: float) -> None:
    assert against(untouched={"share": share, "salt": "sepsis"}).remarks == ()


@pytest.mark.parametrize("told", [None, "some", {"share": "0.2", "salt": "sepsis"}, {"share": 0.2}])
def test_a_champion_that_does_not_tell_whom_it_left_out_is_not_trusted(against: Against, told: Any) -> None:
    assert "does not tell whom it left out" in against(untouched=told).remarks[0]


def test_a_champion_of_invented_patients_has_seen_no_real_one(against: Against) -> None:
    real = against(synthetic=True, untouched={"share": 0.3, "salt": "other"})
    assert real.remarks == ("the champion learned from invented patients",)
    invented = against(new={"synthetic": True}, synthetic=True, untouched={"share": 0.3, "salt": "other"})
    assert "may have learned from" in invented.remarks[1]


def test_another_label_is_told(against: Against) -> None:
    found = against(label={"name": "Sepsis-3", "version": "2"})
    assert found.remarks == (
        "the champion learned another label (Sepsis-3 2) than it is judged by here (coded sepsis 1)",
    )
    assert against(label=None).remarks == ()


def test_stays_that_one_of_the_two_cannot_answer_are_left_out_and_counted(
    against: Against, content: dict[str, Any], judges: TrainingSet
) -> None:
    lacking = np.isnan(judges.values).any(axis=1)
    found = against(handles_missing=False, imputation={})
    assert found.remarks == (
        f"{int(lacking.sum())} of {len(lacking)} stays lack what one of the two needs, and are left out",
    )
    model = bundle(content)
    kept = judges.take(~lacking)
    wanted = average_precision_score(kept.labels, model.predict(kept.values))
    assert found.figures["auprc"].champion == found.figures["auprc"].new == pytest.approx(wanted)


def test_where_no_stay_can_be_answered_by_both_it_is_said(
    tmp_path: Path, content: dict[str, Any], judges: TrainingSet, schema: Schema, plan: TrainingPlan
) -> None:
    put(tmp_path, content, handles_missing=False, imputation={})
    values = judges.values.copy()
    values[:, 0] = np.nan
    found = compare(bundle(content), tmp_path, "sepsis", replace(judges, values=values), schema, plan)
    assert found.figures == {}
    assert "publish the champion anew with its training medians" in found.problem


def test_a_champion_without_a_threshold_has_no_f1(against: Against) -> None:
    found = against(metrics={})
    assert found.figures["f1"].difference is None
    assert found.figures["auprc"].difference == 0.0


@pytest.mark.parametrize("file", ["champion.json", "1.0.0/model.pkl", "1.0.0/manifest.json"])
def test_a_broken_champion_is_told_and_nothing_fails(
    tmp_path: Path, content: dict[str, Any], judges: TrainingSet, schema: Schema, plan: TrainingPlan, file: str
) -> None:
    put(tmp_path, content)
    (tmp_path / "sepsis" / file).write_text("{")
    found = compare(bundle(content), tmp_path, "sepsis", judges, schema, plan)
    assert (found.champion, found.figures) == (None, {})
    assert found.problem.startswith("the champion cannot be loaded: ")
    assert file.split("/")[-1] in found.problem
    assert "Promote a version that can" in found.problem
