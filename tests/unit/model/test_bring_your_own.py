"""Bring your own model: what anybody may pickle scores patients end to end, or is refused with the reason.

A file is written, loaded, held against the schema, and asked about a matrix of synthetic patients, by `scoring.score` alone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.charts import MEDIANS, sepsis
from tests.unit.model.conftest import dumped

from screening.errors import ModelError
from screening.feature_matrix import FeatureMatrix
from screening.model.files import load_file
from screening.outcome import Outcome, PatientResult
from screening.schema import Schema
from screening.scoring import score

NAMES = list(sepsis().feature_names)
ORDER = ["age", "lactate", "heart_rate", "gender_encoded", "wbc", "temperature", "creatinine", "respiratory_rate"]
"""The order in which the models here are fitted: not the schema's."""
CENTRES = np.array([MEDIANS[name] for name in ORDER])
SPREADS = np.array([15.0, 0.8, 18.0, 0.5, 4.0, 0.7, 0.4, 4.0])


def patients(count: int, seed: int, missing: float = 0.0) -> pd.DataFrame:
    """Return invented values, columns in `ORDER`; only what is measured may be missing, and the heart rate never is."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(CENTRES, SPREADS, (count, len(ORDER))).clip(0.1), columns=ORDER)
    frame["gender_encoded"] = (frame["gender_encoded"] > 0.5).astype(float)
    gone = rng.random((count, 4)) < missing
    frame[["lactate", "wbc", "temperature", "creatinine"]] = frame[
        ["lactate", "wbc", "temperature", "creatinine"]
    ].mask(gone)
    return frame


LEARNED = patients(300, seed=1)
SEPTIC = (
    ((LEARNED - CENTRES) / SPREADS)[["heart_rate", "lactate", "temperature"]].sum(axis=1).to_numpy()
    + np.random.default_rng(2).normal(size=300)
    > 0.8
).astype(int)


def matrix(values: pd.DataFrame, schema: Schema) -> FeatureMatrix:
    """Return the feature matrix of patients, as the engine makes it: columns in the schema's order."""
    ids = [f"p{i}" for i in range(len(values))]
    moment = pd.Timestamp("2026-03-10T12:00:00+00:00")
    rows = pd.DataFrame({"patient_id": ids, "prediction_time": moment, "standing": "", "reason": "", "encounter": ""})
    rows[list(schema.feature_names)] = values[list(schema.feature_names)].to_numpy()
    observed = [name for name in schema.feature_names if schema.features[name].fhir_resource == "Observation"]
    cells = pd.DataFrame(
        [
            {"patient_id": who, "feature": name, "count": 1, "time": moment, "note": ""}
            for i, who in enumerate(ids)
            for name in observed
            if not np.isnan(values[name].iloc[i])
        ]
    )
    basis = pd.DataFrame({"patient_id": ids, "feature": "heart_rate", "source": [f"Observation/{who}" for who in ids]})
    return FeatureMatrix(rows, cells, basis)


def turned(schema: Schema) -> Schema:
    """Return the same schema with its features in the opposite order."""
    return schema.model_copy(update={"features": dict(reversed(schema.features.items()))})


class Standardized:
    """A neural net, asked as scikit-learn's models are: around anything that maps rows to logits.

    The net keeps its own scaling; `classes_` says which column is the positive one.
    """

    classes_ = np.array([0, 1])

    def __init__(self, net: Any, centre: Any, spread: Any) -> None:
        self.net, self.centre, self.spread = net, np.asarray(centre), np.asarray(spread)

    def predict_proba(self, rows: Any) -> Any:
        logits = np.asarray(self.net((np.asarray(rows, dtype="float64") - self.centre) / self.spread), dtype="float64")
        positive = 1 / (1 + np.exp(-logits.ravel()))
        return np.column_stack([1 - positive, positive])


class NumpyNet:
    """One hidden layer, fitted by plain gradient descent."""

    def __init__(self, inputs: int, hidden: int = 6) -> None:
        rng = np.random.default_rng(3)
        self.first, self.second = rng.normal(0, 0.5, (inputs, hidden)), rng.normal(0, 0.5, hidden)

    def __call__(self, rows: Any) -> Any:
        return np.tanh(rows @ self.first) @ self.second

    def fit(self, rows: Any, labels: Any, steps: int = 300, rate: float = 0.3) -> "NumpyNet":
        for _ in range(steps):
            hidden = np.tanh(rows @ self.first)
            error = (1 / (1 + np.exp(-(hidden @ self.second))) - labels) / len(labels)
            back = np.outer(error, self.second) * (1 - hidden**2)
            self.second -= rate * hidden.T @ error
            self.first -= rate * rows.T @ back
        return self


