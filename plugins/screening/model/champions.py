"""Who was champion: what champion.json remembers beside its pointer, so that a rollback knows where to go.

::

    {"version", "sha256", "history": [{"version", "sha256"}, …, {"version", "sha256", "rollback": true}]}

`history` names the champions in the order in which they became it, the present one last. It is only ever added to. The
first champion has none, nor has a file that an older release wrote: the pointer then is all that is known.

A rollback undoes the latest promotion that is not undone yet. After promotions of 1, 2 and 3 a rollback leads to 2, a
second one to 1, and a third has nowhere to go. A promotion after a rollback counts from where the rollback led: 1, 2, 3,
rollback, 4, rollback leads to 2.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from screening.errors import ModelError
from screening.model.layout import POINTER, model_folder, read_json, read_pointer, segment


class Champion(NamedTuple):
    """One entry of the history; `rollback` is True where a rollback made it champion."""

    version: str
    sha256: str
    rollback: bool = False


def history(models_dir: Path, name: str) -> tuple[Champion, ...]:
    """Return all champions of a model that champion.json remembers, the present one last.

    Raises
    ------
    ModelError
        There is no champion; or champion.json is broken, or was changed by hand so that its history does not end with
        the version it points at.
    """
    version, sha256 = read_pointer(models_dir, name)
    path = model_folder(models_dir, name) / POINTER
    told = read_json(path).get("history")
    if told is None:
        return (Champion(version, sha256),)
    found = tuple(_entry(item, path) for item in told) if isinstance(told, list) else ()
    if not found or found[-1][:2] != (version, sha256):
        raise ModelError(
            f"{path}: its history does not end with the champion {version}: it was changed by hand. Promote a version: a "
            "new history begins with it"
        )
    in_force(found, path)
    return found


def in_force(champions: Sequence[Champion], path: Path) -> list[Champion]:
    """Return the promotions that no rollback has undone, the present champion last.

    Raises
    ------
    ModelError
        A rollback in the history does not lead to the champion before.
    """
    found: list[Champion] = []
    for one in champions:
        if not one.rollback:
            found.append(one)
            continue
        if len(found) < 2 or found[-2][:2] != one[:2]:
            raise ModelError(f"{path}: its history has a rollback to {one.version}, which was not the champion before")
        found.pop()
    return found


def with_promotion(champions: Sequence[Champion], version: str, sha256: str) -> tuple[Champion, ...]:
    """Return the history with one promotion more; none where the version is champion already.

    A version never changes: where the present champion has its name and another sha256, the old entry cannot be loaded
    and gives way.
    """
    if champions and champions[-1].version == version:
        if champions[-1].sha256 == sha256:
            return tuple(champions)
        champions = champions[:-1]
    return (*champions, Champion(version, sha256))


def pointer(champions: Sequence[Champion]) -> Mapping[str, Any]:
    """Return the content of champion.json; a lone champion needs no history."""
    last = champions[-1]
    content: dict[str, Any] = {"version": last.version, "sha256": last.sha256}
    if len(champions) > 1:
        content["history"] = [
            {"version": one.version, "sha256": one.sha256, **({"rollback": True} if one.rollback else {})}
            for one in champions
        ]
    return content


def _entry(item: Any, path: Path) -> Champion:
    fields = item if isinstance(item, Mapping) else {}
    version, sha256, rollback = fields.get("version"), fields.get("sha256"), fields.get("rollback", False)
    if not isinstance(sha256, str) or not isinstance(rollback, bool):
        raise ModelError(f"{path}: an entry of its history lacks version and sha256, or has a rollback that is no bool")
    return Champion(segment(version, "version"), sha256, rollback)
