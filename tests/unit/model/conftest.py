"""Small models fitted once: invented rows, five features, two of them informative."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAMES = ["heart_rate", "wbc", "lactate", "age", "gender"]
ROOT = Path(__file__).parents[3]


def rows(count: int, *, seed: int = 1, missing: float = 0.0) -> Any:
    generator = np.random.default_rng(seed)
    matrix = generator.normal([90, 10, 2, 60, 0.5], [20, 5, 1, 15, 0.5], size=(count, 5))
    matrix[generator.random(matrix.shape) < missing] = np.nan
    return matrix


def labels(matrix: Any, seed: int = 2) -> Any:
    odds = np.nan_to_num((matrix[:, 0] - 90) / 20) + np.nan_to_num((matrix[:, 1] - 10) / 5)
    return (odds + np.random.default_rng(seed).normal(size=len(odds)) > 0).astype(int)


def dumped(content: Any, **how: Any) -> bytes:
    import joblib

    file = io.BytesIO()
    joblib.dump(content, file, **how)
    return file.getvalue()


@pytest.fixture(scope="session")
def boosted() -> Any:
    """An XGBClassifier that learned with missing values."""
    from xgboost import XGBClassifier

    matrix = rows(600, missing=0.1)
    return XGBClassifier(n_estimators=60, max_depth=4, random_state=3, n_jobs=2).fit(matrix, labels(matrix))


@pytest.fixture(scope="session")
def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    matrix = rows(400)
    return RandomForestClassifier(n_estimators=30, max_depth=5, random_state=3, n_jobs=2).fit(matrix, labels(matrix))


@pytest.fixture(scope="session")
def scaled_linear() -> tuple[Any, Any]:
    """A LogisticRegression and the scaler whose output it was fitted on, as the tutorial's script makes them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    matrix = rows(400)
    scaler = StandardScaler().fit(matrix)
    return LogisticRegression().fit(scaler.transform(matrix), labels(matrix)), scaler


@pytest.fixture
def content(forest: Any) -> Callable[..., dict[str, Any]]:
    """Make what a model file holds; keywords are metadata, `model` and `scaler` stand beside it."""

    def make(model: Any = None, scaler: Any = None, **metadata: Any) -> dict[str, Any]:
        told = {"feature_names": NAMES, "metrics": {"optimal_threshold": 0.4}, **metadata}
        return {"model": forest if model is None else model, "scaler": scaler, "metadata": told}

    return make


@pytest.fixture
def tutorial_model() -> Path:
    path = ROOT.parent / "shared" / "data" / "healthchain-demo-patients" / "sepsis_model.pkl"
    if not path.exists():
        pytest.skip("the tutorial's model is not here: it is looked for in ../shared/data/healthchain-demo-patients")
    return path
