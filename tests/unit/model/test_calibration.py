import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.errors import ModelError
from screening.model.calibration import Isotonic, Platt, calibrate, parse_calibration

PROBABILITY = st.floats(0, 1)


def test_platt_is_a_line_on_the_log_odds() -> None:
    found = Platt(2.0, -0.5).one(0.7)
    assert math.log(found / (1 - found)) == pytest.approx(2 * math.log(0.7 / 0.3) - 0.5)


def test_the_identity_changes_nothing() -> None:
    assert Platt(1.0, 0.0).one(0.37) == pytest.approx(0.37)
    raw = np.array([0.1, 0.9])
    assert calibrate(None, raw) is raw


def test_isotonic_draws_lines_between_its_knots() -> None:
    line = Isotonic((0.2, 0.4, 0.8), (0.1, 0.1, 0.9))
    assert [line.one(p) for p in (0.0, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)] == pytest.approx(
        [0.1, 0.1, 0.1, 0.1, 0.5, 0.9, 0.9]
    )


@given(st.lists(PROBABILITY, min_size=1, max_size=20), st.floats(0.01, 50), st.floats(-20, 20))
def test_a_calibrated_probability_is_one_and_keeps_the_order(raw: list[float], coef: float, intercept: float) -> None:
    for how in (Platt(coef, intercept), Isotonic((0.1, 0.5, 0.6), (0.0, 0.4, 1.0))):
        found = calibrate(how, np.array(sorted(raw)))
        assert ((found >= 0) & (found <= 1)).all()
        assert (np.diff(found) >= -1e-12).all()


@given(st.lists(PROBABILITY, min_size=2, max_size=50))
def test_a_row_is_calibrated_alike_alone_and_among_others(raw: list[float]) -> None:
    how = Platt(1.3, -0.2)
    assert calibrate(how, np.array(raw)).tolist() == [calibrate(how, np.array([p]))[0] for p in raw]


@pytest.mark.parametrize(
    "found",
    [
        {"method": "platt", "coef": 1.1, "intercept": -2},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [0.3, 0.3]},
        {"method": "isotonic", "x": np.array([0.1, 0.2]), "y": (0.3, 0.4)},
    ],
)
def test_what_is_stored_is_read(found: dict[str, Any]) -> None:
    read = parse_calibration(found)
    assert read in (Platt(1.1, -2.0), Isotonic((0.1, 0.2), (0.3, 0.3)), Isotonic((0.1, 0.2), (0.3, 0.4)))


def test_none_is_none() -> None:
    assert parse_calibration(None) is None


@pytest.mark.parametrize(
    "found",
    [
        "platt",
        {},
        {"method": "beta"},
        {"method": "platt", "coef": -1, "intercept": 0},
        {"method": "platt", "coef": 0, "intercept": 0},
        {"method": "platt", "coef": 1},
        {"method": "platt", "coef": 1, "intercept": float("nan")},
        {"method": "platt", "coef": True, "intercept": 0},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [0.3]},
        {"method": "isotonic", "x": [0.1], "y": [0.3]},
        {"method": "isotonic", "x": [0.2, 0.1], "y": [0.3, 0.4]},
        {"method": "isotonic", "x": [0.1, 0.1], "y": [0.3, 0.4]},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [0.4, 0.3]},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [0.4, 1.3]},
        {"method": "isotonic", "x": [0.1, "0.2"], "y": [0.4, 0.5]},
        {"method": "isotonic", "x": None, "y": None},
    ],
)
def test_what_would_not_calibrate_is_refused(found: Any) -> None:
    with pytest.raises(ModelError, match="calibration"):
        parse_calibration(found)
