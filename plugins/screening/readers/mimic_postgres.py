"""The tables of MIMIC-IV in a PostgreSQL database, as mimic-code builds it.

The rows come as CSV text (`COPY … TO STDOUT`) and are typed by the code that types a file's, so that the rules are the same.
It is also the cheapest way: per row about two thirds of the CPU of binary COPY or a binary cursor, a third of a text cursor.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from screening.errors import DataFileError, FatalError, ScreeningError, TemporaryError
from screening.readers.mimic_cells import Cells
from screening.readers.mimic_copy import CopiedText, copy_of, estimate, selection
from screening.readers.mimic_tables import COLUMN_TYPES, KEY, TABLES, Progress, typed_batches

if TYPE_CHECKING:
    import psycopg
    from psycopg import Cursor

_SETTINGS = {
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "1",  # all digits of a float
    "row_security": "off",  # a policy that hides rows is an error, and not a smaller cohort
}
_KEEPALIVE = {
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}  # a dead network is noticed
_ZONED = "timestamp with time zone"

_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, NULL), has_schema_privilege(n.oid, 'USAGE'),
       has_column_privilege(c.oid, a.attnum, 'SELECT')
FROM pg_namespace n
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = ANY(%s)
"""
_ELSEWHERE = """
SELECT DISTINCT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE c.relname = ANY(%s) ORDER BY 1
"""

# While it connects, libpq tells no SQLSTATE. What does not look like one of these may pass: the server is not up yet.
_REFUSALS = {
    "authentication failed": "the server refuses the user or the password: correct the connection",
    "no password supplied": "the server wants a password: give the connection one",
    "does not exist": "the server has no such database or user: correct the connection",
    "no pg_hba.conf entry": "the server lets this user not in from here: have its pg_hba.conf changed",
}
_STATES = {
    "57014": "the server stopped the query: raise statement_timeout for this user",
    "42501": "this user may not read all rows of it: GRANT SELECT on it, and leave row-level security off for this user",
    "42P01": "there is no such table: check the tables first",
    "42703": "a column is missing: check the tables first",
}
_PASSING = ("08", "40", "53", "55", "57", "58")  # classes of SQLSTATE: the server's trouble, not the query's


