"""The model file: the same bytes in any process, read by serving as it is, and answering what was evaluated."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from tests.charts import ROOT

from screening.errors import FatalError
from screening.model.bundle import as_bundle, load_bundle
from screening.model.calibration import calibrate, parse_calibration
from screening.model.fit import fit_to_schema
from screening.schema import Schema, load_schema
from screening.training.data import TrainingSet
from screening.training.learning import fit as fitting
from screening.training.learning.artifact import data_fingerprint, distribution, model_bytes, model_content
from screening.training.learning.fit import Fitted, fit, raw_probabilities
from screening.training.learning.folds import folds
from screening.training.plan import CANDIDATES, Candidate, TrainingPlan, load_plan

Make = Callable[..., TrainingSet]
SETTINGS: dict[Candidate, dict[str, Any]] = {
    "logistic_regression": {"C": 0.5},
    "random_forest": {"n_estimators": 15, "max_depth": 4},
    "xgboost": {"n_estimators": 15, "max_depth": 3},
}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    return load_plan(ROOT / "include" / "training" / "sepsis.yaml").model_copy(update={"candidates": SETTINGS})


def _fitted(name: Candidate, data: TrainingSet) -> Fitted:
    return fit(name, SETTINGS[name], data, folds(data.labels, data.subjects, 4, 1), 1)


def _bytes(fitted: Fitted, data: TrainingSet, schema: Schema, plan: TrainingPlan, **more: Any) -> bytes:
    told: dict[str, Any] = {"metrics": {"auroc": 0.75}, "synthetic": True, "tiny": False, **more}
    return model_bytes(model_content(fitted, data, schema, plan, **told))


def _load(content: bytes, tmp_path: Path) -> Any:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    return load_bundle(path, expected_sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("name", CANDIDATES)
def test_serving_answers_what_pipeline_and_calibration_say(
    training_set: Make, schema: Schema, plan: TrainingPlan, tmp_path: Path, name: Candidate
) -> None:
    data = training_set(patients=200, seed=1)
    fitted = _fitted(name, data)
    bundle = _load(_bytes(fitted, data, schema, plan), tmp_path)
    rows = np.vstack([training_set(patients=50, seed=2).values, np.full((1, 8), np.nan)])
    assert np.isnan(rows).any()
    wanted = calibrate(parse_calibration(fitted.calibration), raw_probabilities(fitted.model, rows))
    filled = bundle.impute(rows)
    assert not filled.unscorable.any()
    assert np.abs(bundle.predict(filled.matrix) - wanted).max() < 1e-9
    assert np.abs(bundle.predict(rows) - wanted).max() < 1e-9
    alone = [bundle.predict(filled.matrix[i : i + 1])[0] for i in range(len(rows))]
    assert alone == bundle.predict(filled.matrix).tolist()
    assert bundle.threshold == fitted.threshold
    assert bundle.warnings == ()


def test_isotonic_calibration_is_served_too(
    training_set: Make, schema: Schema, plan: TrainingPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "ISOTONIC_FROM", 10)
    data = training_set(patients=200, seed=1)
    fitted = _fitted("xgboost", data)
    bundle = _load(_bytes(fitted, data, schema, plan), tmp_path)
    wanted = np.interp(raw_probabilities(fitted.model, data.values), fitted.calibration["x"], fitted.calibration["y"])
    assert fitted.calibration["method"] == "isotonic"
    assert np.abs(bundle.predict(data.values) - wanted).max() < 1e-9


def test_what_a_tree_leaves_undefined_is_not_in_the_bytes(
    training_set: Make, schema: Schema, plan: TrainingPlan
) -> None:
    """scikit-learn never sets these bytes: what lay in memory before stands there, seldom anything but zeros."""
    data = training_set(patients=150, seed=1)
    fitted = _fitted("random_forest", data)
    before = _bytes(fitted, data, schema, plan)
    for tree in fitted.model["model"].estimators_:
        nodes = tree.tree_.__getstate__()["nodes"]
        nodes["missing_go_to_left"][nodes["left_child"] == -1] = 77
        nodes.view(np.uint8).reshape(len(nodes), -1)[:, -7:] = 99
    assert _bytes(fitted, data, schema, plan) == before


IN_ANOTHER_PROCESS = """
import joblib, sys
from pathlib import Path
folder, known = Path(sys.argv[1]), [joblib.load(path) for path in sys.argv[2:]]  # before anything is fitted
from tests.unit.training.learning import test_artifact as here
from tests.unit.training.conftest import _training_set
data = _training_set(patients=150, seed=1)
schema = here.load_schema(here.ROOT / "include" / "schemas" / "sepsis.yaml")
plan = here.load_plan(here.ROOT / "include" / "training" / "sepsis.yaml").model_copy(update={"candidates": here.SETTINGS})
for name in here.CANDIDATES:
    (folder / f"{name}.pkl").write_bytes(here._bytes(here._fitted(name, data), data, schema, plan))
