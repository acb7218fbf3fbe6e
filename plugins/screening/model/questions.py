"""Questions put to a model that anybody may have written: what it fails at, and what it answers, is checked here."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from screening.errors import ModelError
from screening.model.boosted import Floats
from screening.model.estimator import Estimator

Answer = TypeVar("Answer")


def asked(question: Callable[[], Answer], failed: str, *, with_data: bool = False) -> Answer:
    """Return a model's answer; whatever its code raises becomes a `ModelError`.

    Parameters
    ----------
    failed
        The message's begin.
    with_data
        True where the rows are patients': the error's own words, which may hold a value, are left out.
    """
    try:
        return question()
    except ModelError:
        raise
    except Exception as error:
        if with_data:
            raise ModelError(f"{failed}: {type(error).__name__}") from None
        raise ModelError(f"{failed}: {type(error).__name__}: {str(error)[:200]}") from error


def check_probabilities(found: Floats, who: str) -> None:
    """Refuse NaN and numbers outside 0 to 1.

    Raises
    ------
    ModelError
        At least one answer is no probability.
    """
    if not np.all((found >= 0) & (found <= 1)):  # also False for NaN
        raise ModelError(f"{who} answers with NaN or with numbers outside 0 to 1, which are no probabilities")


def probe_rows(feature_names: Sequence[str], medians: Mapping[str, float]) -> Floats:
    """Return rows without NaN to ask before anybody's data: all 0, all 1, and the stored medians."""
    count = len(feature_names)
    return np.array([[0.0] * count, [1.0] * count, [medians.get(name, 0.5) for name in feature_names]])


def takes_missing(estimator: Estimator) -> bool:
    """Tell whether a model answers a row of NaN with a probability."""
    row = np.full((1, len(estimator.feature_names)), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = asked(lambda: estimator.probabilities(row), "no answer to a row of NaN")
        except ModelError:
            return False
    return bool(np.all((found >= 0) & (found <= 1)))
