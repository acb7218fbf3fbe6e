"""Where the registry keeps what, and how its JSON is read: MODELS_DIR/NAME/VERSION/{model.pkl, manifest.json, …}.

A name or version is a path segment of its own and nothing else; what a link leads outside the registry is refused.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from screening.errors import ModelError

MODEL, MANIFEST, METRICS, CARD = "model.pkl", "manifest.json", "metrics.json", "model_card.md"
CARD_JSON = "model_card.json"
"""The same card for machines; a version may lie there without it."""
POINTER = "champion.json"
MANIFEST_KEYS = (
    "name", "version", "sha256", "created", "synthetic", "feature_names", "training_data", "versions",
)  # fmt: skip
"""Keys that every manifest has; a trainer may add others."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def segment(text: Any, what: str) -> str:
    """Return a name or version that is fit to be a folder.

    Raises
    ------
    ModelError
        It is no text of letters, digits and `. _ + -` that begins with a letter or digit, or is the pointer's own name.
    """
    if not isinstance(text, str) or not _SEGMENT.fullmatch(text) or text == POINTER:
        raise ModelError(
            f"{text!r} is no {what} of a model: needed are up to 100 letters, digits and . _ + -, a letter or digit first"
        )
    return text


def model_folder(models_dir: Path, name: str) -> Path:
    """Return the folder of a model's versions.

    Raises
    ------
    ModelError
        The registry, or the model in it, does not exist; or the name is not fit.
    """
    segment(name, "name")
    if not models_dir.is_dir():
        raise ModelError(f"{models_dir}: no such folder: it should hold the models, one folder each")
    folder = models_dir / name
    if not folder.is_dir():
        known = sorted(
            entry.name for entry in models_dir.iterdir() if entry.is_dir() and not entry.name.startswith(".")
        )
        raise ModelError(f"{models_dir}: no model {name!r}; there is: {', '.join(known) or 'none'}")
    return _inside(folder, models_dir)


def version_folder(models_dir: Path, name: str, version: str) -> Path:
    """Return the folder of one published version.

    Raises
    ------
    ModelError
        As `model_folder`; or the version does not exist, or is not fit.
    """
    folder = model_folder(models_dir, name) / segment(version, "version")
    if not folder.is_dir():
        known = ", ".join(versions(models_dir, name)) or "none"
        raise ModelError(f"{models_dir}: model {name!r} has no version {version!r}; there is: {known}")
    return _inside(folder, models_dir)


def versions(models_dir: Path, name: str) -> tuple[str, ...]:
    """Return the published versions of a model, sorted as text."""
    folder = model_folder(models_dir, name)
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")))


def read_pointer(models_dir: Path, name: str) -> tuple[str, str]:
    """Return the champion's version and sha256.

    Raises
    ------
    ModelError
        As `model_folder`; or there is no champion.json, or it is broken.
    """
    path = model_folder(models_dir, name) / POINTER
    if not path.exists():
        known = ", ".join(versions(models_dir, name)) or "none"
        raise ModelError(f"{path}: there is no champion of model {name!r}: promote one of its versions ({known})")
    found = read_json(path)
    version, sha256 = found.get("version"), found.get("sha256")
    if not isinstance(version, str) or not _is_sha256(sha256):
        raise ModelError(f"{path}: needs version (text) and sha256 (64 hexadecimal digits)")
    return segment(version, "version"), str(sha256)


def read_manifest(folder: Path, name: str, version: str) -> Mapping[str, Any]:
    """Return the manifest of a version's folder.

    Raises
    ------
    ModelError
        It is missing or broken, lacks a key, or belongs to another model or version.
    """
    path = folder / MANIFEST
    found = read_json(path)
    if lacking := [key for key in MANIFEST_KEYS if key not in found]:
        raise ModelError(f"{path}: lacks {', '.join(lacking)}")
    if (found["name"], found["version"]) != (name, version):
        raise ModelError(
            f"{path}: is the manifest of {found['name']!r} {found['version']!r}, not of {name!r} {version!r}"
        )
    if not _is_sha256(found["sha256"]):
        raise ModelError(f"{path}: sha256 must be 64 hexadecimal digits in lower case")
    if not isinstance(found["synthetic"], bool):
        raise ModelError(f"{path}: synthetic must be true or false")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    ModelError
        The file cannot be read, or holds no JSON object.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    except (ValueError, RecursionError):  # ValueError: JSON and UTF-8 alike
        raise ModelError(f"{path}: is broken: no JSON in UTF-8. Restore it or publish anew") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: is broken: holds no JSON object")
    return found


def as_json(content: Mapping[str, Any], file: str) -> bytes:
    """Return the bytes of a JSON file of ours: equal contents give equal bytes.

    Raises
    ------
    ModelError
        It holds what JSON cannot hold, such as NaN; the file is named.
    """
    try:
        return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ModelError(f"{file}: cannot be written as JSON: {error}") from None


def _is_sha256(found: Any) -> bool:
    return isinstance(found, str) and _SHA256.fullmatch(found) is not None


def _inside(folder: Path, models_dir: Path) -> Path:
    if not folder.resolve().is_relative_to(models_dir.resolve()):
        raise ModelError(f"{folder}: leads outside the registry {models_dir}")
    return folder


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in a sentence what the disk refuses while a version or the pointer is written.

    Raises
    ------
    ModelError
        The disk is full or failed, or the folder may not be written.
    """
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written: {error.strerror or type(error).__name__}. The champion is the one it was; make "
            "room, or let this process write there, and publish again"
        ) from error


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's entries: a rename is lasting only then."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
