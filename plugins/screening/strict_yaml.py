"""YAML without PyYAML's silences: a key that stands twice, or is no text, is an error."""

import copy
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from screening.errors import SchemaError

_Model = TypeVar("_Model", bound=BaseModel)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(m|min|h|d)")
_STEPS = {"m": 1, "min": 1, "h": 60, "d": 1440}
_SHORTEST, _LONGEST = 1.0, 36525 * 1440.0  # minutes; a date so far before the prediction time is always a date


class _StrictLoader(yaml.SafeLoader):
    """PyYAML lets the last of two equal keys win in silence; here that is an error."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is not text: quote it", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return dict(loader.construct_pairs(node, deep=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_text(path: Path) -> str:
    """Read a YAML file's text.

    Raises
    ------
    SchemaError
        There is no such file, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SchemaError(path.name, [f"no such file: {path}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(path.name, [f"cannot be read as UTF-8 text: {type(error).__name__}"]) from None


def read_mapping(text: str, source: str, needs: str) -> Mapping[str, Any]:
    """Read the one mapping that a file holds.

    Parameters
    ----------
    needs
        The keys that it cannot do without, in words for whoever gave an empty file.

    Raises
    ------
    SchemaError
        Where the text is no YAML, no mapping, or has a key twice; with line and column.
    """
    try:
        data = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader that only refuses more
    except ValueError as error:  # such as the date 2026-13-45
        raise SchemaError(source, [f"not readable as YAML: {error}; quote it if it is a text"]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "unreadable"
        raise SchemaError(source, [f"{where}not readable as YAML: {problem}"]) from None
    if not isinstance(data, Mapping):
        raise SchemaError(source, [f"the file is empty or is no mapping; it needs {needs}"])
    return data


def duration(value: object) -> object:
    """Read `24h`, `90m` or `7d` as a timedelta; ValueError for anything else."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{value!r} is no duration: write a number and m, h or d, such as 24h")
    minutes = float(match[1]) * _STEPS[match[2]]
    if not _SHORTEST <= minutes <= _LONGEST:
        raise ValueError(f"{value!r} is not between a minute and 100 years (1m to 36525d)")
    return timedelta(minutes=minutes)


def validated(model: type[_Model], data: Any, source: str, **context: Any) -> _Model:
    """Read a mapping as this model.

    Parameters
    ----------
    context
        What the model's validators find in `info.context`.

    Raises
    ------
    SchemaError
        With every problem found, each with the path of its key.
    """
    problems: dict[str, None] = {}
    while True:
        try:
            read = model.model_validate(data, context=context)
        except ValidationError as error:
            found = error.errors(include_url=False)
        else:
            break
        problems |= dict.fromkeys(sentence(item) for item in found)
        unknown = [item["loc"] for item in found if item["type"] == "extra_forbidden"]
        if not unknown:
            break
        data = _without(data, unknown)  # else pydantic keeps back what the other keys get wrong together
    if problems:
        raise SchemaError(source, list(problems))
    return read


def _without(data: Any, paths: list[tuple[int | str, ...]]) -> Any:
    """Return a copy without the keys at these paths."""
    data = copy.deepcopy(data)
    for path in paths:
        holder = data
        for part in path[:-1]:
            holder = holder[part]
        holder.pop(path[-1], None)  # may be gone: a YAML alias puts one mapping in two places
    return data


def sentence(item: Any) -> str:
    """Say one of pydantic's errors in our words: the key's path, and what to do."""
    path = ".".join(str(part) for part in item["loc"]) or "top level"
    kind, message = item["type"], item["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = "unknown key; remove it or mend its spelling"
    elif kind == "missing":
        message = "is missing"
    elif kind == "string_type":
        message = f"must be text, not {item['input']!r}: quote it"
    return f"{path}: {message}"
