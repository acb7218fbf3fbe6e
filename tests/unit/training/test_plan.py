"""The training YAML: every key has an effect or is refused, all problems at once and each with its path."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mimic import ROOT

from screening.errors import SchemaError
from screening.training.plan import TrainingPlan, load_plan, parse_plan

TEXT = (ROOT / "include" / "training" / "sepsis.yaml").read_text(encoding="utf-8")
LEAST = {
    "schema": "sepsis.yaml", "label": {"name": "sepsis", "version": "1", "icd10": ["A41"]}, "untouched": {"salt": "s"},
    "candidates": {"xgboost": {}},
}  # fmt: skip


def problems(**changes: Any) -> list[str]:
    """Return what is said of the shortest plan with these changes; None leaves a key out."""
    changed = {key: value for key, value in (LEAST | changes).items() if value is not None}
    with pytest.raises(SchemaError) as caught:
        parse_plan(yaml.safe_dump(changed), "plan.yaml")
    return caught.value.problems


def test_the_shortest_plan_has_the_defaults() -> None:
    plan = parse_plan(yaml.safe_dump(LEAST))
    assert (plan.cohort.min_age, plan.cohort.min_stay) == (18, timedelta(hours=6))
    assert plan.prediction.after_intime == timedelta(hours=24)
    assert (plan.folds, plan.bootstrap, plan.zone, plan.untouched.share) == (5, 1000, "America/New_York", 0.2)
    assert plan.gate.calibration_slope == (0.8, 1.25)
    assert str(plan.clock()) == "America/New_York"


@pytest.mark.parametrize("codes", [["R65.20"], ["r6520"], ["A41 9"], [""], ["A41*"]])
@pytest.mark.parametrize("version", ["icd9", "icd10"])
def test_a_label_file_with_dots_is_refused(version: str, codes: list[str]) -> None:
    """T6: with a dot, in lower case or with a star a prefix would match nothing, in silence."""
    (said,) = problems(label={"name": "sepsis", "version": "1", version: ["A41", *codes]})
    assert said == (
        f"label.{version}: {codes}: MIMIC writes ICD codes without dots and in capitals (R6520 for R65.20): do the same"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": 1}, "folds: Input should be greater than or equal to 2"),
        ({"folds": "5"}, "folds: Input should be a valid integer"),
        ({"fold": 5}, "fold: unknown key; remove it or mend its spelling"),
        ({"gate": {"max_aurok": 0.9}}, "gate.max_aurok: unknown key"),
        ({"untouched": None}, "untouched: is missing"),
        ({"untouched": {"share": 0.2}}, "untouched.salt: is missing"),
        ({"candidates": {}}, "name at least one candidate"),
        ({"candidates": {"lightgbm": {}}}, "candidates.lightgbm"),
        ({"label": {"name": "sepsis", "version": "1"}}, "give at least one prefix under icd9 or icd10"),
        ({"label": {"name": "sepsis", "version": 1, "icd10": ["A41"]}}, "label.version: must be text, not 1: quote it"),
        ({"zone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone of the IANA list"),
        ({"zone": "America"}, "'America' is no time zone of the IANA list"),
        ({"prediction": {"after_intime": "one day"}}, "'one day' is no duration: write a number and m, h or d"),
        ({"prediction": {"after_intime": "0h"}}, "is not between a minute and 100 years"),
        ({"schema": "../sepsis.yaml"}, "schema"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_path(changes: dict[str, Any], words: str) -> None:
    assert words in "\n".join(problems(**changes))


def test_all_problems_are_told_at_once() -> None:
    said = problems(folds=1, untouched=None, zone="Mars/Olympus", cohort={"min_age": -1})
    assert sorted(one.split(":")[0] for one in said) == ["cohort.min_age", "folds", "untouched", "zone"]


def test_a_run_s_changes_stand_in_place_of_the_file_s() -> None:
    plan = parse_plan(TEXT, seed=7, prediction={"after_intime": "12h"}, candidates=["xgboost", "logistic_regression"])
    assert (plan.seed, plan.prediction.after_intime) == (7, timedelta(hours=12))
    assert list(plan.candidates) == ["logistic_regression", "xgboost"]  # the file's order
    assert plan.candidates["xgboost"] == parse_plan(TEXT).candidates["xgboost"]


def test_a_candidate_that_the_file_lacks_cannot_be_chosen() -> None:
    with pytest.raises(SchemaError, match="candidates: lightgbm is not in the plan; it has logistic_regression"):
        parse_plan(TEXT, candidates=["lightgbm", "xgboost"])


@pytest.mark.parametrize("given", [["xgboost"], None])
def test_a_choice_among_candidates_that_are_none_tells_what_is_wrong_with_the_plan(given: list[str] | None) -> None:
    changed = {key: value for key, value in (LEAST | {"candidates": given}).items() if value is not None}
    with pytest.raises(SchemaError) as caught:
        parse_plan(yaml.safe_dump(changed), candidates=["xgboost"])
    assert any(problem.startswith("candidates: ") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"candidates: [", "not readable as YAML"),
        (b"", "it needs schema, label, untouched and candidates"),
        (b"seed: 1\nseed: 2\n", "key 'seed' stands twice"),
        (b"\xff\xfe", "cannot be read as UTF-8 text"),
        (None, "no such file"),
    ],
)
def test_a_file_that_is_no_plan_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SchemaError, match=r"mine\.yaml") as caught:
        load_plan(path)
    assert words in str(caught.value)


def test_the_plan_of_the_project_names_no_default_otherwise() -> None:
    plan, bare = load_plan(ROOT / "include" / "training" / "sepsis.yaml"), parse_plan(yaml.safe_dump(LEAST))
    for key in set(TrainingPlan.model_fields) - {"schema_file", "label", "untouched", "candidates"}:
        assert getattr(plan, key) == getattr(bare, key), key
