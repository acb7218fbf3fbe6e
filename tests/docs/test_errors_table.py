"""docs/errors.md: every row is whole, its test exists, and that test looks for the row's words."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
HEAD = ["garbage in", "the error's words", "what to do", "test"]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| garbage in")
]


@cache
def texts_by_test(file: str) -> dict[str, str]:
    """Return each test of a file with all the texts in it and in its decorators, patterns without their escapes."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    named = {
        node.targets[0].id: ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            inside = [*ast.walk(node)]
            texts = [one.value for one in inside if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            texts += [named[one.id] for one in inside if isinstance(one, ast.Name) and one.id in named]
            texts += [re.sub(r"\\(.)", r"\1", text) for text in texts]
            found[node.name] = "\n".join(texts)
    return found


def test_every_table_has_the_four_columns() -> None:
    heads = [line for line in TEXT.splitlines() if line.startswith("| garbage in")]
    assert len(heads) == TEXT.count("\n## ") == 7
    assert {tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in heads} == {tuple(HEAD)}
    assert len(ROWS) > 90


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_is_whole_and_its_test_looks_for_its_words(row: list[str]) -> None:
    assert len(row) == len(HEAD)
    assert all(row)
    _, words, _, test = row
    file, _, name = test.strip("`").partition("::")
    assert name in texts_by_test(file)
    pieces = words.strip("` ").split("…")
    assert [piece for piece in pieces if not piece or piece not in texts_by_test(file)[name]] == []


def test_no_row_stands_twice() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("file", [
    "dags/test_garbage_in.py", "dags/test_mimic_source.py", "dags/test_plans_to_dags.py", "unit/test_commands.py",
    "unit/test_train_commands.py",
])  # fmt: skip
def test_every_test_of_a_refusal_is_told(file: str) -> None:
    told = {row[3].strip("`").partition("::")[2] for row in ROWS if row[3].strip("`").startswith(file)}
    others = {
        "test_the_same_task_accepts_what_is_right", "test_the_retry_policy_knows_the_tree_of_errors",
        "test_a_run_with_a_wrong_param_fails_at_once", "test_a_run_with_a_misspelled_param_writes_nothing",
        "test_score_says_a_line_for_each_patient",
        "test_score_as_json_is_the_whole_result", "test_a_patient_without_data_is_told_and_the_status_is_one",
        "test_what_was_dropped_is_told_in_one_order", "test_featurize_prints_the_matrix",
        "test_schema_check_counts_who_has_what", "test_a_refused_plan_does_not_take_another_s_name",
        "test_the_fields_and_the_extra_are_what_libpq_is_told", "test_what_is_empty_is_left_to_libpq",
        "test_a_folder_or_a_database_is_taken_as_it_is_named", "test_a_model_of_too_few_patients_is_called_so",
        "test_score_says_by_which_model_and_what_must_be_known_of_it",
        "test_what_is_chosen_for_one_run_goes_before_the_plan",
    }  # fmt: skip
    assert set(texts_by_test(file)) - others == told
