"""The rows of a table's file as typed columns.

An empty cell is null, quoted or not, and no other one is: `NA` is text, or no number. A number that is not finite (`NaN`,
`inf`, one too large for a float) is null. All else that does not fit its column's type is an error.
"""

import io
from collections.abc import Collection, Iterator, Mapping
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from screening.errors import DataFileError
from screening.readers.mimic_files import BLOCK, TableText

_KINDS = {
    pa.int64(): "a whole number",
    pa.float64(): "a number",
    pa.string(): "UTF-8",
    pa.date32(): "a date like 2150-01-31",
    pa.timestamp("us"): "a time like 2150-01-31 23:59:00",
}
_SHORTEST_TIME = len("2150-01-31 23:59")  # pyarrow would take a date alone for midnight
_EACH_ONCE = pa.dictionary(pa.int32(), pa.binary())  # there are few keys: each is typed and looked up once a block
_BLOCKS = 4  # that are sifted at a time
_NUMBER = "row"  # a column of our own: which data row it is


class _Blocks(io.RawIOBase):
    """Text in blocks that do not end between CR and LF: there pyarrow drops the LF, of a quoted cell too."""

    def __init__(self, text: TableText) -> None:
        super().__init__()
        self._text, self._held = text, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            more = self._text.read(size - len(self._held) if size > 0 else size)
            block, self._held = self._held + more, b""
            if not more or not block.endswith(b"\r"):
                return block
            block, self._held = block[:-1], b"\r"
            if block:
                return block


class Cells:
    """Cut a file into cells, keep the wanted rows and type their columns.

    Parameters
    ----------
    file
        Read from its first row to its last.
    types
        Column → type, of the columns that are read.
    key, wanted
        If `wanted` is not empty, only rows whose cell in the column `key` is one of them are kept. A row that is not kept
        must have as many cells as the header and a whole number or nothing as key; its other cells may hold anything.

    Attributes
    ----------
    rows
        How many rows were read so far, kept or not.
    """

    def __init__(self, file: TableText, types: Mapping[str, pa.DataType], key: str, wanted: Collection[int]) -> None:
        self.rows = 0
        self._file, self._types, self._key = file, types, key
        self._wanted = pa.array(sorted(wanted), pa.int64()) if wanted else None

    def kept(self) -> Iterator[pa.Table]:
        """Yield the kept rows of some blocks of the file at a time, all columns still as text.

        Raises
        ------
        DataFileError
            As the file does; and for a row with more or fewer cells than the header, or a key that is no number.
        """
        if self._file.at_end:
            return
        uneven: list[int] = []
        try:
            with self._reader(uneven) as reader:
                for batches in _several(reader):
                    yield self._sifted(pa.Table.from_batches(batches).unify_dictionaries())
        except pa.ArrowInvalid:  # its message quotes the row
            where = uneven[0] if uneven else self.rows + 1
            raise DataFileError(
                f"{self._file.path}, about data row {where}: it has not {len(self._file.header)} cells as the header has, "
                f"or is longer than {BLOCK} bytes, as where a quote is not closed: copy the file anew"
            ) from None

    def typed(self, kept: list[pa.Table]) -> pa.RecordBatch:
        """Return kept rows as one batch.

        Raises
        ------
        DataFileError
            For a cell that is not of its column's type, naming column and row, never the cell.
        """
        table = pa.concat_tables([self._empty(), *kept])
        arrays = [self._column(table, name) for name in self._types]
        return pa.RecordBatch.from_arrays(arrays, names=list(self._types))

    def _empty(self) -> pa.Table:
        return pa.schema([*((name, pa.binary()) for name in self._types), (_NUMBER, pa.int64())]).empty_table()

    def _reader(self, uneven: list[int]) -> csv.CSVStreamingReader:
        def note(row: csv.InvalidRow) -> str:
            uneven.append(row.number)
            return "error"

        # Two columns of one name do no harm unless they are read.
        names = [name if name in self._types else f"{place}" for place, name in enumerate(self._file.header)]
        return csv.open_csv(
            _Blocks(self._file),
            # One thread: it costs less in all, rows stay in order, and pyarrow tells which one is uneven.
            csv.ReadOptions(column_names=names, block_size=BLOCK, use_threads=False),
            csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            # As text: only rows that are kept are typed, so that an unwanted one's oddities stop nothing.
            csv.ConvertOptions(
                include_columns=list(self._types), column_types=self._texts(), check_utf8=False,
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True,
            ),
        )  # fmt: skip

    def _texts(self) -> dict[str, pa.DataType]:
        texts = dict.fromkeys(self._types, pa.binary())
        return texts if self._wanted is None else texts | {self._key: _EACH_ONCE}

    def _sifted(self, table: pa.Table) -> pa.Table:
        numbers = pa.array(np.arange(self.rows + 1, self.rows + 1 + len(table), dtype="int64"))
        self.rows += len(table)
        table = table.append_column(_NUMBER, numbers)
        if self._wanted is None:
            return table
        keys = table.column(self._key).combine_chunks()
        try:
            wanted = pc.is_in(_cast(keys.dictionary, pa.int64()), self._wanted)
        except pa.ArrowInvalid:
            self._column(self._decoded(table), self._key)  # names the row
            raise
        return self._decoded(table.filter(wanted.take(keys.indices)))

    def _decoded(self, table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(self._key)
        return table.set_column(place, self._key, table.column(place).cast(pa.binary()))

    def _column(self, table: pa.Table, name: str) -> pa.Array:
        kind, cells = self._types[name], table.column(name).combine_chunks()
        try:
            return _cast(cells, kind)
        except pa.ArrowInvalid:  # its message quotes the cell
            where = table.column(_NUMBER)[_first_bad(cells, kind)]
        raise DataFileError(f"{self._file.path}, data row {where}, column {name}: the cell is not {_KINDS[kind]}")


def _several(reader: csv.CSVStreamingReader) -> Iterator[list[pa.RecordBatch]]:
    """Yield blocks a few together: each call on them has a fixed cost, and a larger block is read ahead many times over."""
    while batches := list(islice(reader, _BLOCKS)):
        yield batches


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    column = cells.cast(pa.string()).cast(kind)
    if kind == pa.timestamp("us") and (pc.min(pc.binary_length(cells)).as_py() or _SHORTEST_TIME) < _SHORTEST_TIME:
        raise pa.ArrowInvalid("a date without time")
    return pc.if_else(pc.is_finite(column), column, None) if kind == pa.float64() else column


def _first_bad(cells: pa.Array, kind: pa.DataType) -> int:
    """Return the place of the first cell that cannot be typed, by halving."""
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _cast(cells[low:middle], kind)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low
