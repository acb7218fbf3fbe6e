"""A folder of MIMIC's files is checked before it is read, read in bounded batches, and known by its digests."""

import gzip
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from screening.errors import DataFileError
from screening.readers import mimic_tables
from screening.readers.mimic import EVENTS
from screening.readers.mimic_tables import COLUMN_TYPES, TABLES, CsvTables
from screening.synthetic import Hospital, write_mimic_csv
from screening.training.stays import COLUMNS

WANTED = {**COLUMNS, **EVENTS}
HOSPITAL = Hospital(12, 4, datetime(2026, 6, 1, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    write_mimic_csv(HOSPITAL, folder)
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    write_mimic_csv(HOSPITAL, folder, gz=True)
    return folder


@pytest.fixture
def own(plain: Path, tmp_path: Path) -> Path:
    """A folder to spoil: the files are linked, and whatever is changed is written anew."""
    for path in plain.glob("*/*.csv"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        os.link(path, tmp_path / path.parent.name / path.name)
    return tmp_path


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataFileError) as caught:
        call()
    return str(caught.value)


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    text = change(path.read_text())
    path.unlink()
    path.write_text(text)


def whole(folder: Path, table: str) -> pa.Table:
    return pa.Table.from_batches(list(CsvTables(folder).batches(table, WANTED[table])))


def test_a_whole_folder_passes(plain: Path, packed: Path) -> None:
    assert set(WANTED) == set(TABLES)
    for folder in (plain, packed):
        CsvTables(folder).check(WANTED)


def test_all_that_is_missing_is_named_at_once(own: Path) -> None:
    (own / "hosp" / "transfers.csv").unlink()
    (own / "icu" / "icustays.csv").unlink()
    (own / "icu" / "icustays.csv").touch()
    rewrite(own / "hosp" / "patients.csv", lambda text: text.replace("anchor_age", "age").replace(",dod", ",death"))
    rewrite(own / "hosp" / "admissions.csv", lambda text: text.replace("deathtime", "hadm_id", 1))
    (own / "hosp" / "labevents.csv.gz").write_bytes(gzip.compress(b"itemid\n"))
    assert refusal(lambda: CsvTables(own).check(WANTED)) == (
        f"{own}: MIMIC-IV cannot be read from this folder:\n"
        f"  - {own}/hosp/patients.csv: the header, its first line, lacks anchor_age, dod\n"
        f"  - {own}/hosp/admissions.csv: the header, its first line, lacks deathtime\n"
        f"  - {own}/hosp/transfers.csv.gz: there is no such file, and no transfers.csv\n"
        f"  - {own}/icu/icustays.csv: the file is empty: copy it anew\n"
        f"  - {own}/hosp/labevents.csv and labevents.csv.gz are both there: remove the one that does not count\n"
        "Expected is the folder that has hosp and icu in it."
    )


def test_a_column_that_is_there_twice_is_refused(own: Path) -> None:
    rewrite(own / "hosp" / "admissions.csv", lambda text: text.replace("race", "hadm_id", 1))
    words = "the header has hadm_id more than once"
    assert words in refusal(lambda: CsvTables(own).check(WANTED))
    assert words in refusal(lambda: list(CsvTables(own).batches("admissions", COLUMNS["admissions"])))


def test_the_wrong_folder_gets_a_hint(plain: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    deep = files / "mimiciv" / "3.1"
    deep.mkdir(parents=True)
    for module in ("hosp", "icu"):
        (deep / module).symlink_to(plain / module)
    for folder, hint in (
        (files, f"perhaps {deep}."),
        (deep.parent, f"perhaps {deep}."),
        (deep / "hosp", "the one above."),
        (files / "nowhere", "this one does not exist."),
    ):
        assert refusal(lambda folder=folder: CsvTables(folder).check(WANTED)).endswith(hint)
    CsvTables(deep).check(WANTED)


def test_what_is_missing_is_told_by_reading_too(own: Path) -> None:
    (own / "hosp" / "transfers.csv").unlink()
    words = "there is no such file, and no transfers.csv"
    assert words in refusal(lambda: list(CsvTables(own).batches("transfers", COLUMNS["transfers"])))
    rewrite(own / "icu" / "chartevents.csv", lambda text: text.replace("itemid", "item", 1))
    assert "lacks itemid" in refusal(lambda: next(CsvTables(own).batches("chartevents", ["valuenum"], itemids=[1])))


@pytest.mark.parametrize("table", WANTED)
def test_packed_or_not_the_tables_are_the_same(plain: Path, packed: Path, table: str) -> None:
    found = whole(plain, table)
    assert found == whole(packed, table)
    assert found.schema == pa.schema([(name, COLUMN_TYPES[name]) for name in WANTED[table]])
    assert len(found) > 0


def test_items_are_chosen_and_columns_come_as_asked(plain: Path) -> None:
    tables = CsvTables(plain)
    columns = ("valuenum", "subject_id")
    some = pa.Table.from_batches(list(tables.batches("chartevents", columns, itemids=[220045])))
    every = whole(plain, "chartevents").to_pandas()
    assert some.column_names == list(columns)
    assert some.to_pandas()["valuenum"].tolist() == every.loc[every["itemid"] == 220045, "valuenum"].tolist()
    (none,) = tables.batches("chartevents", columns, itemids=[1])
    assert (len(none), none.schema.names) == (0, list(columns))
    assert tables.fingerprint()["chartevents"]["rows"] == len(every)


def test_a_table_without_rows_is_one_batch_without_rows(own: Path) -> None:
    rewrite(own / "icu" / "chartevents.csv", lambda text: text.split("\n", 1)[0] + "\n")
    (none,) = CsvTables(own).batches("chartevents", EVENTS["chartevents"])
    assert (len(none), none.schema.names) == (0, list(EVENTS["chartevents"]))


def test_a_digest_is_that_of_the_file_as_it_lies_there(plain: Path, packed: Path) -> None:
    for folder in (plain, packed):
        tables = CsvTables(folder)
        count = sum(len(batch) for batch in tables.batches("labevents", EVENTS["labevents"]))
        next(tables.batches("chartevents", EVENTS["chartevents"]))  # not to its end
        (path,) = (folder / "hosp").glob("labevents.csv*")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert tables.fingerprint() == {"labevents": {"rows": count, "sha256": digest}}


def test_a_file_that_changes_between_two_reads_is_refused(own: Path) -> None:
    tables = CsvTables(own)
    for _ in range(2):
        list(tables.batches("patients", COLUMNS["patients"]))
    rewrite(own / "hosp" / "patients.csv", lambda text: text.replace(",M,", ",F,", 1))
    words = "has changed since it was first read: begin again"
    assert words in refusal(lambda: list(tables.batches("patients", COLUMNS["patients"])))


def test_batches_are_bounded_and_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimic_tables, "_ROWS_BETWEEN_REPORTS", 1)
    monkeypatch.setattr(mimic_tables, "_ROWS_A_BATCH", 20_000)
    (tmp_path / "hosp").mkdir()
    line = f"{10_000_000},{'x' * 80},2150-01-01 00:00:00\n"
    (tmp_path / "hosp" / "transfers.csv").write_text("subject_id,careunit,intime\n" + line * 150_000)
    told: list[tuple[str, int, float]] = []
    tables = CsvTables(tmp_path, lambda *what: told.append(what))
    sizes = [len(batch) for batch in tables.batches("transfers", COLUMNS["transfers"])]
    assert sum(sizes) == 150_000
    assert max(sizes) < 60_000  # 20,000, and four blocks of a million bytes over
    assert [rows for _, rows, _ in told] == sorted(rows for _, rows, _ in told)
    assert (told[-1][0], told[-1][1], told[-1][2]) == ("transfers", 150_000, 1.0)
    assert 0 < told[0][2] <= 1


def test_a_folder_that_may_not_be_looked_into_says_so(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert refusal(lambda: next(CsvTables(plain).batches("patients", COLUMNS["patients"]))) == (
        f"{plain}/hosp: cannot be looked into: Permission denied"
    )
