"""The extraction keeps what lies in the stays' windows, in parts by subject, in whatever order and batches it is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.mimic import CLOCK, PLAN, SCHEMA, Held, Row, chart, stay

from screening.errors import DataFileError
from screening.readers.mimic import VALUES, MimicReader
from screening.training import extract as module
from screening.training.extract import extract, parts_of, read_parts
from screening.training.stays import Stays, all_stays

STAYS = [stay(number) for number in range(1, 8)]
EVENTS = [
    chart(
        feature,
        f"2150-06-0{day} {hour:02d}:30",
        60.0 + hour if feature == "heart_rate" else 2.0 + hour / 10,
        subject=who,
    )
    for who in range(1, 9)
    for day in (1, 2, 3)
    for hour in range(0, 24, 3)
    for feature in ("heart_rate", "lactate")
]
INSIDE = 7 * 2 * 8  # from noon to noon, of seven patients of eight


def cohort(stays: list[Row] = STAYS) -> Stays:
    return all_stays(Held(stays), SCHEMA, PLAN)


def reader(events: list[Row] = EVENTS, size: int = 1000) -> MimicReader:
    return MimicReader(Held([], events, size=size), SCHEMA, CLOCK)


def written(folder: Path, parts: int, **how: Any) -> list[pd.DataFrame]:
    assert extract(reader(**how), cohort(), folder, parts) == INSIDE
    return [values.to_pandas() for values, _ in read_parts(folder, cohort(), parts)]


@pytest.mark.parametrize("parts", [1, 2, 3, 20])
def test_each_patient_s_values_and_stays_are_in_one_part(tmp_path: Path, parts: int) -> None:
    stays = cohort([*STAYS, stay(9, subject=1, intime="2150-06-02 20:00")])
    extract(reader(), stays, tmp_path, parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"values-{i:03d}.parquet" for i in range(parts)]
    seen: list[int] = []
    for values, mine in read_parts(tmp_path, stays, parts):
        assert values.schema == VALUES
        assert set(values.column("subject_id").to_pylist()) == set(mine["subject_id"])
        seen += mine["stay_id"].tolist()
    assert sorted(seen) == [100, 200, 300, 400, 500, 600, 700, 900]


def test_parts_order_and_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E4."""

    def whole(name: str, parts: int, **how: Any) -> pd.DataFrame:
        frame = pd.concat(written(tmp_path / name, parts, **how))
        return frame.sort_values(list(frame.columns), ignore_index=True)

    first = whole("a", 1)
    pd.testing.assert_frame_equal(whole("b", 3, events=EVENTS[::-1]), first)
    monkeypatch.setattr(module, "_BUFFER", 10)
    pd.testing.assert_frame_equal(whole("c", 3, size=7), first)


def test_how_many_parts_there_are() -> None:
    stays = cohort()
    assert [parts_of(stays, size) for size in (1, 3, 7, 8)] == [7, 3, 1, 1]
    assert parts_of(Stays(stays.frame.iloc[:0], [])) == 1


def test_an_extraction_run_again_leaves_only_its_own(tmp_path: Path) -> None:
    first = written(tmp_path, 2)
    again = written(tmp_path, 2)
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_no_value_at_all_is_a_part_without_rows(tmp_path: Path) -> None:
    assert extract(reader([]), cohort(), tmp_path, 2) == 0
    assert [len(values) for values, _ in read_parts(tmp_path, cohort(), 2)] == [0, 0]


# What cannot be written or read


class Full:
    """A folder on a disk that is full."""

    def __truediv__(self, name: str) -> "Full":
        return self

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        pass

    def exists(self) -> bool:
        return True

    def open(self, mode: str) -> IO[Any]:
        return Path("/dev/full").open(mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_in_a_sentence() -> None:
    with pytest.raises(DataFileError) as caught:
        extract(reader(), cohort(), Full(), 2)
    assert str(caught.value) == ("the extracted values cannot be written: No space left on device: free some space")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFileError, match="the extracted values cannot be written: Not a directory"):
        extract(reader(), cohort(), tmp_path / "file" / "below", 2)


def test_a_source_that_breaks_off_breaks_the_extraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = MimicReader.values

    def cut(self: MimicReader, windows: Any) -> Iterator[pa.Table]:
        yield next(whole(self, windows))
        raise DataFileError("chartevents.csv.gz: cut off")

    monkeypatch.setattr(MimicReader, "values", cut)
    with pytest.raises(DataFileError, match="cut off"):
        extract(reader(), cohort(), tmp_path, 2)


def test_a_part_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    written(tmp_path, 3)
    path = tmp_path / "values-001.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataFileError, match=r"values-001.parquet is broken: clear the extraction"):
        list(read_parts(tmp_path, cohort(), 3))
    path.unlink()
    with pytest.raises(DataFileError, match=r"values-001.parquet is missing: the extraction did not finish"):
        list(read_parts(tmp_path, cohort(), 3))


# Memory


def test_what_is_held_is_written_before_more_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUFFER", 50)
    waiting, most = 0, 0
    write = pq.ParquetWriter.write_table
    whole = MimicReader.values

    def counted(self: MimicReader, windows: Any) -> Iterator[pa.Table]:
        nonlocal waiting, most
        for table in whole(self, windows):
            waiting += len(table)
            most = max(most, waiting)
            yield table

    def noted(self: pq.ParquetWriter, table: pa.Table, *how: Any) -> None:
        nonlocal waiting
        waiting -= len(table)
        write(self, table, *how)

    monkeypatch.setattr(MimicReader, "values", counted)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", noted)
    assert extract(reader(size=10), cohort(), tmp_path, 2) == INSIDE
    assert (waiting, most < 70) == (0, True)
