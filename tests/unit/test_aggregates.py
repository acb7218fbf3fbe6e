"""Aggregates: held against pandas' groupby on random tables bit for bit, and each cell's number its own values' alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.aggregates import aggregated

HOW = ("mean", "median", "min", "max", "first", "last", "delta", "count", "present")
values = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: value * 9 / 5 + 0.1)
groups = st.lists(st.lists(values, min_size=1, max_size=40), max_size=8)


def oracle(table: pd.Series, cells: Any, how: str) -> Any:
    """Return what pandas makes of cells in ascending order; where they are in another, it adds up in another way."""
    grouped = table.groupby(cells, sort=True)
    if how == "delta":
        return (grouped.last() - grouped.first()).to_numpy("float64")
    if how == "present":
        return (grouped.count() > 0).to_numpy("float64")
    return getattr(grouped, how)().to_numpy("float64")


def laid_out(tables: list[list[float]], features: int, order: list[int]) -> tuple[Any, Any]:
    """Return the values and cells of one feature of as many patients, in an order of the cells."""
    placed = [(cell * features, tables[cell]) for cell in order]
    cells = np.array([cell for cell, mine in placed for _ in mine], dtype="int64")
    return np.array([value for _, mine in placed for value in mine], dtype="float64"), cells


@pytest.mark.parametrize("how", HOW)
@settings(max_examples=60, deadline=None)
@given(groups)
def test_each_aggregate_is_pandas_own_bit_for_bit(how: str, tables: list[list[float]]) -> None:
    given_, cells = laid_out(tables, 1, list(range(len(tables))))
    found = aggregated(given_, cells, [how])
    expected = oracle(pd.Series(given_), cells, how) if len(cells) else np.empty(0)
    assert found.number.tobytes() == expected.tobytes()
    assert found.used.tolist() == [len(mine) for mine in tables]
    assert found.last.tolist() == (np.cumsum([len(mine) for mine in tables]) - 1).tolist()


@pytest.mark.parametrize("how", HOW)
@settings(max_examples=40, deadline=None)
@given(groups, st.randoms(use_true_random=False))
def test_a_cell_s_number_is_the_same_alone_and_among_others_in_any_order(
    how: str, tables: list[list[float]], chance: Any
) -> None:
    order = list(range(len(tables)))
    chance.shuffle(order)
    found = aggregated(*laid_out(tables, 1, order), [how])
    assert found.cell.tolist() == sorted(order)
    alone = [aggregated(*laid_out([mine], 1, [0]), [how]).number[0] for mine in tables]
    assert found.number.tobytes() == np.array(alone, dtype="float64").tobytes()


def test_each_feature_has_its_own_aggregate() -> None:
    given_ = np.array([1.0, 5.0, 2.0, 4.0, 9.0, 7.0])
    cells = np.array(
        [3, 3, 0, 0, 0, 1]
    )  # of the features min and max: patient 1's max, patient 0's min, patient 0's max
    found = aggregated(given_, cells, ["min", "max"])
    assert found.cell.tolist() == [0, 1, 3]
    assert found.number.tolist() == [2.0, 7.0, 5.0]
    assert found.used.tolist() == [3, 1, 2]
    assert found.last.tolist() == [4, 5, 1]


def test_nothing_observed_is_nothing() -> None:
    found = aggregated(np.empty(0), np.empty(0, dtype="int64"), ["mean"])
    assert [len(part) for part in found] == [0, 0, 0, 0]
