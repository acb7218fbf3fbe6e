"""Numbers and percentages as they are read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.results.wording import (
    bound,
    minute,
    number,
    percentage,
    printed,
    provenance,
    short_percentage,
    strongest,
)
from screening.schema import RiskLevels
from screening.scoring import level
from screening.units import KNOWN


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_no_exponent_and_six_digits(value: float) -> None:
    text = number(value)
    assert set(text) <= set("-0123456789.")
    assert float(text) == float(f"{value:.6g}")


@pytest.mark.parametrize(
    ("value", "text"), [(0.004, "0.004"), (28500.0, "28500"), (1e9, "1000000000"), (38.40000001, "38.4")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@given(st.integers(min_value=0, max_value=10_000))
def test_a_percentage_is_exact(n: int) -> None:
    assert round(float(percentage(n / 10_000)) * 100) == n


@given(st.integers(min_value=0, max_value=10_000))
def test_a_short_percentage_is_on_the_same_side_of_the_bounds(n: int) -> None:
    bounds = RiskLevels()
    text = short_percentage(n / 10_000, bounds)
    assert level(float(text) / 100, bounds) is level(n / 10_000, bounds)
    assert len(text) <= len(percentage(n / 10_000))
    assert abs(float(text) - n / 100) <= 0.5
    assert (text in ("0", "100")) is (n in (0, 10_000))


@pytest.mark.parametrize(
    ("value", "text"), [(0.7, "70"), (0.69995, "69.995"), (0.1, "10"), (0.07, "7"), (1e-05, "0.001")]
)
def test_bounds(value: float, text: str) -> None:
    assert bound(value) == text


def test_the_strongest_reasons_do_not_depend_on_their_order() -> None:
    given_ = {"c": -1.0, "a": 1.0, "b": 2.0, "d": 0.5}
    assert strongest(given_) == strongest(dict(reversed(given_.items()))) == [("b", 2.0), ("a", 1.0), ("c", -1.0)]


def test_a_minute_is_of_utc() -> None:
    at = datetime(2026, 3, 10, 23, 59, 59, tzinfo=UTC)
    assert minute(at) == minute(at.astimezone(timezone(timedelta(hours=5, minutes=45)))) == "2026-03-10T23:59Z"


def test_only_known_units_are_printed_otherwise() -> None:
    codes = {unit.code for unit in KNOWN.values()}
    changed = [code for code in codes if printed(code) != code]
    assert {"Cel", "a", "10*3/uL", "mm[Hg]"} <= set(changed)
    assert not [code for code in codes if set(printed(code)) & set("*[]{}")]
    assert len({printed(code) for code in codes}) == len(codes)
    assert printed("odd") == "odd"


@pytest.mark.parametrize(
    ("synthetic", "tiny", "count"), [(None, False, 1), (True, True, 2), (False, False, 0), (False, True, 1)]
)
def test_what_must_be_said_of_the_patients_learned_from(synthetic: bool | None, tiny: bool, count: int) -> None:
    assert len(provenance(synthetic, tiny)) == count
