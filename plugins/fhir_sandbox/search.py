"""Filters as SQL over the index, and pages by key.

The driving index is named in the statement: SQLite, without statistics, would choose between them by guess.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from fhir_sandbox.filters import DateFilter, Filter, IdFilter, ReferenceFilter, TokenFilter
from fhir_sandbox.moments import EARLIEST, LATEST
from fhir_sandbox.query import Sort
from fhir_sandbox.session import Reader

_LAST_UPDATED_WIDTH = 1000  # microseconds that an instant of millisecond precision covers

# What is sorted by, and whether downwards; a resource without date comes last either way.
_KEYS: dict[Sort, tuple[str, str]] = {
    "": ("0", ""),
    "date": (f"coalesce(r.low, {LATEST})", ""),
    "-date": (f"coalesce(r.low, {EARLIEST})", " DESC"),
    "_lastUpdated": ("r.updated", ""),
    "-_lastUpdated": ("r.updated", " DESC"),
    "_id": ("r.id", ""),
}

# FHIR R4 3.1.1.4.4: the span [r.low, r.high) of the resource against the span [?1, ?2) of the search.
_COMPARISONS = {
    "eq": "({low} >= {a} AND {high} <= {b})",
    "gt": "({high} > {b})",
    "lt": "({low} < {a})",
    "ge": "({high} > {b} OR ({low} >= {a} AND {high} <= {b}))",
    "le": "({low} < {a} OR ({low} >= {a} AND {high} <= {b}))",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which resources a search selects: the FROM and WHERE of its statements, and their arguments."""

    source: str
    where: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One resource of a page; `key` is where it stands in the order."""

    key: tuple[Any, int]
    id: str
    body: bytes


def select(resource_type: str, filters: tuple[Filter, ...]) -> Selection:
    """Turn filters into SQL."""
    driver = _driver(filters)
    conditions, arguments = ["r.type = ?"], [resource_type]
    for each in filters:
        sql, values = _condition(each, each is driver)
        conditions.append(sql)
        arguments.extend(values)
    return Selection(f"resource r {_index(driver)}", " AND ".join(conditions), tuple(arguments))


def count(reader: Reader, selection: Selection) -> int:
    """Count what a search selects."""
    sql = f"SELECT count(*) FROM {selection.source} WHERE {selection.where}"  # noqa: S608 - fixed words only
    return int(reader.rows(sql, selection.arguments)[0][0])


def page(reader: Reader, selection: Selection, sort: Sort, after: tuple[Any, int] | None, limit: int) -> list[Row]:
    """Give up to `limit` resources in order, those behind the key `after`.

    The order is total (the order of arrival breaks ties) and a page begins behind a key, not at a count: what is
    inserted meanwhile neither repeats nor hides a resource.
    """
    key, direction = _KEYS[sort]
    where, arguments = selection.where, selection.arguments
    if after is not None:
        beyond = "<" if direction else ">"
        where += f" AND ({key}, r.seq) {beyond} (?, ?)" if sort else " AND r.seq > ?"
        arguments += after if sort else after[1:]
    order = f"{key}{direction}, r.seq{direction}" if sort else "r.seq"
    # The bodies are read only for the page: the inner statement sorts keys.
    keys = f"SELECT {key} AS key, r.seq AS seq FROM {selection.source} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
    sql = (
        f"SELECT k.key, k.seq, r.id, r.body FROM ({keys}) k CROSS JOIN resource r ON r.seq = k.seq"  # noqa: S608
        f" ORDER BY k.key{direction}, k.seq{direction}"
    )
    return [Row((row[0], row[1]), row[2], row[3]) for row in reader.rows(sql, (*arguments, limit))]


def _driver(filters: tuple[Filter, ...]) -> Filter | None:
    """Give the filter that presumably leaves the fewest resources."""
    return min(filters, key=_width, default=None)


def _width(each: Filter) -> int:
    match each:
        case IdFilter():
            return 0
        case TokenFilter(param=param) if param.endswith(".identifier"):
            return 1
        case ReferenceFilter():
            return 2
        case TokenFilter(param=param) if param.endswith(".code"):
            return 3
        case TokenFilter():
            return 4
        case DateFilter():
            return 5


def _index(driver: Filter | None) -> str:
    match driver:
        case None:
            return "INDEXED BY resource_type"
        case IdFilter():
            return "INDEXED BY resource_id"
        case ReferenceFilter(column="subject"):
            return "INDEXED BY resource_subject"
        case ReferenceFilter():
            return "INDEXED BY resource_encounter"
        case TokenFilter():
            return "NOT INDEXED"  # by seq, out of the token index
        case DateFilter(column="updated"):
            return "INDEXED BY resource_updated"
        case DateFilter():
            return "INDEXED BY resource_date"


def _condition(each: Filter, drives: bool) -> tuple[str, list[Any]]:
    match each:
        case IdFilter(values):
            return "r.id IN (SELECT value FROM json_each(?))", [orjson.dumps(values).decode()]
        case ReferenceFilter(column, values):
            found = f"r.{column} IN (SELECT value FROM json_each(?))"  # noqa: S608
            return found, [orjson.dumps(values).decode()]
        case TokenFilter():
            return _token_condition(each, drives)
        case DateFilter():
            return _date_condition(each)


def _token_condition(each: TokenFilter, drives: bool) -> tuple[str, list[Any]]:
    options, arguments = [], [each.param]
    for system, code in each.values:
        parts = []
        for column, value in (("code", code), ("system", system)):
            if value is not None:
                parts.append(f"t.{column} = ?")
                arguments.append(value)
        options.append("(" + " AND ".join(parts) + ")")
    matching = f"FROM token t WHERE t.param = ? AND ({' OR '.join(options)})"
    if drives:
        return f"r.seq IN (SELECT t.seq {matching})", arguments
    return f"EXISTS (SELECT 1 {matching} AND t.seq = r.seq)", arguments


def _date_condition(each: DateFilter) -> tuple[str, list[Any]]:
    if each.column == "date":
        low, high = "r.low", "r.high"
    else:
        low, high = "r.updated", f"r.updated + {_LAST_UPDATED_WIDTH}"
    options = [
        _COMPARISONS[prefix].format(low=low, high=high, a=int(start), b=int(end)) for prefix, start, end in each.values
    ]
    # Without IS NOT NULL SQLite does not see that the partial index may be used.
    return f"{low} IS NOT NULL AND ({' OR '.join(options)})", []
