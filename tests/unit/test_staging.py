"""Staging: what a stage wrote is what the next one reads, and a stage run again changes nothing else."""

import hashlib
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.charts import (
    MEDIANS,
    SICK,
    T,
    boosted_bundle,
    chart,
    matrix,
    observation,
    patient,
    results,
    rule_bundle,
    sepsis,
)

from screening import staging
from screening.errors import DataFileError
from screening.feature_matrix import FeatureMatrix
from screening.features import featurize
from screening.observations import Reading
from screening.readers.fhir import read

CONTENT = [
    *chart("a", birthDate="1966", deceasedDateTime="2030-01-01"),
    *chart("b", {"heart_rate": 80.0}),
    observation(who="a", hours=30),
    observation(who="a", status="cancelled", id="x"),
    observation("wbc", 9.0, who="b", issued="2026-03-10T11:30:00Z", encounter={"reference": "Encounter/e"}),
    observation(who="somebody"),
]


def same(one: Any, other: Any) -> None:
    """Assert that two readings or matrices are equal to the last bit and type."""
    for name in ("observations", "patients") if isinstance(one, Reading) else ("rows", "cells", "basis"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)
    assert one.drops == other.drops


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture
def reading() -> Reading:
    return read(CONTENT, sepsis(), patient_ids=["a", "b"])


def empty() -> Reading:
    return read([], sepsis())


@pytest.mark.parametrize("content", [CONTENT, [], [patient()]])
def test_a_reading_comes_back_as_it_was(tmp_path: Path, content: list[Any]) -> None:
    before = read(content, sepsis(), patient_ids=["a", "b", "p"])
    staging.save_reading(tmp_path / "run" / "batch", before)
    same(before, staging.load_reading(tmp_path / "run" / "batch"))


@pytest.mark.parametrize("cohort", [["a", "ghost", "b"], []])
@pytest.mark.parametrize("t", [T, "latest"])
def test_a_matrix_comes_back_as_it_was(tmp_path: Path, reading: Reading, cohort: list[str], t: Any) -> None:
    before = featurize(reading, sepsis(), t, patient_ids=cohort)
    staging.save_matrix(tmp_path, before)
    same(before, staging.load_matrix(tmp_path))


@pytest.mark.parametrize("bundle", [rule_bundle(medians=MEDIANS), boosted_bundle()], ids=["rule", "boosted"])
def test_results_come_back_as_they_were(tmp_path: Path, bundle: Any) -> None:
    content = [
        *chart("a", birthDate="1966"),
        *chart("b", {n: v for n, v in SICK.items() if n != "lactate"}),
        patient("c"),
    ]
    before = results(content, bundle, cohort=["a", "b", "c", "ghost"])
    staging.save_results(tmp_path, before)
    after = staging.load_results(tmp_path)
    assert after == before
    assert [one.outcome.value for one in after] == ["scored", "scored", "insufficient_data", "not_found"]
    assert after[0].prediction_time is not None
    assert after[0].prediction_time.utcoffset() == timedelta(0)
    assert staging.load(tmp_path, "results")["outcome"].tolist() == [one.outcome.value for one in before]


def test_no_results_come_back_as_none(tmp_path: Path) -> None:
    staging.save_results(tmp_path, [])
    assert staging.load_results(tmp_path) == []


def test_a_reading_staged_gives_the_matrix_of_the_one_in_memory(tmp_path: Path, reading: Reading) -> None:
    staging.save_reading(tmp_path, reading)
    same(
        featurize(reading, sepsis(), T, patient_ids=["a", "b"]),
        featurize(staging.load_reading(tmp_path), sepsis(), T, patient_ids=["a", "b"]),
    )


def stage(folder: Path) -> FeatureMatrix:
    found = featurize(staging.load_reading(folder), sepsis(), T, patient_ids=["a", "b"])
    staging.save_matrix(folder, found)
    return found


def test_a_stage_run_again_counts_no_drop_twice_and_changes_no_other_stages_file(
    tmp_path: Path, reading: Reading
) -> None:
    staging.save_reading(tmp_path, reading)
    before = digests(tmp_path)
    first = stage(tmp_path)
    assert first.drops[("a", "heart_rate", "before_window")] == 1
    after = digests(tmp_path)
    assert {name: after[name] for name in before} == before
    same(first, stage(tmp_path))
    assert digests(tmp_path) == after


def test_the_same_work_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, content in (("one", CONTENT), ("two", CONTENT[::-1])):
        folder = tmp_path / name
        staging.save_reading(folder, read(content, sepsis(), patient_ids=["a", "b"]))
        stage(folder)
        staging.save_results(folder, results(content, cohort=["a", "b"]))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert len(digests(tmp_path / "one")) == 8


def test_a_later_batch_overwrites_an_earlier_one_of_the_same_folder(tmp_path: Path, reading: Reading) -> None:
    staging.save_reading(tmp_path, reading)
    staging.save_reading(tmp_path, empty())
    same(staging.load_reading(tmp_path), empty())


@pytest.mark.parametrize("load", [staging.load_reading, staging.load_matrix, staging.load_results])
def test_a_missing_file_tells_what_to_do(tmp_path: Path, load: Any) -> None:
    with pytest.raises(
        DataFileError, match=r"staging file \w+\.parquet is missing: .* clear the batch from its first task"
    ):
        load(tmp_path / "gone")


def test_drops_keep_their_keys_and_counts(tmp_path: Path) -> None:
    found = matrix([patient(), observation(hours=30), observation(hours=31)])
    staging.save_matrix(tmp_path, found)
    assert staging.load_matrix(tmp_path).drops == Counter({("p", "heart_rate", "before_window"): 2})


def test_a_moment_as_the_stages_pass_it() -> None:
    assert staging.as_moment("2026-03-10T12:00:00+00:00") == T
    assert staging.as_moment("latest") is None
    assert staging.as_moment(None) is None
    with pytest.raises(ValueError, match="Invalid isoformat"):
        staging.as_moment("soon")
