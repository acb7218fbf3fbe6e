"""Shapes of JSON objects: which attributes there are, what each must be, and what must hold between them.

A problem names the path and the rule, never the content: it may end in a log.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

_UTC = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]00:00)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Member:
    """One attribute: a rule for its value, or the shape of the object, or of the objects of the array, that it holds."""

    name: str
    rule: "Callable[[Any], bool] | Shape"
    words: str
    required: bool = False
    array: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """An object: its attributes, and pairs of words and what must hold between them."""

    members: tuple[Member, ...]
    invariants: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = ()


def problems(node: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """Yield what is wrong with an object; it is checked to its leaves whatever is wrong on the way."""
    if not isinstance(node, dict):
        yield f"{path or 'body'}: is no object"
        return
    where = f"{path}." if path else ""
    if odd := len(node.keys() - {member.name for member in shape.members} - {"extension"}):
        yield f"{path or 'body'}: {odd} attribute(s) that CDS Hooks 2.0.1 does not have"
    if not isinstance(node.get("extension", {}), dict):
        yield f"{where}extension: is no object (CH-27)"
    for member in shape.members:
        if member.name in node:
            yield from _value(node[member.name], member, f"{where}{member.name}")
        elif member.required:
            yield f"{where}{member.name}: is required; {member.words}"
    for words, holds in shape.invariants:
        if not holds(node):
            yield f"{path or 'body'}: {words}"


def _value(value: Any, member: Member, path: str) -> Iterator[str]:
    if member.array and not isinstance(value, list):
        yield f"{path}: is no array; {member.words}"
        return
    items = [(f"{path}[{at}]", item) for at, item in enumerate(value)] if member.array else [(path, value)]
    for where, item in items:
        if isinstance(member.rule, Shape):
            yield from problems(item, member.rule, where)
        elif not member.rule(item):
            yield f"{where}: {member.words}"


def empty(node: Any, keep: tuple[str, ...] = (), path: str = "") -> Iterator[str]:
    """Yield every null, empty text, array or object, and every number that JSON does not have (CH-48).

    `keep` names the attributes of the body itself that may be an empty array.
    """
    if not isinstance(node, dict | list):
        return
    items: Any = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        where = f"{path}[{key}]" if isinstance(node, list) else f"{path}.{key}".lstrip(".")
        if not (key in keep and value == []) and _is_empty(value):
            yield f"{where}: is null or empty (CH-48)"
        yield from empty(value, (), where)


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ({}, []) or (isinstance(value, float) and not math.isfinite(value))


def objects(node: Any) -> list[dict[str, Any]]:
    """Return the objects of what should be an array of them."""
    return [item for item in node if isinstance(item, dict)] if isinstance(node, list) else []


def is_text(value: Any) -> bool:
    """Tell whether a value is a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_uuid(value: Any) -> bool:
    """Tell whether a value is a UUID in its canonical form, in either case."""
    try:
        return isinstance(value, str) and str(UUID(value)) == value.lower()
    except ValueError:
        return False


def is_uuid4(value: Any) -> bool:
    """Tell whether a value is a random UUID."""
    return is_uuid(value) and UUID(value).version == 4


def is_utc(value: Any) -> bool:
    """Tell whether a value is a time by RFC 3339, section 5.6, in UTC."""
    if not isinstance(value, str) or not _UTC.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True


def is_url(value: Any) -> bool:
    """Tell whether a value is an absolute URL: https, or http on loopback."""
    if not isinstance(value, str) or re.search(r"[\s<>\"]", value):
        return False
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    return parts.scheme == "https" and bool(host)
