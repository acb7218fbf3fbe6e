"""The file of a table: plain or gzip, read once, hashed on the way, and never silently in part."""

import csv
import hashlib
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
from isal import igzip
from isal.isal_zlib import IsalError

from screening.errors import DataFileError

BLOCK = 1024 * 1024
"""Bytes of text at a time; also the longest row that can be read."""

_QUOTE = ord('"')


class TableText(Protocol):
    """A table's rows as CSV text, wherever they come from; a stream to read from."""

    @property
    def path(self) -> Path | str:
        """What messages call it."""

    @property
    def header(self) -> list[str]:
        """The names of the columns."""

    @property
    def at_end(self) -> bool:
        """Whether there is no row, before the first text is read."""

    @property
    def share(self) -> float:
        """How much was read, 0 to 1."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next text, at most `size` bytes of it, b"" behind the last one."""


class _Hashed(io.RawIOBase):
    """A file whose bytes are counted and hashed as they are read."""

    def __init__(self, file: io.FileIO) -> None:
        self._file, self.count, self.sha256 = file, 0, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self.sha256.update(memoryview(buffer)[:count])
        self.count += count
        return count


class TableFile(io.RawIOBase):
    """A table's file, opened; as a stream it gives the text below the header.

    Parameters
    ----------
    path
        A CSV file in UTF-8, with or without a BOM, its first line the header; one whose name ends in `.gz` is unzipped.

    Attributes
    ----------
    path
        As given.
    header
        The names of the columns.

    Raises
    ------
    DataFileError
        While it is opened or read: it is missing, empty, cut off, damaged or no gzip; its header is not UTF-8; a quote in
        it is never closed. Two cuts cannot be seen: of a plain file right behind a row, of a gzip file right between two
        of its members.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with ExitStack() as stack, self._unbroken():
            self._size = path.stat().st_size
            self._raw = _Hashed(stack.enter_context(path.open("rb", buffering=0)))
            self._zipped = path.suffix == ".gz"
            source: Any = igzip.open(self._raw) if self._zipped else self._raw  # type: ignore[no-untyped-call]
            self._source: BinaryIO = stack.enter_context(source)
            self._last, self._quotes = b"", 0
            self._ahead = self._next(BLOCK).removeprefix(b"\xef\xbb\xbf")
            self.header = self._header()
            self._opened = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._opened.close()
        super().close()

    def readable(self) -> bool:
        """Tell that this is a stream to read from."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next text, at most `size` bytes of it, b"" behind the last one."""
        size = BLOCK if size < 0 else size
        if self._ahead:
            text, self._ahead = self._ahead[:size], self._ahead[size:]
            return text
        with self._unbroken():
            return self._next(size)

    @property
    def at_end(self) -> bool:
        """Tell whether the file has a header only, before the first text is read."""
        return not self._ahead

    @property
    def share(self) -> float:
        """How much of the file's bytes was read, 0 to 1."""
        return self._raw.count / max(self._size, 1)

    @property
    def sha256(self) -> str:
        """The digest of the bytes that were read, as they lie on disk: of the file, once it was read to its end."""
        return self._raw.sha256.hexdigest()

    def _next(self, size: int) -> bytes:
        text = self._source.read(size)
        self._quotes += int(np.count_nonzero(np.frombuffer(text, "u1") == _QUOTE))  # bytes.count costs thrice that
        if text:
            self._last = text[-1:]
        elif self._quotes % 2:
            raise DataFileError(f"{self.path}: a quote is opened and not closed: copy the file anew")
        # A gzip file tells itself that it is whole; a plain one that lacks its end looks just like that.
        elif self._last not in (b"\n", b"") and not self._zipped:
            raise DataFileError(
                f"{self.path}: the last row has no line end, as in a file that is cut off: copy the file anew, or give the "
                "row its line end if the file is whole"
            )
        return text

    def _header(self) -> list[str]:
        """Take the first line off the text."""
        if not self._ahead:
            raise DataFileError(f"{self.path}: the file is empty: copy it anew")
        line, _, self._ahead = self._ahead.partition(b"\n")
        while not (rows := self._ahead.lstrip(b"\r\n")) and (more := self._next(BLOCK)):
            self._ahead = more
        self._ahead = rows
        try:
            (names,) = csv.reader([line.decode().rstrip("\r")], strict=True)
        except (ValueError, csv.Error):
            raise DataFileError(
                f"{self.path}: its first line is no CSV header in UTF-8 (the name of a compressed file ends in .gz)"
            ) from None
        return names

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, IsalError) as error:  # type: ignore[misc]  # its stub says instance, not class
            why = error.strerror if isinstance(error, OSError) and error.strerror else "cut off, damaged or no gzip"
            raise DataFileError(
                f"{self.path}: cannot be read to its end ({why}): copy it anew and check it with PhysioNet's SHA256SUMS.txt"
            ) from None