class TorchNet:
    """A PyTorch module asked with numpy arrays, in double precision, without gradients."""

    def __init__(self, module: Any) -> None:
        self.module = module.double().eval()

    def __call__(self, rows: Any) -> Any:
        import torch

        with torch.no_grad():
            return self.module(torch.from_numpy(np.array(rows))).numpy()


def forest(frame: pd.DataFrame, labels: Any) -> dict[str, Any]:
    from sklearn.ensemble import RandomForestClassifier

    return {"model": RandomForestClassifier(n_estimators=30, max_depth=5, random_state=1, n_jobs=2).fit(frame, labels)}


def lightgbm(frame: pd.DataFrame, labels: Any) -> dict[str, Any]:
    from lightgbm import LGBMClassifier

    return {"model": LGBMClassifier(n_estimators=30, verbose=-1, n_jobs=2, random_state=1).fit(frame, labels)}


def scaled_linear(frame: pd.DataFrame, labels: Any) -> dict[str, Any]:
    """As the tutorial's training script stores it when LogisticRegression wins."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(frame.to_numpy())
    return {"model": LogisticRegression().fit(scaler.transform(frame.to_numpy()), labels), "scaler": scaler}


def pipeline(frame: pd.DataFrame, labels: Any) -> dict[str, Any]:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
    return {"model": model.fit(frame, labels)}


def numpy_net(frame: pd.DataFrame, labels: Any) -> dict[str, Any]:
    net = NumpyNet(frame.shape[1]).fit((frame.to_numpy() - CENTRES) / SPREADS, labels)
    return {"model": Standardized(net, CENTRES, SPREADS)}


def torch_net(frame: pd.DataFrame, labels: Any) -> dict[str, Any]:
    torch = pytest.importorskip("torch", reason="PyTorch is no dependency; the same wrapper is tested around numpy")
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Linear(frame.shape[1], 6), torch.nn.Tanh(), torch.nn.Linear(6, 1), torch.nn.Flatten(0)
    ).double()
    rows = torch.from_numpy((frame.to_numpy() - CENTRES) / SPREADS)
    wanted = torch.from_numpy(labels.astype("float64"))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(module(rows), wanted).backward()
        optimizer.step()
    return {"model": Standardized(TorchNet(module), CENTRES, SPREADS)}


Make = Callable[[pd.DataFrame, Any], dict[str, Any]]
KINDS: dict[str, Make] = {
    make.__name__: make for make in (forest, lightgbm, scaled_linear, pipeline, numpy_net, torch_net)
}
TAKES_NAN = {"forest", "lightgbm", "pipeline"}


def scored(content: dict[str, Any], values: pd.DataFrame, folder: Path, schema: Schema) -> list[PatientResult]:
    """Write a model file, load it, and score."""
    path = folder / "mine.pkl"
    path.write_bytes(dumped(content))
    bundle = load_file(path, models_dir=folder / "models", allow_unverified=True)
    return score(matrix(values, schema), schema, bundle)


def content_of(kind: str, **metadata: Any) -> dict[str, Any]:
    return {**KINDS[kind](LEARNED, SEPTIC), "metadata": {"feature_names": ORDER, **metadata}}


def answer_of(content: dict[str, Any], values: pd.DataFrame) -> Any:
    """Return what the model says when its maker asks it, rounded as scores are."""
    model, scaler = content["model"], content.get("scaler")
    rows = (
        scaler.transform(values.to_numpy())
        if scaler
        else values
        if hasattr(model, "feature_names_in_")
        else values.to_numpy()
    )
    return np.round(model.predict_proba(rows)[:, 1], 4)


@pytest.mark.parametrize("kind", KINDS)
def test_it_scores_as_its_maker_would(kind: str, tmp_path: Path) -> None:
    values = patients(40, seed=5)
    content = content_of(kind)
    results = scored(content, values, tmp_path, sepsis())
    assert {one.outcome for one in results} == {Outcome.SCORED}
    found = [one.probability for one in results]
    assert found == pytest.approx(answer_of(content, values), abs=1.01e-4)  # a rounding's last digit
    assert max(found) - min(found) > 0.3  # and not all alike


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_schema_makes_no_difference(kind: str, tmp_path: Path) -> None:
    values = patients(20, seed=6)
    content = content_of(kind)
    one = scored(content, values, tmp_path, sepsis())
    other = scored(content, values, tmp_path, turned(sepsis()))
    assert turned(sepsis()).feature_names == tuple(NAMES[::-1])
    assert [result.probability for result in one] == [result.probability for result in other]


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_value_is_the_models_own_or_a_stored_medians_or_nobodys(kind: str, tmp_path: Path) -> None:
    values = patients(40, seed=7, missing=0.3)
    whole = ~values.isna().any(axis=1).to_numpy()
    assert 0 < whole.sum() < 40
    content = content_of(kind)
    plain = scored(content, values, tmp_path, sepsis())
    for one, has_all in zip(plain, whole, strict=True):
        gone = tuple(name for name in ORDER if np.isnan(values[name].iloc[int(one.patient_id[1:])]))
        if has_all:
            assert (one.outcome, one.imputed) == (Outcome.SCORED, ())
        elif kind in TAKES_NAN:
            assert (one.outcome, set(one.imputed)) == (Outcome.SCORED, set(gone))
        else:
            assert (one.outcome, one.detail, one.probability) == (Outcome.INSUFFICIENT_DATA, gone, None)
    medians = {name: MEDIANS[name] for name in ORDER}
    filled = scored({**content, "metadata": {**content["metadata"], "imputation": medians}}, values, tmp_path, sepsis())
    assert {one.outcome for one in filled} == {Outcome.SCORED}
    by_hand = answer_of(content, values.fillna(medians))
    assert [one.probability for one in filled] == pytest.approx(by_hand, abs=1.01e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_batch_makes_no_difference(kind: str, tmp_path: Path) -> None:
    values = patients(12, seed=8)
    content = content_of(kind)
    together = [one.probability for one in scored(content, values, tmp_path, sepsis())]
    alone = [scored(content, values.iloc[i : i + 1], tmp_path, sepsis())[0].probability for i in range(len(values))]
    assert together == alone


def test_a_scaler_is_needed_for_the_right_answer(tmp_path: Path) -> None:
    values = patients(20, seed=9)
    content = content_of("scaled_linear")
    without = {key: part for key, part in content.items() if key != "scaler"}
    one, other = (scored(given, values, tmp_path, sepsis()) for given in (content, without))
    assert max(abs(a.probability - b.probability) for a, b in zip(one, other, strict=True)) > 0.2  # type: ignore[operator]


def of_seven(**_: Any) -> dict[str, Any]:
    return {**forest(LEARNED.iloc[:, :7], SEPTIC), "metadata": {"feature_names": ORDER}}


def of_three_classes() -> dict[str, Any]:
    return {**forest(LEARNED, np.arange(300) % 3), "metadata": {"feature_names": ORDER}}


def of_a_regressor() -> dict[str, Any]:
    from sklearn.ensemble import RandomForestRegressor

    return {"model": RandomForestRegressor(n_estimators=2).fit(LEARNED, SEPTIC), "metadata": {"feature_names": ORDER}}


def of_a_net_that_diverged() -> dict[str, Any]:
    net = NumpyNet(len(ORDER))
    net.second[:] = np.nan
    return {"model": Standardized(net, CENTRES, SPREADS), "metadata": {"feature_names": ORDER}}


def of_another_feature() -> dict[str, Any]:
    frame = LEARNED.rename(columns={"lactate": "procalcitonin"})
    return {**forest(frame, SEPTIC), "metadata": {"feature_names": list(frame.columns)}}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (of_another_feature, "needs feature.s. that the schema lacks: procalcitonin"),
        (
            lambda: content_of("lightgbm", units={"temperature": "[degF]"}),
            r"other units: temperature \(\[degF\], .* Cel",
        ),
        (lambda: content_of("pipeline", aggregation={"wbc": "last"}), r"other aggregation: wbc \(last, .* mean"),
        (of_seven, "fitted on the columns .*: names and order must agree"),
        (lambda: content_of("scaled_linear", feature_names=NAMES[:7]), "fitted on 8 columns, .* has 7"),
        (lambda: content_of("forest", feature_names=NAMES), "names and order must agree"),
        (of_three_classes, r"classes are \[0, 1, 2\]"),
        (of_a_regressor, "a RandomForestRegressor, has no predict_proba"),
        (of_a_net_that_diverged, "NaN or with numbers outside 0 to 1"),
    ],
)
def test_what_would_score_wrongly_is_refused_with_the_reason(
    make: Callable[[], dict[str, Any]], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=told):
        scored(make(), patients(5, seed=10), tmp_path, sepsis())
