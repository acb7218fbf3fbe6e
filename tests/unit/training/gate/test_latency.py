"""The latency is that of one row at its quickest, without the first answers, in one thread."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from screening.errors import FatalError
from screening.model.bundle import ModelBundle, as_bundle
from screening.training.data import TrainingSet
from screening.training.gate import latency as module
from screening.training.gate.latency import ROUNDS, ROWS, WARM_UP, p95_ms

Make = Callable[..., TrainingSet]


class Model:
    """A model that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.threads: set[int] = set()

    def predict_proba(self, rows: Any) -> Any:
        if np.isnan(rows).any():
            raise ValueError("NaN")
        self.asked.append(rows.copy())
        self.threads |= {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        return np.full((len(rows), 2), 0.5)


def bundle(model: Any, data: TrainingSet, **metadata: Any) -> ModelBundle:
    names = list(reversed(data.feature_names))
    return as_bundle({"model": model, "metadata": {"feature_names": names, **metadata}}, name="sepsis", version="1")


def timed(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> None:
    """Let each answer take so long, in their order."""
    ticks = iter([tick for each in seconds for tick in (0.0, each)])
    monkeypatch.setattr(module, "perf_counter", lambda: next(ticks))


def test_95_of_100_rows_are_within_it_each_at_its_quickest_after_the_first_answers(
    training_set: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = training_set(patients=200, missing=0.0)
    assert (ROWS, ROUNDS) == (100, 5)
    busy = [0.5] * 100  # the machine had other work
    timed(monkeypatch, [0.0001] * WARM_UP + [*busy, *busy, *([0.001] * 96 + [0.4] * 4), *busy, *busy])
    assert p95_ms(bundle(Model(), data), data) == pytest.approx(1.0)
    # between the 95th and the 96th of a hundred the slower one is told
    timed(monkeypatch, [0.0001] * WARM_UP + [*([0.001] * 95 + [0.4] * 5), *busy, *busy, *busy, *busy])
    assert p95_ms(bundle(Model(), data), data) == pytest.approx(400.0)
    # a row is slow only if it always is
    turns = [[0.003 if row % ROUNDS == turn else 0.5 for row in range(100)] for turn in range(ROUNDS)]
    timed(monkeypatch, [0.0001] * WARM_UP + [each for turn in turns for each in turn])
    assert p95_ms(bundle(Model(), data), data) == pytest.approx(3.0)


def test_it_asks_for_one_row_of_the_patients_in_one_thread_by_name(training_set: Make) -> None:
    data, model = training_set(patients=200, missing=0.0), Model()
    ready = bundle(model, data)
    model.asked.clear()
    model.threads.clear()
    assert p95_ms(ready, data) > 0
    assert len(model.asked) == WARM_UP + ROUNDS * ROWS
    assert all(rows.shape == (1, 8) for rows in model.asked)
    assert np.array_equal(np.vstack(model.asked[-ROWS:]), data.values[:ROWS, ::-1])
    assert model.threads == {1}


def test_a_model_that_takes_no_missing_values_gets_medians_or_other_rows(training_set: Make) -> None:
    data = training_set(patients=30, missing=0.4)
    whole = ~np.isnan(data.values).any(axis=1)
    assert 0 < whole.sum() < len(data)
    model = Model()
    ready = bundle(model, data)
    model.asked.clear()
    p95_ms(ready, data)
    assert len(model.asked) == WARM_UP + ROUNDS * int(whole.sum())
    medians = bundle(model, data, imputation=dict.fromkeys(data.feature_names, 1.0))
    model.asked.clear()
    p95_ms(medians, data)
    assert len(model.asked) == WARM_UP + ROUNDS * len(data)
    with pytest.raises(FatalError, match="none can be timed"):
        p95_ms(ready, data.take(~whole))
