"""A model by its file: one that a manifest of the registry vouches for, or, on demand alone, any other."""

from pathlib import Path

from screening.errors import ModelError
from screening.model.bundle import ModelBundle, load_bundle
from screening.model.layout import MANIFEST, MODEL
from screening.model.registry import load_version


def load_file(path: Path, *, models_dir: Path, allow_unverified: bool = False) -> ModelBundle:
    """Load a model by its file: a published one as `load_version` does, any other only on demand.

    Parameters
    ----------
    allow_unverified
        True loads a file that no manifest of the registry vouches for. A pickle runs code: only for a file whose maker is
        trusted. A published file is verified either way.

    Raises
    ------
    ModelError
        The file is not a published one and `allow_unverified` is off; or as `load_version` or `load_bundle`.
    """
    published = vouched(path, models_dir, allow_unverified=allow_unverified)
    if published is not None:
        return load_version(models_dir, *published)
    bundle = load_bundle(path, expected_sha256=None)
    return bundle.with_warning(f"{path.name} was loaded unverified: no manifest vouches for it")


def vouched(path: Path, models_dir: Path, *, allow_unverified: bool) -> tuple[str, str] | None:
    """Return name and version of a published model by its file; None for another file that may be loaded all the same.

    Raises
    ------
    ModelError
        The file is not a published one and `allow_unverified` is off.
    """
    published = _published(path, models_dir)
    if published is None and not allow_unverified:
        raise ModelError(
            f"{path}: no manifest in {models_dir} vouches for this file, and loading a pickle runs whatever code it holds. "
            "Publish it, or set allow_unverified if you trust who made it"
        )
    return published


def _published(path: Path, models_dir: Path) -> tuple[str, str] | None:
    """Return name and version of a file that lies where a published model lies, with a manifest beside it."""
    try:
        parts = path.resolve().relative_to(models_dir.resolve()).parts
    except ValueError:
        return None
    if len(parts) != 3 or parts[2] != MODEL or not (path.resolve().parent / MANIFEST).exists():
        return None
    return parts[0], parts[1]
