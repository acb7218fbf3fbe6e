"""What the registry holds, looked at without unpickling anything: a list runs no code of any model."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from screening.errors import ModelError
from screening.model.layout import (
    CARD,
    METRICS,
    MODEL,
    POINTER,
    model_folder,
    read_json,
    read_manifest,
    read_pointer,
    version_folder,
    versions,
)
from screening.model.metadata import is_number


class Figure(NamedTuple):
    """One figure of metrics.json; the bounds of its interval are None where it has none."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        between = f" ({self.low:.3f} to {self.high:.3f})" if self.low is not None and self.high is not None else ""
        return f"{self.value:.3f}{between}"


@dataclass(frozen=True)
class Listed:
    """One version of a model as it lies in the registry.

    Attributes
    ----------
    version
        Its folder's name.
    champion
        Whether champion.json points at it.
    manifest, metrics
        Empty where they cannot be read.
    problems
        What keeps it from being loaded or is missing beside it, a sentence each; () for a version in order.
    """

    version: str
    champion: bool
    manifest: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def listing(models_dir: Path, name: str) -> tuple[list[Listed], str]:
    """Look at every version of a model; nothing is unpickled.

    Returns
    -------
    (versions, problem)
        The versions in their order (1.9 before 1.10), broken ones too; and why there is no champion that can be loaded,
        "" where there is one.

    Raises
    ------
    ModelError
        The registry or the model does not exist.
    """
    model_folder(models_dir, name)
    pointed, sha256, problem = "", "", ""
    try:
        pointed, sha256 = read_pointer(models_dir, name)
    except ModelError as error:
        problem = str(error)
    found = [_listed(models_dir, name, version, pointed) for version in sorted(versions(models_dir, name), key=_order)]
    mine = next((one for one in found if one.champion), None)
    if pointed and mine is None:
        problem = f"{POINTER} names {pointed}, which is not there: promote another version"
    elif mine is not None and mine.manifest and mine.manifest["sha256"] != sha256:
        problem = f"{POINTER} has sha256 {sha256[:12]}…, not that of {pointed}: promote the version anew"
    return found, problem


def figure(metrics: Mapping[str, Any], name: str) -> Figure | None:
    """Return a figure such as `auroc` or `f1` of metrics.json; None where it has none.

    It stands at the top, as a number or as value, low and high; or, where a trainer wrote its whole evaluation, under the
    untouched test part.
    """
    for holder in (metrics, _inside(metrics, "parts", "test")):
        found = holder.get(name)
        told = found if isinstance(found, Mapping) else {"value": found}
        value, low, high = (_number(told.get(key)) for key in Figure._fields)
        if value is not None:
            return Figure(value, low, high)
    return None


def _listed(models_dir: Path, name: str, version: str, pointed: str) -> Listed:
    manifest: Mapping[str, Any] = {}
    metrics: Mapping[str, Any] = {}
    problems = []
    try:
        folder = version_folder(models_dir, name, version)
        manifest = read_manifest(folder, name, version)
        problems += _other_bytes(folder / MODEL, manifest["sha256"])
    except ModelError as error:
        return Listed(version, version == pointed, manifest, metrics, (str(error),))
    try:
        metrics = read_json(folder / METRICS)
    except ModelError as error:
        problems.append(str(error))
    if not (folder / CARD).is_file():
        problems.append(f"{folder / CARD}: no such file")
    return Listed(version, version == pointed, manifest, metrics, tuple(problems))


def _other_bytes(path: Path, sha256: str) -> list[str]:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or type(error).__name__)
        return [f"{path}: the model file cannot be read: {reason}"]
    return [] if found == sha256 else [f"{path}: its sha256 is {found[:12]}…, its manifest says {sha256[:12]}…"]


def _inside(holder: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for key in path:
        found = holder.get(key)
        holder = found if isinstance(found, Mapping) else {}
    return holder


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def _order(version: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers within a version as numbers."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", version)]
