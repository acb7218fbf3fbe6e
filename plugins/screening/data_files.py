"""FHIR content in files: a Bundle, a prefetch object or a resource as .json, resources as .ndjson, either also as .gz."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from screening.errors import DataFileError

SUFFIXES = (".json", ".ndjson", ".json.gz", ".ndjson.gz")


def contents(paths: list[Path]) -> Iterator[Any]:
    """Yield the FHIR content of files, and of all such files in folders.

    Raises
    ------
    DataFileError
        For a missing, truncated or unreadable file, and a folder without any; it names the file and the line.
    """
    for path in paths:
        if not path.exists():
            raise DataFileError(f"{path}: no such file or folder")
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.name.endswith(SUFFIXES))
            if not inside:
                raise DataFileError(f"{path}: the folder holds no {', '.join(SUFFIXES)} file")
            for one in inside:
                yield from _content(one)
        else:
            yield from _content(path)


def _content(path: Path) -> Iterator[Any]:
    if not path.name.endswith(SUFFIXES):
        raise DataFileError(f"{path}: the name must end in {', '.join(SUFFIXES)}")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            if ".ndjson" in path.name:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield _parsed(line, f"{path}, line {number}")
            else:
                yield _parsed(file.read(), str(path))
    except FileNotFoundError:
        raise DataFileError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError(
            f"{path}: cannot be read to its end ({type(error).__name__}); where it is truncated or no gzip, export or "
            "copy it anew"
        ) from None


def _parsed(text: bytes, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # its message quotes the content, which may be a patient's
        raise DataFileError(f"{where}: is not JSON, or is cut off: export or copy the file anew") from None
