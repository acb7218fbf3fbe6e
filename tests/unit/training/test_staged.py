"""What one stage of training leaves, the next one finds as it was, or is told what is missing; and the stages in a row."""

import errno
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.mimic import PLAN, SCHEMA, Held, stay

from screening.errors import DataFileError, FatalError
from screening.readers.mimic_tables import CsvTables
from screening.synthetic import Hospital, write_mimic_csv
from screening.training import run, staged
from screening.training.data import TrainingSet
from screening.training.learning.artifact import data_fingerprint
from screening.training.run import Job
from screening.training.stays import Stays, all_stays

Make = Callable[..., TrainingSet]
HOSPITAL = Hospital(60, 3, datetime(2026, 3, 8, 18, tzinfo=UTC))


@pytest.fixture(scope="session")
def mimic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mimic")
    write_mimic_csv(HOSPITAL, folder)
    return folder


@pytest.fixture(scope="session")
def done(mimic: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every stage up to the features returned, in order, and its job."""
    job, tables = Job(SCHEMA, PLAN, tmp_path_factory.mktemp("run")), CsvTables(mimic)
    return {
        "job": job,
        "locate": run.locate(job, tables, run.Described("invented", True)),
        "cohort": run.cohort(job, tables),
        "extract": run.extract(job, tables),
        "features": run.features(job),
    }


# Files


def test_a_training_set_comes_back_bit_for_bit(training_set: Make, tmp_path: Path) -> None:
    data = training_set(patients=50)
    assert "age" in data.feature_names  # a feature, and a column of every row
    data.age[0] = np.nan
    staged.save_set(tmp_path / "run", data)
    found = staged.load_set(tmp_path / "run")
    assert found.feature_names == data.feature_names
    for name in ("values", "labels", "subjects", "stays", "age"):
        one, other = getattr(found, name), getattr(data, name)
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    assert found.sex.tolist() == data.sex.tolist()
    assert found.sex.dtype.kind == data.sex.dtype.kind
    assert found.values.flags["C_CONTIGUOUS"]
    assert data_fingerprint(found) == data_fingerprint(data)


@pytest.mark.parametrize("name", ["stays", "subjects", "labels", "sex", "row", "values"])
def test_a_feature_may_be_called_like_a_column(training_set: Make, tmp_path: Path, name: str) -> None:
    data = training_set(patients=20)
    other = TrainingSet(**{**vars(data), "feature_names": (name, *data.feature_names[1:])})
    staged.save_set(tmp_path, other)
    found = staged.load_set(tmp_path)
    assert found.feature_names == other.feature_names
    assert found.values.tobytes() == data.values.tobytes()
    assert found.stays.tolist() == data.stays.tolist()


def test_stays_come_back_as_they_were(tmp_path: Path) -> None:
    stays = all_stays(Held([stay(1), stay(2, dod="2150-06-04", gender=None), stay(3, transfers=[])]), SCHEMA, PLAN)
    staged.save_stays(tmp_path, stays)
    found = staged.load_stays(tmp_path)
    pd.testing.assert_frame_equal(found.frame, stays.frame)
    assert found.attrition == stays.attrition
    assert found.windows().hold(np.array([1]), stays.frame["last"].to_numpy()[:1]).all()


def test_json_is_utf_8_and_has_no_nan(tmp_path: Path) -> None:
    content = {"zwölf": [1, 2.5, None, "≥"]}
    staged.save_json(tmp_path / "new", "one", content)
    assert staged.load_json(tmp_path / "new", "one") == content
    assert json.loads((tmp_path / "new" / "one.json").read_text(encoding="utf-8")) == content
    with pytest.raises(ValueError, match="not JSON compliant"):
        staged.save_json(tmp_path, "one", float("nan"))


def test_an_object_comes_back(tmp_path: Path) -> None:
    staged.save_object(tmp_path, "fitted-one", {"threshold": 0.25, "curve": np.arange(3)})
    found = staged.load_object(tmp_path, "fitted-one")
    assert (found["threshold"], found["curve"].tolist()) == (0.25, [0, 1, 2])


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (lambda folder: staged.load_json(folder, "attrition"), "attrition.json"),
        (lambda folder: staged.load_object(folder, "fitted-xgboost"), "fitted-xgboost.pkl"),
        (staged.load_stays, "stays.parquet"),
        (staged.load_set, "training_rows.parquet"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, load: Callable[[Path], Any], name: str) -> None:
    with pytest.raises(DataFileError, match=rf"{name} of this run is missing: the run ended .* from its first stage"):
        load(tmp_path)


class FullDisk:
    """A folder on a disk that has no room left."""

    def __truediv__(self, name: str) -> "FullDisk":
        return self

    def __str__(self) -> str:
        return "run"

    def mkdir(self, **_: Any) -> None:
        """Make nothing."""

    def open(self, _: str) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_in_a_sentence(training_set: Make) -> None:
    stays = all_stays(Held([stay(1)]), SCHEMA, PLAN)
    for save in (
        lambda full: staged.save_json(full, "one", {}),
        lambda full: staged.save_object(full, "one", {}),
        lambda full: staged.save_stays(full, stays),
        lambda full: staged.save_set(full, training_set(patients=20)),
    ):
        with pytest.raises(DataFileError, match="run: cannot be written: No space left on device: make room"):
            save(FullDisk())


# Stages


def test_the_stages_count_what_they_did(done: dict[str, Any]) -> None:
    folder = done["job"].folder
    data = staged.load_set(folder)
    assert set(done["locate"]) == {
        "patients", "admissions", "transfers", "diagnoses_icd", "icustays", "chartevents", "labevents",
    }  # fmt: skip
    attrition = staged.load_json(folder, "attrition_whole")
    assert attrition[: len(done["cohort"])] == done["cohort"]
    counts = [one["stays"] for one in attrition]
    assert counts == sorted(counts, reverse=True)
    assert done["features"] == {"stays": len(data), "positives": int(data.labels.sum())}
    assert (attrition[-1]["stays"], attrition[-1]["positives"]) == (len(data), int(data.labels.sum()))
    assert len(data) > 40
    assert done["extract"]["values"] > 1000
    assert staged.load_json(folder, "after_window") is True


def test_every_drop_is_in_the_run_s_table(done: dict[str, Any]) -> None:
    folder = done["job"].folder
    read = {(feature, reason): count for feature, reason, count in staged.load_json(folder, "dropped")}
    whole = {(feature, reason): count for feature, reason, count in staged.load_json(folder, "dropped_whole")}
    assert sum(read.values()) == done["extract"]["dropped"] > 0
    assert {reason for _, reason in read} >= {"status", "comparator", "not_a_quantity", "no_unit", "out_of_range"}
    assert all(whole[key] >= count for key, count in read.items())
    assert ("heart_rate", "duplicate") in whole


def test_what_was_read_is_known_by_its_files(done: dict[str, Any], mimic: Path) -> None:
    folder = done["job"].folder
    known = staged.load_json(folder, "tables_cohort") | staged.load_json(folder, "tables_events")
    assert set(known) == set(done["locate"])
    for table, found in known.items():
        (path,) = mimic.glob(f"*/{table}.csv")
        assert found["rows"] == path.read_bytes().count(b"\n") - 1
        assert len(found["sha256"]) == 64


def test_a_stage_that_is_repeated_leaves_the_same(done: dict[str, Any], mimic: Path) -> None:
    job = done["job"]
    before = {path.name: path.read_bytes() for path in job.folder.iterdir()}
    tables = CsvTables(mimic)
    assert run.features(job) == done["features"]
    assert run.cohort(job, tables) == done["cohort"]
    assert run.extract(job, tables) == done["extract"]
    assert run.features(job) == done["features"]
    assert {path.name: path.read_bytes() for path in job.folder.iterdir()} == before


def test_rows_in_any_order_give_the_same_training_set(done: dict[str, Any], mimic: Path, tmp_path: Path) -> None:
    """E4."""
    shuffle = np.random.default_rng(0)
    for path in mimic.glob("*/*.csv"):
        header, *rows = path.read_text().splitlines(keepends=True)
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        mixed = [rows[i] for i in shuffle.permutation(len(rows))]
        (tmp_path / path.parent.name / path.name).write_text("".join([header, *mixed]))
    job, tables = Job(SCHEMA, PLAN, tmp_path / "run"), CsvTables(tmp_path)
    run.cohort(job, tables)
    run.extract(job, tables)
    run.features(job)
    assert data_fingerprint(staged.load_set(job.folder)) == data_fingerprint(staged.load_set(done["job"].folder))
    for name in ("attrition_whole", "dropped_whole"):
        assert staged.load_json(job.folder, name) == staged.load_json(done["job"].folder, name)


def test_nothing_is_read_before_all_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataFileError) as caught:
        run.locate(Job(SCHEMA, PLAN, tmp_path / "run"), CsvTables(tmp_path), run.Described("nothing", False))
    assert str(caught.value).count("there is no such file") == 7
    assert not (tmp_path / "run").exists()


def test_a_stage_out_of_turn_says_which_file_it_lacks(tmp_path: Path, mimic: Path) -> None:
    job = Job(SCHEMA, PLAN, tmp_path)
    for stage in (lambda: run.extract(job, CsvTables(mimic)), lambda: run.features(job), lambda: run.split(job)):
        with pytest.raises(DataFileError, match="is missing"):
            stage()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            run.Described("MIMIC-IV, folder demo", False),
            ("invented patients in the form of MIMIC-IV, folder demo", True),
        ),
        (run.Described("synthetic hospital, seed 3", True), ("synthetic hospital, seed 3", True)),
    ],
)
def test_an_invented_hospital_is_known_wherever_its_tables_lie(
    mimic: Path, tmp_path: Path, said: run.Described, told: tuple[str, bool]
) -> None:
    job, tables = Job(SCHEMA, PLAN, tmp_path), CsvTables(mimic)
    run.locate(job, tables, said)
    run.cohort(job, tables)
    assert staged.load_described(tmp_path) == told


def test_real_patients_are_not_called_invented(tmp_path: Path) -> None:
    job, tables = Job(SCHEMA, PLAN, tmp_path), Held([stay(1), stay(2, codes=[("A419", 10)])])
    run.locate(job, tables, run.Described("MIMIC-IV, folder demo", False))
    run.cohort(job, tables)
    assert staged.load_described(tmp_path) == ("MIMIC-IV, folder demo", False)


def test_a_cut_keeps_patients_apart(done: dict[str, Any]) -> None:
    """T2."""
    cut = run.split(done["job"])
    assert not set(cut.learning.subjects) & set(cut.test.subjects)
    assert len(cut.learning) + len(cut.test) == done["features"]["stays"]
    again = run.split(done["job"])
    assert cut.test.stays.tolist() == again.test.stays.tolist()
    assert [fold.test.tolist() for fold in cut.folds] == [fold.test.tolist() for fold in again.folds]


def test_a_set_of_one_label_is_not_staged(mimic: Path, tmp_path: Path) -> None:
    """Where screening's own demands leave one label only, the run ends here and not in a model."""
    job, tables = Job(SCHEMA, PLAN, tmp_path), CsvTables(mimic)
    run.cohort(job, tables)
    run.extract(job, tables)
    stays = staged.load_stays(tmp_path)
    staged.save_stays(tmp_path, Stays(stays.frame.assign(label=0), stays.attrition))
    with pytest.raises(FatalError, match="no stay is positive"):
        run.features(job)
    assert not (tmp_path / "training_set.parquet").exists()
