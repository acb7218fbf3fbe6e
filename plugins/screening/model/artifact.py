"""The model file: hashed first, unpickled second, and never the other way round, for a pickle runs code.

The bytes that were hashed are the bytes that are unpickled: the file is read once.
"""

import hashlib
import hmac
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from screening.errors import ModelError

SHOWN = 12
"""Digits of a sha256 that a message shows."""


@dataclass(frozen=True)
class Artifact:
    """What a model file held.

    Attributes
    ----------
    content
        Whatever was pickled.
    sha256
        Of the file, 64 hexadecimal digits.
    warnings
        One sentence for each kind of warning that unpickling gave.
    """

    content: Any
    sha256: str
    warnings: tuple[str, ...]


def read_artifact(path: Path, expected_sha256: str | None) -> Artifact:
    """Read, verify and unpickle a model file.

    Parameters
    ----------
    path
        A joblib or pickle file, compressed or not.
    expected_sha256
        What the file's sha256 must be; None trusts the file unseen, which is for the caller to decide.

    Raises
    ------
    ModelError
        The file cannot be read, has another sha256 (nothing is unpickled then) or cannot be unpickled here.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or type(error).__name__)
        raise ModelError(f"{path}: the model file cannot be read: {reason}") from None
    found = hashlib.sha256(raw).hexdigest()
    if expected_sha256 is not None and not hmac.compare_digest(found, expected_sha256.lower()):
        raise ModelError(
            f"{path}: its sha256 is {found[:SHOWN]}…, expected {expected_sha256[:SHOWN].lower()}…: the file is not the one "
            "that was published, and was not loaded. Restore it, or publish it as a version of its own"
        )
    content, caught = _unpickled(raw, path)
    return Artifact(content, found, _sentences(caught))


def _unpickled(raw: bytes, path: Path) -> tuple[Any, list[warnings.WarningMessage]]:
    import joblib

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            return joblib.load(io.BytesIO(raw)), caught
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{path}: the model needs the Python module {error.name!r}, which is not installed here: install what it was "
            "pickled with, or pickle it without"
        ) from error
    except (AttributeError, ImportError) as error:
        raise ModelError(
            f"{path}: the model was pickled with other versions of its libraries, or with a class of its own: {error}"
        ) from error
    except Exception as error:
        # Unpickling runs whatever the file holds, so that anything can be raised.
        raise ModelError(
            f"{path}: cannot be unpickled ({type(error).__name__}: {str(error)[:200]}): the file is damaged, is no joblib "
            "file, or was pickled with incompatible versions of its libraries"
        ) from error


def _sentences(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return one sentence for scikit-learn's version warnings, however many trees gave one, and one for each other."""
    found: dict[str, None] = {}
    parts: dict[tuple[str, str], int] = {}
    for item in caught:
        old, new = (getattr(item.message, f"{which}_sklearn_version", None) for which in ("original", "current"))
        if old is not None and new is not None:
            parts[(old, new)] = parts.get((old, new), 0) + 1
        else:
            text = " ".join(str(item.message).split())
            found[f"{item.category.__name__} while unpickling: {text[:300]}"] = None
    versions = [
        f"pickled with scikit-learn {old}, runs on {new} ({count} parts): compare known answers, or fit it anew"
        for (old, new), count in parts.items()
    ]
    return (*versions, *found)
