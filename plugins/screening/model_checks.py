"""Would this model file drop in? Every check of the load contract by itself, so that all that is wrong is told at once.

Each question is put to the code that loads and asks models, with the rest of the file out of the way; nothing is judged by
rules of its own here. The last word has the loader itself, which does all of it in one go.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from screening.errors import ModelError
from screening.model.artifact import read_artifact
from screening.model.files import vouched
from screening.model.layout import read_manifest
from screening.model.registry import load_version
from screening.model_questions import Answer, Questions, Verdict
from screening.schema import Schema


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, the verdict, and the reason in words."""

    name: str
    verdict: Verdict
    words: str


def check_file(path: Path, schema: Schema, models_dir: Path, *, allow_unverified: bool = False) -> list[Check]:
    """Check a model file as loading it for a screen would, and tell every answer.

    Returns
    -------
    list of Check
        In the order of loading. The file drops in where none is `refused`.

    Raises
    ------
    ModelError
        There is no such file, or it is not a published one and `allow_unverified` is off: it was not looked at.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    published = vouched(path, models_dir, allow_unverified=allow_unverified)
    manifest: Mapping[str, Any] = {}
    try:
        if published is not None:
            manifest = read_manifest(path.resolve().parent, *published)
        artifact = read_artifact(path, manifest.get("sha256"))
    except ModelError as error:
        return [Check("file", Verdict.REFUSED, str(error))]
    if published is not None:
        first = Check("file", Verdict.OK, f"published as {' '.join(published)}, with the sha256 of its manifest")
    else:
        first = Check("file", Verdict.NOTE, "no manifest vouches for it; loading it has run whatever code it holds")
    told = [Check("file", Verdict.NOTE, sentence) for sentence in artifact.warnings]
    found = [first, *told, *check_content(artifact.content, schema, manifest)]
    if published is not None and not refused(found):
        found.append(_answered("registry", lambda: f"{load_version(models_dir, *published)} loads from the registry"))
    return found


def refused(checks: Sequence[Check]) -> bool:
    """Tell whether anything was refused."""
    return any(check.verdict is Verdict.REFUSED for check in checks)


def check_content(content: Any, schema: Schema, manifest: Mapping[str, Any] | None = None) -> list[Check]:
    """Check what a model file held; see `check_file`.

    Parameters
    ----------
    manifest
        What was published beside the file, if it was.
    """
    questions = Questions(content, schema, manifest or {})
    found: dict[str, Check] = {}
    for name, needs, question in questions.all():
        lacking = [need for need in needs if found[need].verdict in (Verdict.REFUSED, Verdict.NOT_ASKED)]
        if lacking:
            found[name] = Check(name, Verdict.NOT_ASKED, f"needs {lacking[0]}")
        else:
            found[name] = _answered(name, question)
    if not refused(list(found.values())):
        found["load"] = _answered("load", questions.load)
    return list(found.values())


def _answered(name: str, question: Callable[[], Answer]) -> Check:
    try:
        answer = question()
    except ModelError as error:
        return Check(name, Verdict.REFUSED, str(error))
    return Check(name, Verdict.OK, answer) if isinstance(answer, str) else Check(name, *answer)
