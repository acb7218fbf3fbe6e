"""Switches as dataclasses: checked against their annotations, read from and written to JSON."""

import types
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

T = TypeVar("T")


def check_types(switches: object) -> None:
    """Check every field of a dataclass against its annotation.

    Raises
    ------
    ValueError
        Naming the first field whose value the annotation does not allow.
    """
    for name, annotation in get_type_hints(type(switches)).items():
        value = getattr(switches, name)
        if not _allows(annotation, value):
            raise ValueError(f"{name}: {value!r} is not {_told(annotation)}")


def _allows(annotation: Any, value: object) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return value in get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(_allows(option, value) for option in get_args(annotation))
    if isinstance(value, bool):
        return annotation is bool
    if annotation is float:
        return isinstance(value, (int, float))
    return isinstance(value, origin or annotation)


def _told(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(option) for option in get_args(annotation))
    return getattr(annotation, "__name__", None) or str(annotation)


def from_json(cls: type[T], data: object) -> T:
    """Make a dataclass of switches from a JSON object.

    Raises
    ------
    ValueError
        If it is no object, a key is unknown, or a value is not one that the switch has.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{cls.__name__} must be a JSON object")  # noqa: TRY004 - what a client sent
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - known)
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    try:
        return cls(**data)
    except TypeError as error:  # a field without default is missing
        raise ValueError(str(error)) from error


def to_json(switches: Any) -> dict[str, Any]:
    """Give a dataclass of switches as a JSON object."""
    return asdict(switches)


def assignment(cls: type, text: str) -> tuple[str, Any]:
    """Read `NAME=VALUE` of a command line; VALUE is JSON, or plain text for a switch that takes text.

    Raises
    ------
    ValueError
        If there is no such switch or no `=`.
    """
    name, separator, value = text.partition("=")
    hints = get_type_hints(cls)
    if not separator or name not in hints:
        raise ValueError(f"{text!r} is not NAME=VALUE with NAME one of {', '.join(hints)}")
    if _allows(hints[name], value) and value != "null":
        return name, value
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{name}: {value!r} is not {_told(hints[name])}") from error
