"""The item by which rows are kept: a wrong one is named by its row, however many blocks lie before it."""

from pathlib import Path

import pytest

from screening.errors import DataFileError
from screening.readers import mimic_cells
from screening.readers.mimic_tables import CsvTables

ROWS = 40


def tables(folder: Path, odd: str = "") -> CsvTables:
    """Write chartevents whose row 31 has an odd item."""
    lines = [
        f"{number},{odd if number == 31 and odd else 220045 + number % 3},{number * 1.5}" for number in range(1, ROWS)
    ]
    (folder / "icu").mkdir(parents=True, exist_ok=True)
    (folder / "icu" / "chartevents.csv").write_text("subject_id,itemid,valuenum\n" + "\n".join(lines) + "\n")
    return CsvTables(folder)


def kept(source: CsvTables) -> list[tuple[int, int, float]]:
    batches = source.batches("chartevents", ["subject_id", "itemid", "valuenum"], itemids=[220045, 220047])
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]  # type: ignore[misc]


@pytest.mark.parametrize("block", [64, 200, 1 << 20])
def test_rows_are_kept_by_their_item_whatever_the_blocks(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimic_cells, "BLOCK", block)
    expected = [(number, 220045 + number % 3, number * 1.5) for number in range(1, ROWS) if number % 3 != 1]
    assert kept(tables(tmp_path)) == expected


@pytest.mark.parametrize("odd", ["x", "2200.5", "22 0045"])
@pytest.mark.parametrize("block", [64, 200, 1 << 20])
def test_an_item_that_is_no_number_is_named_by_its_row(
    tmp_path: Path, odd: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimic_cells, "BLOCK", block)
    with pytest.raises(DataFileError, match="data row 31, column itemid: the cell is not a whole number") as refusal:
        kept(tables(tmp_path, odd))
    assert f"'{odd}'" not in str(refusal.value)
