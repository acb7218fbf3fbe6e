"""The tables of MIMIC-IV as a stream of typed batches: the contract, and a folder as PhysioNet ships it.

`mimic_postgres` has the other way to them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from screening.errors import DataFileError
from screening.readers.mimic_cells import Cells
from screening.readers.mimic_files import TableFile, TableText

Progress = Callable[[str, int, float], None]

TABLES: Mapping[str, str] = {
    "patients": "hosp", "admissions": "hosp", "diagnoses_icd": "hosp", "labevents": "hosp", "transfers": "hosp",
    "icustays": "icu", "chartevents": "icu",
}  # fmt: skip
"""Table → module: the folder, and in mimic-code's PostgreSQL the schema `mimiciv_<module>`."""

_TYPES: Mapping[pa.DataType, Sequence[str]] = {
    pa.int64(): ("subject_id", "hadm_id", "stay_id", "transfer_id", "labevent_id", "itemid", "anchor_age", "anchor_year",
                 "seq_num", "icd_version"),
    pa.timestamp("us"): ("charttime", "storetime", "intime", "outtime", "admittime", "dischtime", "deathtime"),
    pa.date32(): ("dod",),
    pa.float64(): ("valuenum",),
    pa.string(): ("gender", "anchor_year_group", "icd_code", "value", "valueuom", "comments", "eventtype", "careunit"),
}  # fmt: skip
COLUMN_TYPES: Mapping[str, pa.DataType] = {name: kind for kind, names in _TYPES.items() for name in names}
"""Column → type. Times are the hospital's wall clock, without a zone; `icd_code` is text, for its leading zeros."""

INVENTED = "invented"
"""What `anchor_year_group` says of a patient who never lived, in place of MIMIC's three years, such as 2008 - 2010."""
KEY = "itemid"
"""The column by which rows are chosen."""
_ROWS_A_BATCH = 50_000
_ROWS_BETWEEN_REPORTS = 1_000_000  # a few seconds each
_DEEP = 3  # how many folders below the given one a hint may lie: physionet.org/files/mimiciv/3.1


