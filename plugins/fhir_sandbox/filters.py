"""One search parameter and its value, as a condition on the index."""

import re
from dataclasses import dataclass
from typing import Literal

from fhir_sandbox.moments import span
from fhir_sandbox.names import ID
from fhir_sandbox.parameters import Kind, Parameter
from fhir_sandbox.refusals import Refusal

_PREFIXES = ("eq", "ge", "gt", "le", "lt")


@dataclass(frozen=True, slots=True)
class TokenFilter:
    """Any of some coded values; each is (system, code), None where the search leaves it open."""

    param: str
    values: tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class ReferenceFilter:
    """Any of some references, as they are indexed."""

    column: Literal["subject", "encounter"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DateFilter:
    """Any of some comparisons; each is (prefix, low, high)."""

    column: Literal["date", "updated"]
    values: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class IdFilter:
    """Any of some logical ids."""

    values: tuple[str, ...]


Filter = TokenFilter | ReferenceFilter | DateFilter | IdFilter


def split(value: str, separator: str, limit: int = -1) -> list[str]:
    r"""Split at a separator that no backslash stands before; the pieces keep their escapes."""
    pieces: list[str] = []
    start = position = 0
    while position < len(value) and limit != len(pieces):
        if value[position] == "\\":
            position += 1
        elif value[position] == separator:
            pieces.append(value[start:position])
            start = position + 1
        position += 1
    return [*pieces, value[start:]]


def unescape(value: str) -> str:
    r"""Undo FHIR's escapes: `\,`, `\|`, `\$` and `\\`."""
    return re.sub(r"\\([,|$\\])", r"\1", value)


def alternatives(name: str, value: str) -> list[str]:
    """Split an OR list.

    Raises
    ------
    Refusal
        400 if an item is empty: passing over `patient=` would answer with everyone's data.
    """
    items = split(value, ",")
    if not all(items):
        raise Refusal(400, "value", f"search parameter {name} has an empty value")
    return items


def id_filter(value: str) -> IdFilter:
    """Read `_id`."""
    return IdFilter(tuple(alternatives("_id", value)))


def date_filter(name: str, column: Literal["date", "updated"], value: str) -> DateFilter:
    """Read a date parameter: a prefix and a date of any precision.

    Raises
    ------
    Refusal
        400 if the prefix is not eq, ge, gt, le or lt, or the rest is no date.
    """
    comparisons = []
    for item in alternatives(name, value):
        prefix, date = (item[:2], item[2:]) if item[:2].isalpha() else ("eq", item)
        if prefix not in _PREFIXES:
            raise Refusal(400, "not-supported", f"search parameter {name}: the prefix is not one of {_PREFIXES}")
        try:
            comparisons.append((prefix, *span(date)))
        except ValueError as error:
            raise Refusal(400, "value", f"search parameter {name} is no FHIR date") from error
    return DateFilter(column, tuple(comparisons))


def own_filter(resource_type: str, parameter: Parameter, value: str, own_base: str) -> Filter:
    """Read a parameter that the type has of its own.

    Raises
    ------
    Refusal
        400 if the value is not of the parameter's kind.
    """
    if parameter.kind is Kind.DATE:
        return date_filter(parameter.name, "date", value)
    items = alternatives(parameter.name, value)
    if parameter.kind is Kind.TOKEN:
        return TokenFilter(f"{resource_type}.{parameter.name}", tuple(_token(parameter, item) for item in items))
    targets = tuple(target for item in items for target in _reference(parameter, item, own_base))
    return ReferenceFilter("encounter" if parameter.name == "encounter" else "subject", targets)


def _token(parameter: Parameter, item: str) -> tuple[str | None, str | None]:
    parts = split(item, "|", 1)
    if len(parts) == 1:
        return None, unescape(item)
    system, code = (unescape(part) for part in parts)
    if not system and not code:
        raise Refusal(400, "value", f"search parameter {parameter.name} is only a '|'")
    return system, code or None


def _reference(parameter: Parameter, item: str, own_base: str) -> list[str]:
    if own_base:
        item = item.removeprefix(own_base + "/")
    if ID.fullmatch(item) is not None:
        return [f"{target}/{item}" for target in parameter.targets]
    resource_type, _, resource_id = item.partition("/")
    if resource_type in parameter.targets and ID.fullmatch(resource_id) is not None:
        return [item]
    if item.startswith(("http://", "https://", "urn:")):
        return [item]
    allowed = " or ".join(parameter.targets)
    raise Refusal(400, "value", f"search parameter {parameter.name} is no id and no reference to {allowed}")
