"""`python -m screening train`: from tables to a published model or to a refusal, and what it says of what cannot be used."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts import ROOT

from screening.__main__ import main
from screening.model.registry import champion

TEXT = (ROOT / "include" / "training" / "sepsis.yaml").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Train by a quick plan with these changes; return status, what was said, and the errors."""

    def run(words: str = "", **changes: Any) -> tuple[int, str, str]:
        quick = {"folds": 3, "bootstrap": 100, "candidates": {"logistic_regression": {}}}
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(yaml.safe_load(TEXT) | quick | changes))
        folders = ["--models", str(tmp_path / "models"), "--reports", str(tmp_path / "reports")]
        usual = ["train", "--plan", str(tmp_path / "plan.yaml"), "--synthetic-patients", "260", *folders]
        status = main([*usual, *words.replace("@", f"{tmp_path}/").split()])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_what_is_refused_is_kept_aside_and_what_passes_as_tiny_is_published(run: Any, tmp_path: Path) -> None:
    status, out, err = run()
    assert (status, err) == (1, "")
    assert "the gate: refused\n  refused positives: " in out
    assert "not published; the model is kept in " in out
    assert not (tmp_path / "models").exists()
    (reports,) = (tmp_path / "reports").iterdir()
    assert sorted(path.name for path in reports.iterdir()) == [
        "evaluation.json", "invented_mimic", "refused_model", "report.html", "report.md",
    ]  # fmt: skip
    assert reports.stat().st_mode & 0o077 == 0
    verdict = json.loads((reports / "refused_model" / "verdict.json").read_text())
    assert next(one["rule"] for one in verdict["rules"] if one["verdict"] == "refused") == "positives"

    status, out, err = run("--allow-tiny")
    made = champion(tmp_path / "models", "sepsis")
    assert (status, err) == (0, "")
    assert "  waived positives: " in out
    assert out.splitlines()[-1] == f"published: sepsis 1.0.0, sha256 {made.sha256}; it is champion"
    assert (made.tiny, made.synthetic) == (True, True)
    assert made.sha256 == sha256((reports / "refused_model" / "model.pkl").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        ("--mimic @mimic --postgres dbname=mimic", {}, "give --mimic or --postgres, not both"),
        ("--mimic @nowhere", {}, "Expected is the folder that has hosp and icu in it; this one does not exist"),
        ("--candidates lightgbm", {}, "candidates: lightgbm is not in the plan"),
        ("--after-intime soon", {}, "'soon' is no duration"),
        ("--plan @none.yaml", {}, "no such file"),
        ("", {"candidates": {"xgboost": {"max_dept": 3}}}, "candidates.xgboost.max_dept: unknown; known are"),
        ("", {"candidates": {"xgboost": {"n_jobs": 2}}}, "candidates.xgboost.n_jobs: is set by the training itself"),
        ("", {"candidates": {"random_forest": {"max_depth": -3}}}, "candidates.random_forest: cannot be fitted so"),
        (
            "", {"candidates": {"logistic_regression": {"class_weight": "balanced"}}},
            "candidates.logistic_regression.class_weight: classes are not weighted here",
        ),
        ("", {"label": {"name": "x", "version": "1", "icd10": ["Z99"]}}, "no stay is positive (x)"),
        ("", {"schema": "none.yaml"}, "none.yaml"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_and_nothing_is_left(
    run: Any, tmp_path: Path, words: str, changes: dict[str, Any], said: str
) -> None:
    status, _, err = run(words, **changes)
    assert status == 2
    assert err.startswith("error: ")
    assert said in err
    assert not (tmp_path / "models").exists()
    assert not list(tmp_path.glob("reports/*/staging-*"))


def test_a_folder_that_cannot_be_made_is_named(run: Any, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    status, _, err = run()
    assert status == 2
    assert "cannot be made: Not a directory: give another folder" in err


def test_what_is_chosen_for_one_run_goes_before_the_plan(run: Any, tmp_path: Path) -> None:
    status, out, _ = run(
        "--candidates xgboost --seed 5 --allow-tiny",
        candidates={"logistic_regression": {}, "xgboost": {"n_estimators": 10, "max_depth": 2}},
    )
    assert status == 0
    assert "fit xgboost" in out
    assert "fit logistic_regression" not in out
    assert champion(tmp_path / "models", "sepsis").metadata["seed"] == 5
