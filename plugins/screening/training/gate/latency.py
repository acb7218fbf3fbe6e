"""How long one patient waits for the answer: measured on the model as it would serve, with rows of real patients."""

from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from screening.errors import FatalError
from screening.model.bundle import ModelBundle
from screening.training.data import Floats, TrainingSet
from screening.training.gate.comparison import columns_of

ROWS = 100
ROUNDS = 5
WARM_UP = 20


def p95_ms(bundle: ModelBundle, rows: TrainingSet) -> float:
    """Return how long 95 of 100 answers for one row take at most, in milliseconds, in one thread.

    The first answers, which fill caches, do not count. Each row is asked several times and its quickest answer counts: what
    else runs on the machine is not the model's doing, and must not decide whether it is published.

    Raises
    ------
    FatalError
        No row has what the model needs.
    """
    filled = bundle.impute(columns_of(bundle, rows))
    ready = filled.matrix[~filled.unscorable][:ROWS]
    if not len(ready):
        raise FatalError(f"{bundle}: no stay has what it needs for an answer, so that none can be timed")
    given = [ready[i : i + 1] for i in range(len(ready))]
    with threadpool_limits(limits=1):
        _times(bundle, (given * WARM_UP)[:WARM_UP])
        quickest = np.min([_times(bundle, given) for _ in range(ROUNDS)], axis=0)
    return float(np.quantile(quickest, 0.95, method="higher")) * 1000


def _times(bundle: ModelBundle, given: list[Floats]) -> list[float]:
    """Return the seconds that each row took, its medians filled in and its probability told."""
    found = []
    for row in given:
        begin = perf_counter()
        bundle.predict(bundle.impute(row).matrix)
        found.append(perf_counter() - begin)
    return found
