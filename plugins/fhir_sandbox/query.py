"""What a search asks for: its parameters read, checked and put into one value."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.filters import Filter, alternatives, date_filter, id_filter, own_filter
from fhir_sandbox.parameters import COMMON, PARAMETERS, date_parameter
from fhir_sandbox.refusals import Refusal

Pairs = tuple[tuple[str, str], ...]
Sort = Literal["", "date", "-date", "_lastUpdated", "-_lastUpdated", "_id"]

_RESULT = ("_count", "_sort", "_summary", "_total", "_elements")


@dataclass(frozen=True, slots=True)
class Query:
    """A search, read and checked.

    Attributes
    ----------
    filters
        All must hold.
    sort
        "" is the order of arrival; `date` is the type's date parameter, whatever its name.
    count
        Entries a page, at least 1 unless `bare`.
    bare
        True if no entries are wanted (`_summary=count` or `_count=0`).
    total
        Whether `Bundle.total` is given.
    elements
        Elements wanted; empty for all.
    used
        The parameters that were understood, `_count` clamped: what the self link shows.
    ignored
        Names of the parameters that were not.
    nothing
        True if an unknown parameter makes the searchset empty.
    """

    type: str
    filters: tuple[Filter, ...]
    sort: Sort
    count: int
    bare: bool
    total: bool
    elements: tuple[str, ...]
    used: Pairs
    ignored: tuple[str, ...]
    nothing: bool


def pairs(text: str) -> Pairs:
    """Take a query string apart, keeping order, repetitions and empty values."""
    return tuple(parse_qsl(text, keep_blank_values=True))


def read(resource_type: str, given: Pairs, behaviour: Behaviour, own_base: str) -> Query:
    """Read the parameters of a search.

    Raises
    ------
    Refusal
        400 if a value is malformed, a modifier or a chain is used, or a parameter is unknown and `unknown_params` says
        that this is an error.
    """
    filters: list[Filter] = []
    result: dict[str, str] = {}
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    for name, value in given:
        if name in _RESULT:
            if name in result:
                raise Refusal(400, "invalid", f"search parameter {name} is given twice")
            result[name] = value
            used.append((name, value))
        elif (filtered := _filter(resource_type, name, value, own_base)) is not None:
            filters.append(filtered)
            used.append((name, value))
        else:
            ignored.append(name)
    if ignored and behaviour.unknown_params == "error":
        raise _unknown(resource_type, ignored[0])
    count = _count(result.get("_count"), behaviour)
    summary = _one_of("_summary", result, ("count",))
    total = _one_of("_total", result, ("accurate", "none"))
    return Query(
        type=resource_type,
        filters=tuple(filters),
        sort=_sort(resource_type, result.get("_sort")),
        count=count,
        bare=summary is not None or count == 0,
        total=summary is not None or total == "accurate" or (total is None and behaviour.total == "always"),
        elements=tuple(alternatives("_elements", result["_elements"])) if "_elements" in result else (),
        used=tuple((name, str(count) if name == "_count" else value) for name, value in used),
        ignored=tuple(ignored),
        nothing=bool(ignored) and behaviour.unknown_params == "empty",
    )


def condition(resource_type: str, text: str, own_base: str) -> tuple[Filter, ...]:
    """Read the condition of a conditional write: filters only, all known, at least one.

    Raises
    ------
    Refusal
        400 otherwise: a condition that is passed over would match every resource.
    """
    filters = []
    for name, value in pairs(text.removeprefix("?")):
        filtered = _filter(resource_type, name, value, own_base)
        if filtered is None:
            raise _unknown(resource_type, name)
        filters.append(filtered)
    if not filters:
        raise Refusal(400, "invalid", "the condition of a conditional write has no search parameter")
    return tuple(filters)


def _filter(resource_type: str, name: str, value: str, own_base: str) -> Filter | None:
    own = PARAMETERS.get(resource_type, {})
    plain = name.partition(":")[0].partition(".")[0]
    if plain != name and (plain in own or plain in COMMON):
        raise Refusal(400, "not-supported", f"search parameter {name}: modifiers and chains are not supported")
    if name == "_id":
        return id_filter(value)
    if name == "_lastUpdated":
        return date_filter(name, "updated", value)
    return own_filter(resource_type, own[name], value, own_base) if name in own else None


def _unknown(resource_type: str, name: str) -> Refusal:
    known = ", ".join([*PARAMETERS.get(resource_type, {}), *COMMON])
    return Refusal(400, "not-supported", f"Unknown search parameter: {name}; {resource_type} has {known}")


def _count(text: str | None, behaviour: Behaviour) -> int:
    if text is None:
        return behaviour.default_count
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, "value", "search parameter _count is no whole number")
    return min(int(text[:9]), behaviour.max_count)


def _one_of(name: str, result: dict[str, str], allowed: tuple[str, ...]) -> str | None:
    value = result.get(name)
    if value is not None and value not in allowed:
        raise Refusal(400, "not-supported", f"search parameter {name} knows only {', '.join(allowed)}")
    return value


def _sort(resource_type: str, text: str | None) -> Sort:
    if text is None:
        return ""
    date = date_parameter(resource_type)
    own: dict[str, Sort] = {date.name: "date", f"-{date.name}": "-date"} if date is not None else {}
    orders: dict[str, Sort] = {**own, "_lastUpdated": "_lastUpdated", "-_lastUpdated": "-_lastUpdated", "_id": "_id"}
    if text not in orders:
        raise Refusal(400, "not-supported", f"search parameter _sort knows only {', '.join(orders)}")
    return orders[text]