class MimicTables(Protocol):
    """MIMIC-IV, wherever it lies."""

    def check(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Make sure that tables and their columns are there.

        Raises
        ------
        DataFileError
            Naming all that is missing and where it was looked for.
        """

    def batches(self, table: str, columns: Sequence[str], *, itemids: Collection[int] = ()) -> Iterator[pa.RecordBatch]:
        """Stream a table's columns in batches of bounded size; the order of rows means nothing.

        There is at least one batch, though maybe without a row. An empty cell is null, of text too, and so is a number
        that is not finite.

        Parameters
        ----------
        table, columns
            Out of `TABLES` and `COLUMN_TYPES`.
        itemids
            If given, only rows that have one of them.

        Raises
        ------
        DataFileError
            When something cannot be read. It may come last: what was yielded before is then no result.
        """

    def fingerprint(self) -> dict[str, dict[str, Any]]:
        """Return table → what tells its content, for every table that was streamed to its end.

        `rows` counts what was read, of a database only the wanted items. A file has its `sha256`, a database a `digest`.
        """


class CsvTables:
    """A folder with `hosp` and `icu` in it, and in these each table as `.csv` or `.csv.gz`.

    Parameters
    ----------
    folder
        Where PhysioNet's files lie, of MIMIC-IV or of its demo.
    progress
        Called every million rows with a table, how many rows of it were read, and which share of its bytes, 0 to 1.
    """

    def __init__(self, folder: Path, progress: Progress | None = None) -> None:
        self._folder, self._progress = folder, progress
        self._streamed: dict[str, dict[str, Any]] = {}

    def check(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Make sure that tables and columns are there; see `MimicTables`."""
        problems = []
        for table, columns in wanted.items():
            try:
                with TableFile(self._path(table)) as file:
                    _refuse_missing(file, columns)
            except DataFileError as error:
                problems.append(str(error))
        if problems:
            lines = "".join(f"\n  - {problem}" for problem in problems)
            raise DataFileError(f"{self._folder}: MIMIC-IV cannot be read from this folder:{lines}\n{self._hint()}")

    def batches(self, table: str, columns: Sequence[str], *, itemids: Collection[int] = ()) -> Iterator[pa.RecordBatch]:
        """Stream a table's columns; see `MimicTables`."""
        path, read = self._path(table), list(dict.fromkeys([*columns, KEY] if itemids else columns))
        with TableFile(path) as file:
            _refuse_missing(file, read)
            cells = Cells(file, {name: COLUMN_TYPES[name] for name in read}, KEY, itemids)
            yield from typed_batches(table, file, cells, columns, self._progress)
            found = {"rows": cells.rows, "sha256": file.sha256}
        if self._streamed.setdefault(table, found) != found:
            raise DataFileError(f"{path}: has changed since it was first read: begin again")

    def fingerprint(self) -> dict[str, dict[str, Any]]:
        """Return table → `rows` and `sha256`, of the file as it lies on disk, for every table streamed to its end."""
        return {table: dict(found) for table, found in self._streamed.items()}

    def _path(self, table: str) -> Path:
        plain = self._folder / TABLES[table] / f"{table}.csv"
        zipped = plain.with_name(f"{table}.csv.gz")
        try:
            found = [path for path in (plain, zipped) if path.is_file()]
        except OSError as error:
            raise DataFileError(f"{plain.parent}: cannot be looked into: {error.strerror}") from None
        if not found:
            raise DataFileError(f"{zipped}: there is no such file, and no {plain.name}")
        if len(found) > 1:
            raise DataFileError(f"{plain} and {zipped.name} are both there: remove the one that does not count")
        return found[0]

    def _hint(self) -> str:
        """Say what is expected, and where it seems to be."""
        modules = list(dict.fromkeys(TABLES.values()))
        expected = f"Expected is the folder that has {' and '.join(modules)} in it"
        if not self._folder.is_dir():
            return f"{expected}; this one does not exist."
        if self._folder.name in modules:
            return f"{expected}: the one above."
        patterns = ("/".join([*"*" * depth, modules[0]]) for depth in range(1, _DEEP + 1))
        likely = sorted(path.parent for pattern in patterns for path in self._folder.glob(pattern) if path.is_dir())
        return f"{expected}: perhaps {likely[0]}." if likely else f"{expected}."


def typed_batches(
    table: str, text: TableText, cells: Cells, columns: Sequence[str], progress: Progress | None
) -> Iterator[pa.RecordBatch]:
    """Yield a table's columns in batches of bounded size, at least one, and tell the progress."""
    for kept in _gathered(_reported(table, text, cells, progress)):
        yield cells.typed(kept).select(list(columns))


def _reported(table: str, text: TableText, cells: Cells, progress: Progress | None) -> Iterator[pa.Table]:
    last = 0
    for kept in cells.kept():
        yield kept
        if progress and cells.rows - last >= _ROWS_BETWEEN_REPORTS:
            last = cells.rows
            progress(table, cells.rows, text.share)


def _refuse_missing(file: TableFile, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in file.header]:
        raise DataFileError(f"{file.path}: the header, its first line, lacks {', '.join(missing)}")
    if twice := [name for name in columns if file.header.count(name) > 1]:
        raise DataFileError(f"{file.path}: the header has {', '.join(twice)} more than once")


def _gathered(pieces: Iterator[pa.Table]) -> Iterator[list[pa.Table]]:
    """Yield pieces together, a batch's worth and at least once: each costs a fixed part further on."""
    held: list[pa.Table] = []
    yielded = False
    for piece in pieces:
        held.append(piece)
        if sum(len(one) for one in held) >= _ROWS_A_BATCH:
            yield held
            held, yielded = [], True
    if held or not yielded:
        yield held
