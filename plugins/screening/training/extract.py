"""The extraction: from MIMIC's event tables to a few small Parquet files, in memory that does not grow with the tables.

The files are parts by subject, so that the features too are computed part by part; a patient's values are all in one.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from screening.errors import DataFileError
from screening.readers.mimic import VALUES, MimicReader
from screening.staging import Folder
from screening.training.stays import Stays

STAYS_A_PART = 4000
_BUFFER = 200_000  # rows that are held before they are written: small enough for memory, large enough for Parquet


def parts_of(stays: Stays, size: int = STAYS_A_PART) -> int:
    """Return into how many parts the values of a cohort are cut."""
    return max(1, -(-len(stays.frame) // size))


def extract(reader: MimicReader, stays: Stays, folder: Folder, parts: int) -> int:
    """Write the values within the stays' windows as `values-000.parquet` and so on; return how many there are.

    Raises
    ------
    DataFileError
        As the tables do; and where the files cannot be written (a full disk): nothing of them is used then.
    """
    try:
        return _extract(reader, stays, folder, parts)
    except OSError as error:
        raise DataFileError(
            f"the extracted values cannot be written: {error.strerror or error}: free some space"
        ) from None


def _extract(reader: MimicReader, stays: Stays, folder: Folder, parts: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    with ExitStack() as stack:  # closes them all, also where the first one fails at it
        files = [stack.enter_context((folder / _name(number)).open("wb")) for number in range(parts)]
        writers = [stack.enter_context(pq.ParquetWriter(file, VALUES)) for file in files]
        for table in _buffered(reader.values(stays.windows())):
            total += len(table)
            part = table.column("subject_id").to_numpy() % parts
            for number, writer in enumerate(writers):
                writer.write_table(table.filter(pa.array(part == number)))
    return total


def read_parts(folder: Folder, stays: Stays, parts: int) -> Iterator[tuple[pa.Table, pd.DataFrame]]:
    """Yield each part's values and stays.

    Raises
    ------
    DataFileError
        Where a part is missing or broken.
    """
    belongs = stays.frame["subject_id"].to_numpy("int64") % parts
    for number in range(parts):
        path = folder / _name(number)
        if not path.exists():
            raise DataFileError(f"{_name(number)} is missing: the extraction did not finish; clear it and run it again")
        try:
            with path.open("rb") as file:
                values = pq.read_table(file)
        except (OSError, pa.ArrowInvalid):
            raise DataFileError(f"{_name(number)} is broken: clear the extraction and run it again") from None
        yield values, stays.frame[belongs == number].reset_index(drop=True)


def _name(number: int) -> str:
    return f"values-{number:03d}.parquet"


def _buffered(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(len(one) for one in held) >= _BUFFER:
            yield pa.concat_tables(held).combine_chunks()
            held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()
