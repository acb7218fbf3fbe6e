"""What is asked of PostgreSQL for a table of MIMIC-IV, and what it sends, as a stream of CSV text."""

import hashlib
import io
import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from screening.readers.mimic_tables import COLUMN_TYPES, KEY

if TYPE_CHECKING:
    from psycopg import Copy, Cursor
    from psycopg.sql import Composed

_MODULUS = 1 << 128


class CopiedText(io.RawIOBase):
    """What a COPY sends, as a stream of CSV text without header.

    Parameters
    ----------
    path, header
        What messages call the table, and the names of its columns.
    copy
        An open COPY TO STDOUT in CSV form.
    expected
        About how many rows will come.

    Attributes
    ----------
    at_end
        Whether there is no row, before the first text is read.
    rows
        How many came so far.
    """

    def __init__(self, path: str, header: list[str], copy: "Copy", expected: int) -> None:
        super().__init__()
        self.path, self.header = path, header
        self.rows, self._digest = 0, 0
        self._copy, self._expected = copy, expected
        self._one_at_a_time = threading.Lock()
        self._ahead = self._row()
        self.at_end = not self._ahead

    def readable(self) -> bool:
        """Tell that this is a stream to read from."""
        return True

    def close(self) -> None:
        """Read no more. pyarrow reads ahead in a thread of its own, which must be out of the COPY before it is ended."""
        with self._one_at_a_time:
            super().close()

    def read(self, size: int = -1) -> bytes:
        """Return the next text, at most `size` bytes of it, b"" behind the last one and once closed."""
        size = io.DEFAULT_BUFFER_SIZE if size < 0 else size
        with self._one_at_a_time:
            rows, held = [self._ahead], len(self._ahead)
            while held < size and not self.closed and (row := self._row()):
                rows.append(row)
                held += len(row)
            text = b"".join(rows)
            self._ahead = text[size:]
        return text[:size]

    @property
    def share(self) -> float:
        """How much of the rows came, 0 to 1, by the estimate."""
        return min(self.rows / max(self._expected, 1), 1.0)

    @property
    def digest(self) -> str:
        """A digest of the rows that does not depend on their order; it tells change, it does not prove anything."""
        return f"{self._digest:032x}"

    def _row(self) -> bytes:
        row = bytes(self._copy.read())  # the protocol has one row a message
        if row:
            self.rows += 1
            own = hashlib.blake2b(row, digest_size=16).digest()
            self._digest = (self._digest + int.from_bytes(own, "big")) % _MODULUS
        return row


def selection(schema: str, table: str, columns: Sequence[str], itemids: Collection[int]) -> "Composed":
    """Return the query for a table's columns; with `itemids` only for rows that have one of them."""
    from psycopg import sql

    # As text a CHAR loses the blanks that pad it.
    cells = [
        sql.SQL("CAST({} AS text)" if COLUMN_TYPES[name] == pa.string() else "{}").format(sql.Identifier(name))
        for name in columns
    ]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(cells), sql.Identifier(schema, table))
    if itemids:
        wanted = sql.SQL(", ").join(map(sql.Literal, sorted(itemids)))
        query += sql.SQL(" WHERE {} IN ({})").format(sql.Identifier(KEY), wanted)
    return query


def copy_of(query: "Composed") -> "Composed":
    """Return the COPY that sends a query's rows as CSV."""
    from psycopg import sql

    return sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)


def estimate(cursor: "Cursor[Any]", query: "Composed") -> int:
    """Return about how many rows a query will give."""
    from psycopg import sql

    (plan,) = cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(query)).fetchone() or (None,)
    return int(plan[0]["Plan"]["Plan Rows"]) if plan else 0
