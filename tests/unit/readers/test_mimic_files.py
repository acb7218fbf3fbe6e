"""A table's file is read whole and right, or not at all: cut off, damaged, misshapen, or in blocks of any size."""

import csv
import gzip
import hashlib
import io
import random
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from screening.errors import DataFileError
from screening.readers import mimic_cells, mimic_files
from screening.readers.mimic_cells import Cells
from screening.readers.mimic_files import TableFile
from screening.readers.mimic_tables import COLUMN_TYPES

HEAD = "subject_id,itemid,charttime,valuenum,value,comments"
NAMES = HEAD.split(",")
TYPES = {name: COLUMN_TYPES[name] for name in NAMES}
ROW = "1,7,2150-01-01 10:00:00,1.5,1.5,fine"
SECRET = "Jane-Doe-1952"  # what stands in a cell is never told


def cells_of(
    path: Path, *, types: Mapping[str, pa.DataType] = TYPES, wanted: Collection[int] = ()
) -> list[dict[str, object]]:
    with TableFile(path) as file:
        cells = Cells(file, types, "itemid", wanted)
        return cells.typed(list(cells.kept())).to_pylist()


def write(folder: Path, *lines: str, end: str = "\n", name: str = "labevents.csv") -> Path:
    path = folder / name
    content = "".join(f"{line}{end}" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def refusal(path: Path, **how: object) -> str:
    with pytest.raises(DataFileError) as caught:
        cells_of(path, **how)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


# A file that is not whole


@pytest.fixture(scope="module")
def zipped() -> bytes:
    """300 kB that hardly shrink, so that a cut lies behind rows that were read."""
    chance = random.Random(1)
    rows = [f"{i},7,2150-01-01 10:00:00,{chance.random()},x,{chance.randbytes(40).hex()}" for i in range(3000)]
    return gzip.compress(("\n".join([HEAD, *rows]) + "\n").encode())


@pytest.mark.parametrize("kept", [0.0, 0.00005, 0.3, 0.9, 0.9999])
def test_a_gzip_file_that_is_cut_off_is_an_error(tmp_path: Path, zipped: bytes, kept: float) -> None:
    """E6."""
    path = tmp_path / "labevents.csv.gz"
    path.write_bytes(zipped[: int(len(zipped) * kept)])
    assert "copy it anew" in refusal(path)
    path.write_bytes(zipped)
    assert len(cells_of(path)) == 3000


def test_a_gzip_file_that_is_damaged_is_an_error(tmp_path: Path, zipped: bytes) -> None:
    path = tmp_path / "labevents.csv.gz"
    for place in (len(zipped) // 2, len(zipped) - 6):  # within, and in the checksum
        path.write_bytes(zipped[:place] + bytes([zipped[place] ^ 0xFF]) + zipped[place + 1 :])
        assert refusal(path)


def test_members_of_a_gzip_file_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "labevents.csv.gz"
    path.write_bytes(gzip.compress(f"{HEAD}\n{ROW}\n".encode()) + gzip.compress(f"{ROW}\n".encode()))
    assert len(cells_of(path)) == 2


def test_what_is_called_gz_must_be_gzip_and_the_other_way_round(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv.gz", tmp_path / "b.csv"
    plain.write_text(f"{HEAD}\n{ROW}\n")
    packed.write_bytes(gzip.compress(f"{HEAD}\n{ROW}\n".encode()))
    assert "cut off, damaged or no gzip" in refusal(plain)
    assert "the name of a compressed file ends in .gz" in refusal(packed)


def test_a_plain_file_that_is_cut_off_in_a_row_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "labevents.csv"
    path.write_text(f"{HEAD}\n{ROW}\n{ROW}")
    assert "the last row has no line end" in refusal(path)


def test_a_quote_that_is_not_closed_is_an_error(tmp_path: Path) -> None:
    opened = write(tmp_path, HEAD, ROW, f'1,7,2150-01-01 10:00:00,1.5,1.5,"{SECRET}', ROW)
    assert "a quote is opened and not closed" in refusal(opened)
    assert "a quote is opened and not closed" in refusal(opened, wanted=[8])


def test_a_file_that_is_not_there_or_may_not_be_read_says_why(tmp_path: Path) -> None:
    assert "(No such file or directory)" in refusal(tmp_path / "labevents.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "(Is a directory)" in refusal(tmp_path / "folder.csv")


def test_an_empty_file_is_an_error_and_a_header_alone_is_no_row(tmp_path: Path) -> None:
    for name in ("labevents.csv", "labevents.csv.gz"):
        assert refusal(write(tmp_path, name=name)) == ": the file is empty: copy it anew"
        assert cells_of(write(tmp_path, HEAD, name=name)) == []
        assert cells_of(write(tmp_path, HEAD, "", "", name=name)) == []
    (tmp_path / "bare.csv").write_text(HEAD)
    assert "the last row has no line end" in refusal(tmp_path / "bare.csv")


def test_a_header_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "labevents.csv"
    for encoding in ("utf-16", "utf-32"):
        path.write_bytes(f"{HEAD}\n{ROW}\n".encode(encoding))
        assert "no CSV header in UTF-8" in refusal(path)


# What a file may look like


def test_a_bom_other_line_ends_and_quotes_change_nothing(tmp_path: Path) -> None:
    plain = cells_of(write(tmp_path, HEAD, ROW, ROW))
    quoted = ",".join(f'"{cell}"' for cell in ROW.split(","))
    assert cells_of(write(tmp_path, f"\ufeff{HEAD}", ROW, ROW)) == plain
    assert cells_of(write(tmp_path, HEAD, ROW, ROW, end="\r\n")) == plain
    assert cells_of(write(tmp_path, f"\ufeff{HEAD}", ROW, ROW, end="\r\n", name="labevents.csv.gz")) == plain
    assert cells_of(write(tmp_path, HEAD, ROW, "", quoted)) == plain


def test_cells_are_typed_and_an_empty_one_is_null(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        HEAD,
        '1,7,2150-01-01 10:00:00,1e3,"a ""b"", c",NA',
        '2,8,,nan,"",',
        '3,9,2150-12-31 23:59,-inf,null," x "',
        '4,9,2150-12-31 23:59:59,1e999,é,"two\nlines"',
    )
    nothing = dict.fromkeys(NAMES)
    assert [{**nothing, **row, "charttime": str(row["charttime"] or "")} for row in cells_of(path)] == [
        {
            "subject_id": 1, "itemid": 7, "charttime": "2150-01-01 10:00:00", "valuenum": 1000.0,
            "value": 'a "b", c', "comments": "NA",
        },
        {"subject_id": 2, "itemid": 8, "charttime": "", "valuenum": None, "value": None, "comments": None},
        {
            "subject_id": 3, "itemid": 9, "charttime": "2150-12-31 23:59:00", "valuenum": None,
            "value": "null", "comments": " x ",
        },
        {
            "subject_id": 4, "itemid": 9, "charttime": "2150-12-31 23:59:59", "valuenum": None,
            "value": "é", "comments": "two\nlines",
        },
    ]  # fmt: skip


def test_columns_stand_in_any_order_and_others_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, "x,itemid,valuenum,x", f"{SECRET},7,1.5,a", "b,8,2.5,c")
    types = {"valuenum": pa.float64(), "itemid": pa.int64()}
    assert cells_of(path, types=types) == [{"valuenum": 1.5, "itemid": 7}, {"valuenum": 2.5, "itemid": 8}]


# What is wrong in a row


@pytest.mark.parametrize(
    ("column", "cell", "kind"),
    [
        ("subject_id", SECRET, "a whole number"),
        ("subject_id", "1.0", "a whole number"),
        ("itemid", "NA", "a whole number"),
        ("valuenum", SECRET, "a number"),
        ("valuenum", "1,5", "a number"),
        ("charttime", SECRET, "a time like 2150-01-31 23:59:00"),
        ("charttime", "2150-01-01", "a time like 2150-01-31 23:59:00"),
        ("charttime", "01/31/2150 10:00", "a time like 2150-01-31 23:59:00"),
        ("charttime", "2150-02-30 10:00:00", "a time like 2150-01-31 23:59:00"),
        ("charttime", "2150-01-01 10:00:00Z", "a time like 2150-01-31 23:59:00"),
        ("charttime", "2150-01-01 10:00:00-05:00", "a time like 2150-01-31 23:59:00"),
    ],
)
def test_a_cell_of_another_type_is_named_by_row_and_column(tmp_path: Path, column: str, cell: str, kind: str) -> None:
    cells = dict(zip(NAMES, ROW.split(","), strict=True)) | {column: f'"{cell}"'}
    lines = [HEAD, *[ROW] * 41, ",".join(cells.values()), *[ROW] * 20]
    assert refusal(write(tmp_path, *lines)) == f", data row 42, column {column}: the cell is not {kind}"


def test_a_date_is_a_date(tmp_path: Path) -> None:
    types = {"itemid": pa.int64(), "dod": pa.date32()}
    assert str(cells_of(write(tmp_path, "itemid,dod", "1,2150-01-31"), types=types)[0]["dod"]) == "2150-01-31"
    for cell in ("2150", "2150-1-3", "2150-01-31 00:00:00", "31.01.2150"):
        assert "data row 1, column dod: the cell is not a date like 2150-01-31" in refusal(
            write(tmp_path, "itemid,dod", f"1,{cell}"), types=types
        )


def test_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labevents.csv"
    path.write_bytes(f"{HEAD}\n{ROW}\n{ROW}\n".encode().replace(b"fine\n1", b"f\xefne\n1"))
    assert refusal(path) == ", data row 1, column comments: the cell is not UTF-8"


@pytest.mark.parametrize("odd", [f"{ROW},{SECRET}", f"1,7,{SECRET}", SECRET])
def test_a_row_of_another_length_is_an_error_whether_or_not_it_is_wanted(tmp_path: Path, odd: str) -> None:
    path = write(tmp_path, HEAD, ROW, ROW, odd, ROW)
    for wanted in ((), (7,), (8,)):
        assert ", about data row 3: it has not 6 cells as the header has" in refusal(path, wanted=wanted)


def test_a_row_that_is_longer_than_a_block_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks_of(monkeypatch, 128)
    path = write(tmp_path, HEAD, ROW, f'1,7,2150-01-01 10:00:00,1.5,1.5,"{SECRET * 20}"', ROW)
    assert "or is longer than 128 bytes" in refusal(path)


def test_only_rows_of_the_wanted_items_are_typed(tmp_path: Path) -> None:
    odd = f"{SECRET},8,{SECRET},{SECRET},,"
    path = write(tmp_path, HEAD, ROW, odd, f"{SECRET},,,,,", ROW.replace(",7,", ",9,"))
    assert [row["itemid"] for row in cells_of(path, wanted=[7, 9])] == [7, 9]
    assert [row["itemid"] for row in cells_of(path, wanted=[1])] == []
    assert "data row 2, column subject_id" in refusal(path, wanted=[7, 8])
    assert "data row 2, column itemid" in refusal(write(tmp_path, HEAD, ROW, f"1,{SECRET},,,,"), wanted=[7])


# Blocks


def blocks_of(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (mimic_cells, mimic_files):
        monkeypatch.setattr(module, "BLOCK", size)


def awkward(folder: Path, name: str) -> Path:
    """A file in which a block may end within a quoted cell, a line end, a doubled quote or a letter of two bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(NAMES)
    chance = random.Random(2)
    for i in range(60):
        odd = "".join(chance.choice(['"', ",", "\n", "\r\n", "é", "x", " "]) for _ in range(chance.randrange(12)))
        writer.writerow([i, 7 + i % 2, "2150-01-01 10:00:00", i / 3, odd.strip(), f"{odd}."])
    path = folder / name
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["labevents.csv", "labevents.csv.gz"])
def test_any_size_of_block_gives_the_same(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """E4."""
    path = awkward(tmp_path, name)
    with gzip.open(path, "rt", newline="") if name.endswith(".gz") else path.open(newline="") as file:
        wanted = [(int(row["subject_id"]), row["value"] or None, row["comments"]) for row in csv.DictReader(file)]
    whole = cells_of(path)
    assert [(row["subject_id"], row["value"], row["comments"]) for row in whole] == wanted
    for size in (*range(100, 130), 1000):
        blocks_of(monkeypatch, size)
        assert cells_of(path) == whole
        assert cells_of(path, wanted=[8]) == [row for row in whole if row["itemid"] == 8]


def test_the_digest_is_that_of_the_file_and_the_share_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks_of(monkeypatch, 1000)
    path = write(tmp_path, HEAD, *[ROW] * 6000)
    with TableFile(path) as file:
        cells = Cells(file, TYPES, "itemid", [1])
        shares = [file.share for _ in cells.kept()]
        assert (cells.rows, file.share) == (6000, 1.0)
        assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert shares == sorted(shares)
    assert shares[0] < 0.9  # pyarrow reads a few blocks ahead
