"""Keep requests and answers as files, named like the charts; tokens are in none of them."""

import os
from pathlib import Path
from typing import Any

import orjson

from screening.errors import DataFileError
from screening.hook_client.exchange import Answer
from screening.hook_client.request_bodies import without_token


def save(folder: Path, name: str, request: dict[str, Any], answer: Answer) -> None:
    """Write NAME.request.json and NAME.response.json, in place of older ones; both hold what the chart holds, and only their
    owner may read them.

    No answer leaves no response file; one that is no JSON is written as it came, to NAME.response.txt.

    Raises
    ------
    DataFileError
        Where a file cannot be written.
    """
    stem = name.removesuffix(".json")
    files: dict[str, bytes | None] = {
        f"{stem}.request.json": _pretty(without_token(request)),
        f"{stem}.response.json": None if answer.body is None else _pretty(answer.body),
        f"{stem}.response.txt": answer.text if answer.body is None and answer.text else None,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            if content is None:
                (folder / file).unlink(missing_ok=True)  # an older answer is none to this request
            else:
                _write_for_us_alone(folder / file, content)
    except OSError as error:
        raise DataFileError(f"{folder}: the requests cannot be saved: {error.strerror}") from None


def _write_for_us_alone(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, an older one too: it holds what the chart holds."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)


def _pretty(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
