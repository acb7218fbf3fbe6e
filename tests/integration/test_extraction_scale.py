"""The extraction from MIMIC-IV's tables in small: flat memory, about linear time, the same from csv and csv.gz.

`bench/extract_mimic.py` measures the same on twenty million rows; docs/performance.md has its figures.
"""

import time
from pathlib import Path

import pytest
from bench.extract_mimic import itself, one_kind, stages
from bench.mimic_rows import write

SMALL, LARGE = 125_000, 500_000


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two generated folders, one of four times the rows."""
    root = tmp_path_factory.mktemp("rows")
    for rows in (SMALL, LARGE):
        write(root / str(rows), rows)
    return {rows: root / str(rows) for rows in (SMALL, LARGE)}


def test_e1_e2_memory_is_bounded_and_flat(folders: dict[int, Path]) -> None:
    small, large = (itself("stages", one_kind(folders[rows], ".csv.gz"))["rss_mb"] for rows in (SMALL, LARGE))
    assert large < 400
    assert large < 1.3 * small


def test_e3_time_grows_with_the_rows_and_not_with_rows_times_stays(folders: dict[int, Path]) -> None:
    spent = {}
    for rows in (SMALL, LARGE):
        folder = one_kind(folders[rows], ".csv")
        stages(folder)  # what is slow once only is not what is measured
        began = time.process_time()
        stages(folder)
        spent[rows] = time.process_time() - began
    assert spent[LARGE] < 6 * spent[SMALL]  # a scan a stay would make it sixteen


def test_e4_csv_and_gz_give_the_same(folders: dict[int, Path]) -> None:
    plain, zipped = (stages(one_kind(folders[LARGE], kind)) for kind in (".csv", ".csv.gz"))
    assert plain == zipped
    assert int(plain.split()[0]) > 5000