class PostgresTables:
    """A database with mimic-code's schemas `mimiciv_hosp` and `mimiciv_icu`.

    All is read in one transaction that only reads and sees one moment (REPEATABLE READ), from the first use to `close`.
    A lost connection is not replaced: what follows would be of another moment.

    Parameters
    ----------
    dsn
        libpq's connection string or URI. No message tells it.
    progress
        Called every million rows with a table, how many rows of it were read, and which share of them, 0 to 1, by the
        server's estimate.
    name
        What messages call the database, such as the id of the connection.
    """

    def __init__(self, dsn: str, progress: Progress | None = None, *, name: str = "PostgreSQL") -> None:
        self._dsn, self._progress, self._name = dsn, progress, name
        self._connection: psycopg.Connection | None = None
        self._read = ""
        self._streamed: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the transaction and the connection."""
        if self._connection is not None:
            self._connection.close()

    def check(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Make sure that tables and columns are there and may be read; see `MimicTables`."""
        schemas = sorted({_schema(table) for table in wanted})
        with self._told(self._name), self._cursor() as cursor:
            found = cursor.execute(_COLUMNS, [schemas]).fetchall()
            elsewhere = [name for (name,) in cursor.execute(_ELSEWHERE, [list(wanted)]).fetchall()]
        usable = {schema: usage for schema, *_, usage, _ in found}
        problems = [_lacking(schema, usable.get(schema)) for schema in schemas if not usable.get(schema)]
        for table, columns in wanted.items():
            if usable.get(_schema(table)):
                own = {row[2]: (row[3], row[5]) for row in found if row[:2] == (_schema(table), table)}
                problems += _amiss(f"{_schema(table)}.{table}", columns, own)
        if problems:
            lines = "".join(f"\n  - {problem}" for problem in problems)
            hint = (
                "Expected is a database that mimic-code (mimic-iv/buildmimic/postgres) built from MIMIC-IV 2.0 or later"
            )
            if other := [name for name in elsewhere if name not in schemas]:
                hint += f"; tables of these names lie in {', '.join(other)}"
            raise DataFileError(f"{self._name}: MIMIC-IV cannot be read from this database:{lines}\n{hint}.")

    def batches(self, table: str, columns: Sequence[str], *, itemids: Collection[int] = ()) -> Iterator[pa.RecordBatch]:
        """Stream a table's columns; see `MimicTables`. One table at a time."""
        where = f"{self._name}, {_schema(table)}.{table}"
        # Never one column alone: its null would be an empty line, which is no row.
        read = list(dict.fromkeys([*columns, "subject_id"] if len(set(columns)) == 1 else columns))
        query = selection(_schema(table), table, read, itemids)
        # A savepoint: a stream that is left in the middle must not end the transaction.
        with self._told(where), self._alone(table), self._open().transaction(), self._cursor() as cursor:
            expected = estimate(cursor, query)
            with cursor.copy(copy_of(query)) as copy, CopiedText(where, read, copy, expected) as text:
                cells = Cells(text, {name: COLUMN_TYPES[name] for name in read}, KEY, ())
                yield from typed_batches(table, text, cells, columns, self._progress)
            if not cells.rows == text.rows == cursor.rowcount:
                raise DataFileError(f"{where}: of {cursor.rowcount} rows {cells.rows} were read: run it again")
        self._streamed.setdefault(table, {"rows": cells.rows, "digest": text.digest})

    def fingerprint(self) -> dict[str, dict[str, Any]]:
        """Return table → `rows` and `digest` of what was read of it; of an event table only the wanted items were."""
        return {table: dict(found) for table, found in self._streamed.items()}

    def _open(self) -> "psycopg.Connection":
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        if self._connection is None:
            try:
                told = conninfo_to_dict(self._dsn)
                connection = psycopg.connect(**(_KEEPALIVE | told))  # type: ignore[arg-type]
            except psycopg.ProgrammingError:  # its message quotes the text
                raise FatalError(f"{self._name}: the connection string is none that PostgreSQL knows") from None
            except psycopg.Error as error:
                raise self._unreached(str(error)) from None
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            for name, value in _SETTINGS.items():
                connection.execute("SELECT set_config(%s, %s, true)", [name, value])
            self._connection = connection
        return self._connection

    def _unreached(self, message: str) -> ScreeningError:
        for words, why in _REFUSALS.items():
            if words in message:
                return DataFileError(f"{self._name}: {why}")
        return TemporaryError(
            f"{self._name}: no connection: is the server up, are host and port right, has it a connection to spare?"
        )

    def _cursor(self) -> "Cursor[Any]":
        return self._open().cursor()

    @contextmanager
    def _alone(self, table: str) -> Iterator[None]:
        """Refuse a second stream beside an open one: one connection cannot send two."""
        if self._read:
            raise FatalError(f"{self._name}: {table} is asked for while {self._read} is read: read one after the other")
        self._read = table
        try:
            yield
        finally:
            self._read = ""

    @contextmanager
    def _told(self, where: str) -> Iterator[None]:
        """Say in our words what PostgreSQL refuses; its own may quote values, names and the connection."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if self._connection is not None and self._connection.closed:
                problem: ScreeningError = TemporaryError(
                    f"{where}: the connection was lost: nothing of what was read is used; begin again"
                )
            elif state in _STATES:
                problem = DataFileError(f"{where}: {_STATES[state]}")
            else:
                kind = TemporaryError if state[:2] in _PASSING else DataFileError
                problem = kind(f"{where}: cannot be read: look up SQLSTATE {state or 'none'} and the server's log")
            raise problem from None


def _schema(table: str) -> str:
    return f"mimiciv_{TABLES[table]}"


def _lacking(schema: str, usage: bool | None) -> str:
    if usage is None:
        return f"{schema}: there is no such schema"
    return f"{schema}: this user may not look into it: GRANT USAGE ON SCHEMA {schema}"


def _amiss(name: str, columns: Sequence[str], own: Mapping[str, tuple[str, bool]]) -> list[str]:
    """Return what stands in the way of reading a table's columns; `own` is column → type, and whether it may be read."""
    if not own:
        return [f"{name}: there is no such table"]
    problems = []
    if missing := [column for column in columns if column not in own]:
        problems.append(f"{name} lacks {', '.join(missing)}")
    there = [column for column in columns if column in own]
    if closed := [column for column in there if not own[column][1]]:
        problems.append(f"{name}: this user may not read {', '.join(closed)}: GRANT SELECT ON {name}")
    if zoned := [column for column in there if own[column][0] == _ZONED]:
        problems.append(f"{name}: {', '.join(zoned)} should be timestamp without time zone, as mimic-code has it")
    return problems
