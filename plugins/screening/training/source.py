"""Where a run's MIMIC-IV lies: a folder, a database, or an invented hospital for whoever has no access to MIMIC."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from screening.readers.mimic_tables import CsvTables, MimicTables, Progress
from screening.training.staged import Described

PRESENT = datetime(2026, 1, 1, tzinfo=UTC)
"""Of the invented hospital; fixed, so that the same size gives the same files at any time."""
SEED = 11
"""Of the invented hospital, whatever the run's."""


class Source(NamedTuple):
    """Kind of source, and its folder or what its database is called; `note` is what else a reader of the card must know."""

    kind: Literal["folder", "postgres", "invented"]
    place: str
    note: str = ""

    @property
    def described(self) -> Described:
        """What report, card and manifest say of it; no path of a machine."""
        if self.kind == "postgres":
            return Described(f"MIMIC-IV in PostgreSQL ({self.place})", False)
        if self.kind == "folder":
            return Described(f"MIMIC-IV, folder {Path(self.place).name}", False)
        return Described(f"synthetic hospital, {self.note}", True)


def invented(folder: Path, patients: int) -> Source:
    """Write an invented hospital's tables into `folder`/hosp and `folder`/icu; the same size gives the same bytes.

    Raises
    ------
    DataFileError
        When the files cannot be written.
    """
    from screening.synthetic import Hospital
    from screening.synthetic.mimic_csv import write_mimic_csv

    write_mimic_csv(Hospital(size=patients, seed=SEED, now=PRESENT), folder)
    return Source("invented", str(folder), f"{patients} patients, seed {SEED}")


@contextmanager
def tables(source: Source, progress: Progress, dsn: Callable[[str], str]) -> Iterator[MimicTables]:
    """Open a source.

    Parameters
    ----------
    dsn
        Gives libpq's connection string of a database by what it is called.
    """
    if source.kind != "postgres":
        yield CsvTables(Path(source.place), progress)
        return
    from screening.readers.mimic_postgres import PostgresTables

    with PostgresTables(dsn(source.place), progress, name=source.place) as opened:
        yield opened
