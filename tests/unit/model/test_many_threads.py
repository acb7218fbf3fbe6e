"""A model asked by eight threads at once, as a worker's are, answers bit for bit as one alone."""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from screening.model.bundle import ModelBundle, as_bundle

THREADS, ROWS = 8, 40
NAMES = [f"f{n}" for n in range(6)]


def fitted(model: Any, *, missing: bool) -> ModelBundle:
    rows, labels = patients(missing)
    model.fit(rows, labels)
    return as_bundle({"model": model, "metadata": {"feature_names": NAMES}}, name="m", version="1")


@cache
def patients(missing: bool) -> Any:
    rng = np.random.default_rng(7)
    rows = rng.normal(50, 20, (400, len(NAMES)))
    labels = (rows[:, 0] + rows[:, 1] * rng.normal(1, 0.3, 400) > 100).astype(int)
    if missing:
        rows[rng.random(rows.shape) < 0.15] = np.nan
    return rows, labels


def boosted() -> ModelBundle:
    from xgboost import XGBClassifier

    return fitted(XGBClassifier(n_jobs=1, n_estimators=60, max_depth=4), missing=True)


def dart() -> ModelBundle:
    from xgboost import XGBClassifier

    return fitted(XGBClassifier(n_jobs=1, n_estimators=30, max_depth=4, booster="dart", rate_drop=0.1), missing=True)


def forest() -> ModelBundle:
    from sklearn.ensemble import RandomForestClassifier

    return fitted(RandomForestClassifier(10, random_state=0, n_jobs=-1), missing=False)


def logistic() -> ModelBundle:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return fitted(make_pipeline(StandardScaler(), LogisticRegression()), missing=False)


def calibrated() -> ModelBundle:
    from sklearn.calibration import CalibratedClassifierCV
    from xgboost import XGBClassifier

    return fitted(CalibratedClassifierCV(XGBClassifier(n_jobs=1, n_estimators=10), cv=2), missing=True)


def said(bundle: ModelBundle, row: Any) -> tuple[bytes, bytes | None]:
    found, contributions = bundle.predict_with_contributions(row)
    return found.tobytes(), None if contributions is None else contributions.tobytes()


@pytest.mark.parametrize("make", [boosted, dart, forest, logistic, calibrated])
def test_eight_threads_are_answered_as_one(make: Callable[[], ModelBundle]) -> None:
    bundle = make()
    rows, _ = patients(bundle.handles_missing)
    wanted = [said(bundle, rows[n : n + 1]) for n in range(ROWS)]
    differ: list[int] = []
    asked: list[int] = []
    start = threading.Barrier(THREADS)

    def ask(seed: int) -> None:
        start.wait()
        for n in np.random.default_rng(seed).permutation(ROWS).tolist():
            if said(bundle, rows[n : n + 1]) != wanted[n]:
                differ.append(n)
            asked.append(n)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(wanted)) > 5, "the rows must differ, or nothing is shown"
    assert len(asked) == THREADS * ROWS
    assert differ == []
