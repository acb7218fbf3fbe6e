"""Rollback: the champion before the present one becomes champion again."""

from pathlib import Path

from screening.errors import ModelError
from screening.model.bundle import ModelBundle
from screening.model.champions import Champion, history, in_force
from screening.model.layout import POINTER, versions
from screening.model.registry import load_version, point


def rollback(models_dir: Path, name: str) -> ModelBundle:
    """Make the champion before the present one champion again, after loading it; return it.

    Once more goes back once more: a rollback undoes the latest promotion that is not undone yet, as
    `screening.model.champions` tells. No version is skipped: where the one before cannot be loaded, nothing changes.

    Raises
    ------
    ModelError
        There is no champion, or champion.json remembers none before it; that version is gone, is no longer the model that
        was champion, or as `registry.load_version`. The champion is then the one it was.
    """
    known = history(models_dir, name)
    path = models_dir / name / POINTER
    instead = f"promote a version instead; there is: {', '.join(versions(models_dir, name))}"
    standing = in_force(known, path)
    if len(standing) < 2:
        raise ModelError(
            f"{path}: nothing to roll back to, no champion before {standing[-1].version} is remembered: {instead}"
        )
    before = standing[-2]
    try:
        bundle = load_version(models_dir, name, before.version)
    except ModelError as error:
        raise ModelError(f"cannot roll back to {before.version}: {error}. Mend it, or {instead}") from error
    if bundle.sha256 != before.sha256:
        raise ModelError(
            f"cannot roll back to {before.version}: it was champion with sha256 {before.sha256[:12]}…, and has "
            f"{bundle.sha256[:12]}… now: {instead}"
        )
    point(models_dir, name, (*known, Champion(before.version, before.sha256, rollback=True)))
    return bundle
