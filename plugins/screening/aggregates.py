"""How the values of one feature of one patient, in the order of the table, become one number: each aggregate by its name.

All cells at once, and each by its own values alone: whatever else stands in the table, a cell's number is the same to the
last bit. The mean is a pairwise sum divided by the count, as numpy's `reduceat` adds up; by it the shipped models were
trained, so that a sum of another kind would be off in the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from screening.columns import Floats, Ints, runs


class Observed(NamedTuple):
    """The cells that have a value.

    Attributes
    ----------
    cell
        int64 (k,): which they are.
    number
        float64 (k,): the aggregate of each.
    used, last
        int64 (k,): how many values each rests on, and the place of the last one.
    """

    cell: Ints
    number: Floats
    used: Ints
    last: Ints


def _mean(values: Floats, begin: Ints, end: Ints) -> Floats:
    total: Floats = np.add.reduceat(values, begin)
    return total / (end - begin)


def _median(values: Floats, begin: Ints, end: Ints) -> Floats:
    ascending = values[np.lexsort((values, np.repeat(begin, end - begin)))]
    count = end - begin
    upper, lower = ascending[begin + count // 2], ascending[begin + (count - 1) // 2]
    middle: Floats = np.where(count % 2 == 1, upper, (upper + lower) / 2)
    return middle


def _min(values: Floats, begin: Ints, _: Ints) -> Floats:
    least: Floats = np.minimum.reduceat(values, begin)
    return least


def _max(values: Floats, begin: Ints, _: Ints) -> Floats:
    greatest: Floats = np.maximum.reduceat(values, begin)
    return greatest


def _first(values: Floats, begin: Ints, _: Ints) -> Floats:
    return values[begin]


def _last(values: Floats, _: Ints, end: Ints) -> Floats:
    return values[end - 1]


def _delta(values: Floats, begin: Ints, end: Ints) -> Floats:
    return values[end - 1] - values[begin]


def _count(_: Floats, begin: Ints, end: Ints) -> Floats:
    return (end - begin).astype("float64")


def _present(_: Floats, begin: Ints, __: Ints) -> Floats:
    return np.ones(len(begin))


_AGGREGATES: Mapping[str, Callable[[Floats, Ints, Ints], Floats]] = {
    "mean": _mean, "median": _median, "min": _min, "max": _max, "first": _first, "last": _last, "delta": _delta,
    "count": _count, "present": _present,
}  # fmt: skip


def aggregated(values: Floats, cells: Ints, how: Sequence[str]) -> Observed:
    """Aggregate the values of each cell.

    Parameters
    ----------
    values, cells
        float64 (n,) and int64 (n,): values and the cells they belong to; those of one cell stand together, in order.
    how
        The aggregate of each feature; a cell's feature is its remainder by the number of features.

    Returns
    -------
    Observed
        In the order of the cells' numbers.
    """
    begin = runs(cells)
    end = np.empty_like(begin)
    end[:-1], end[-1:] = begin[1:], len(cells)
    found = cells[begin]
    feature = found % len(how)
    numbers = np.full(len(found), np.nan)
    names = {how[column] for column in set(feature.tolist())}
    for name in sorted(names):
        all_numbers = _AGGREGATES[name](values, begin, end)
        if len(names) == 1:
            numbers = all_numbers
        else:
            mine = np.array([one == name for one in how])[feature]
            numbers[mine] = all_numbers[mine]
    order = np.argsort(found)
    return Observed(found[order], numbers[order], (end - begin)[order], end[order] - 1)
