"""Where a screen's model comes from, and how one state of those files is told from another."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cds_hooks.settings import Settings
from screening.errors import ModelError
from screening.model.bundle import ModelBundle
from screening.model.files import load_file
from screening.model.layout import MANIFEST, MODEL, POINTER, read_pointer
from screening.model.registry import champion

FileState: TypeAlias = "tuple[int, int, int, int] | None"
"""What changes whenever a file does; None for one that is not there."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells one state of the files from another.

    Attributes
    ----------
    pointer
        The content of champion.json, for it is small and replaced within one tick of a file system's clock, as the same
        inode even; None where there is none, or a single file takes its place.
    manifest, model
        Of the version that the pointer names.
    """

    pointer: bytes | None
    manifest: FileState
    model: FileState


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The champion of a model in the registry, or the one file that CDS_MODEL_FILE names.

    Attributes
    ----------
    name
        The model's in the registry.
    """

    settings: Settings
    name: str

    def load(self) -> ModelBundle:
        """Load and verify the model.

        Raises
        ------
        ModelError
            It is not there, or cannot be trusted.
        """
        settings = self.settings
        if settings.model_file is None:
            return champion(settings.models, self.name)
        return load_file(
            settings.model_file, models_dir=settings.models, allow_unverified=settings.allow_unverified_model
        )

    def missing(self) -> bool:
        """Tell whether there is no model yet, which is another thing than one that cannot be trusted."""
        if self.settings.model_file is not None:
            return not self.settings.model_file.exists()
        if not (self._home / POINTER).exists():
            return True
        version = self._version()
        return version is not None and not (version / MODEL).exists()

    def mark(self) -> Mark:
        """Look at the files. A mark that was taken before a load and is equal after it tells that nothing changed since."""
        if self.settings.model_file is not None:
            path = Path(os.path.realpath(self.settings.model_file))
            return Mark(None, _state(path.parent / MANIFEST), _state(path))
        pointer = _content(self._home / POINTER)
        version = self._version()
        if version is None:
            return Mark(pointer, None, None)
        return Mark(pointer, _state(version / MANIFEST), _state(version / MODEL))

    @property
    def _home(self) -> Path:
        return self.settings.models / self.name

    def _version(self) -> Path | None:
        """Return the folder of the champion; None where the pointer names none."""
        try:
            version, _ = read_pointer(self.settings.models, self.name)
        except ModelError:
            return None
        return self._home / version


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _state(path: Path) -> FileState:
    try:
        found = path.stat()
    except OSError:
        return None
    # The time of change besides: that of modification is set back by whoever restores a file with its times.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