"""


def test_processes_with_other_threads_hashes_and_pasts_write_the_same_bytes(
    training_set: Make, schema: Schema, plan: TrainingPlan, tmp_path: Path
) -> None:
    """A class whose first object was unpickled keeps the names of its attributes as they were unpickled."""
    data = training_set(patients=150, seed=1)
    told = [[_bytes(_fitted(name, data), data, schema, plan) for name in CANDIDATES]]
    known: list[str] = []
    for threads, hashes, zone in (("1", "0", "UTC"), ("2", "12345", "Asia/Kolkata")):
        folder = tmp_path / threads
        folder.mkdir()
        around = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": hashes}
        around |= {"TZ": zone, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, str(folder), *known], env=around, cwd=ROOT, check=True
        )
        known = [str(folder / f"{name}.pkl") for name in CANDIDATES]
        told.append([Path(path).read_bytes() for path in known])
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("name", CANDIDATES)
def test_neither_staging_nor_being_asked_changes_the_bytes(
    training_set: Make, schema: Schema, plan: TrainingPlan, name: Candidate
) -> None:
    data = training_set(patients=150, seed=1)
    fitted = _fitted(name, data)
    first = _bytes(fitted, data, schema, plan)
    assert _bytes(fitted, data, schema, plan) == first
    staged = fitted
    for _ in range(2):
        file = io.BytesIO()
        joblib.dump({"fitted": staged, "beside": ["seed", np.ones(3)]}, file)
        staged = joblib.load(io.BytesIO(file.getvalue()))["fitted"]
        assert _bytes(staged, data, schema, plan) == first
    content = model_content(fitted, data, schema, plan, metrics={"auroc": 0.75}, synthetic=True, tiny=False)
    bundle = as_bundle(content, name="sepsis", version="1")
    bundle.predict(data.values)
    direct = as_bundle({"model": fitted.model, "metadata": content["metadata"]}, name="sepsis", version="1")
    direct.predict(data.values)
    assert _bytes(fitted, data, schema, plan) == first


def test_the_metadata_are_those_of_the_schema_the_plan_and_the_data(
    training_set: Make, schema: Schema, plan: TrainingPlan, tmp_path: Path
) -> None:
    data = training_set(patients=200, seed=1)
    fitted = _fitted("logistic_regression", data)
    metadata = joblib.load(io.BytesIO(_bytes(fitted, data, schema, plan)))["metadata"]
    assert metadata["feature_names"] == list(schema.feature_names)
    assert metadata["model_name"] == "sepsis"
    assert metadata["candidate"] == "logistic_regression"
    assert metadata["settings"] == {"C": 0.5}
    assert metadata["metrics"] == {"auroc": 0.75, "optimal_threshold": fitted.threshold, "f1": fitted.f1}
    assert metadata["schema_sha256"] == schema.fingerprint()
    medians = np.nanmedian(data.values, axis=0).tolist()
    assert metadata["imputation"] == dict(zip(schema.feature_names, medians, strict=True))
    assert metadata["units"]["temperature"] == "Cel"
    assert metadata["units"]["gender_encoded"] is None
    assert metadata["aggregation"] == dict.fromkeys(schema.feature_names[:6], "mean")
    assert metadata["ranges"]["heart_rate"] == [1.0, 300.0]
    assert "age" not in metadata["ranges"]
    assert metadata["window"] == {"lookback_hours": 24.0}
    assert metadata["prediction"] == {"after_intime_hours": 24.0}
    assert metadata["thresholds"] == {"moderate": 0.4, "high": 0.7}
    assert set(metadata["train_distribution"]) == set(schema.feature_names)
    assert metadata["train_distribution"]["wbc"] == distribution(data.values[:, 3])
    assert metadata["prevalence"] == pytest.approx(data.labels.mean())
    assert metadata["counts"] == {"stays": len(data), "patients": 200, "positives": int(data.labels.sum())}
    assert metadata["cv"] == {"folds": 5, "cut_by": "subject_id"}
    assert metadata["untouched"] == {"share": 0.2, "salt": "sepsis"}
    assert metadata["label"] == {"name": "coded sepsis", "version": "1"}
    assert (metadata["synthetic"], metadata["tiny"], metadata["seed"]) == (True, False, plan.seed)
    assert {"python", "numpy", "sklearn", "xgboost"} <= set(metadata["versions"])
    fits = fit_to_schema(
        "the model", metadata["feature_names"], metadata, schema.feature_names, schema_sha256=schema.fingerprint(),
        units={f.name: f.unit for f in schema.features.values()},
        aggregation={f.name: f.how for f in schema.features.values() if f.codes},
    )  # fmt: skip
    assert fits == ((), ())


def test_a_schema_without_a_window_says_so(training_set: Make, schema: Schema, plan: TrainingPlan) -> None:
    data = training_set(patients=150, seed=1)
    fitted = _fitted("logistic_regression", data)
    whole = model_content(
        fitted, data, schema.model_copy(update={"window": None}),
        plan.model_copy(update={"prediction": plan.prediction.model_copy(update={"after_intime": timedelta(hours=6)})}),
        metrics={}, synthetic=False, tiny=True,
    )["metadata"]  # fmt: skip
    assert whole["window"] == {"lookback_hours": None}
    assert whole["prediction"] == {"after_intime_hours": 6.0}
    assert whole["tiny"] is True


def test_xgboost_keeps_its_own_branches_for_missing_values(
    training_set: Make, schema: Schema, plan: TrainingPlan, tmp_path: Path
) -> None:
    data = training_set(patients=200, seed=1)
    bundle = _load(_bytes(_fitted("xgboost", data), data, schema, plan), tmp_path)
    assert dict(bundle.imputation) == {}
    assert bundle.handles_missing
    assert np.isnan(bundle.impute(np.full((1, 8), np.nan)).matrix).all()
    assert bundle.contributions(data.values) is not None


@pytest.mark.parametrize("name", ["logistic_regression", "random_forest"])
def test_a_feature_that_nobody_had_has_no_median_and_changes_no_answer(
    training_set: Make, schema: Schema, plan: TrainingPlan, tmp_path: Path, name: Candidate
) -> None:
    data = training_set(patients=200, seed=1)
    data.values[:, 4] = np.nan
    fitted = _fitted(name, data)
    bundle = _load(_bytes(fitted, data, schema, plan), tmp_path)
    assert "lactate" not in bundle.imputation
    assert len(bundle.imputation) == 7
    assert bundle.metadata["train_distribution"]["lactate"] == {"edges": (), "shares": (), "missing": 1.0}
    known = data.values.copy()
    known[:, 4] = 3.0
    filled = bundle.impute(data.values)
    assert not filled.unscorable.any()
    assert np.abs(bundle.predict(filled.matrix) - bundle.predict(bundle.impute(known).matrix)).max() < 1e-9


def test_metrics_are_numbers_and_undefined_ones_are_left_out(
    training_set: Make, schema: Schema, plan: TrainingPlan
) -> None:
    data = training_set(patients=150, seed=1)
    fitted = _fitted("logistic_regression", data)
    content = joblib.load(io.BytesIO(_bytes(fitted, data, schema, plan, metrics={"auroc": None, "f1": 0.9})))
    assert content["metadata"]["metrics"] == {"optimal_threshold": fitted.threshold, "f1": fitted.f1}
    for wrong in (float("nan"), float("inf"), object()):
        with pytest.raises(FatalError, match="every metric must be a finite number"):
            _bytes(fitted, data, schema, plan, metrics={"auroc": wrong})


def test_other_features_than_the_schemas_are_refused(training_set: Make, schema: Schema, plan: TrainingPlan) -> None:
    data = training_set(patients=150, seed=1)
    fitted = _fitted("logistic_regression", data)
    turned = replace(data, feature_names=data.feature_names[::-1])
    with pytest.raises(FatalError, match="not the schema's"):
        _bytes(fitted, turned, schema, plan)


def test_the_fingerprint_is_of_rows_and_not_of_how_they_were_written(training_set: Make) -> None:
    data = training_set(patients=50, seed=1)
    same = data_fingerprint(data)
    other_nan = data.values.view("int64").copy()
    other_nan[np.isnan(data.values)] = np.array(0xFFF8000000000001, dtype="uint64").view("int64")
    fortran = np.asfortranarray(other_nan.view("float64"))
    assert data_fingerprint(replace(data, values=fortran)) == same
    zero, minus = data.values.copy(), data.values.copy()
    zero[0, 0], minus[0, 0] = 0.0, -0.0
    assert data_fingerprint(replace(data, values=zero)) == data_fingerprint(replace(data, values=minus)) != same
    for name in ("labels", "subjects", "stays"):
        changed = getattr(data, name).copy()
        changed[3] += 1
        assert data_fingerprint(replace(data, **{name: changed})) != same
    moved = data.values.copy()
    moved[0, 0] = np.nextafter(moved[0, 0], 1000.0)
    assert data_fingerprint(replace(data, values=moved)) != same
    assert data_fingerprint(replace(data, feature_names=data.feature_names[::-1])) != same


def test_a_distribution_tells_the_share_in_each_bin() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(size=1000), np.full(250, np.nan)])
    found = distribution(values)
    assert found["missing"] == 0.2
    assert len(found["edges"]) == 9
    assert found["shares"] == pytest.approx([0.1] * 10)
    sex = distribution(np.array([0.0] * 30 + [1.0] * 70))
    assert sex == {"edges": [0.0], "shares": [0.3, 0.7], "missing": 0.0}
    assert distribution(np.full(5, 2.0)) == {"edges": [], "shares": [1.0], "missing": 0.0}
    skewed = distribution(np.array([0.0] * 85 + list(range(1, 16))))
    assert sum(skewed["shares"]) == pytest.approx(1)
    assert skewed["shares"][0] == 0.85
    assert len(skewed["shares"]) == len(skewed["edges"]) + 1
