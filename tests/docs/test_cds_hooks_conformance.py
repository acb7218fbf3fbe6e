"""docs/cds-hooks-conformance.md: every requirement of CDS Hooks has its row, and the tests that it names exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "cds-hooks-conformance.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.split("| id | asks | held by |", 1)[1].splitlines()
    if line.startswith(("| CH-", "| F"))
]
IDS = [
    *(f"CH-{number:02}" for number in (*range(1, 11), *range(20, 36), *range(40, 50))),
    *(f"CH-4{letter}" for letter in "ABCDEFG"),
    *(f"CH-{number}" for number in (*range(50, 56), *range(60, 69), *range(70, 74), *range(80, 85))),
    *(f"F{number}" for number in range(25, 30)),
]
OF_A_NAME = re.compile(r"_(ch[0-9][0-9a-z]|f2[5-9])(?=_)")


def in_names(identity: str) -> str:
    """Return an id as the names of tests have it."""
    return identity.replace("-", "").lower()


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests of a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_every_id_has_its_row_and_no_other() -> None:
    assert [row[0] for row in ROWS] == IDS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_tests_that_exist_and_carry_its_id(row: list[str]) -> None:
    identity, asks, held = row
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", held)
    assert asks
    assert named
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []
    carried = [OF_A_NAME.findall(f"{name}_") for _, name in named]
    assert in_names(identity) in {one for ids in carried for one in ids}
    assert len(named) == len(set(named))


def test_no_test_carries_an_id_that_there_is_none_of() -> None:
    known = {in_names(one) for one in IDS}
    odd = [
        f"{path.relative_to(TESTS)}::{name}"
        for path in TESTS.rglob("test_*.py")
        for name in names_in(path.relative_to(TESTS).as_posix())
        if not known.issuperset(OF_A_NAME.findall(f"{name}_"))
    ]
    assert odd == []


def test_every_id_is_in_the_name_of_a_test() -> None:
    carried = {
        one
        for path in TESTS.rglob("test_*.py")
        for name in names_in(path.relative_to(TESTS).as_posix())
        for one in OF_A_NAME.findall(f"{name}_")
    }
    assert [one for one in IDS if in_names(one) not in carried] == []


def test_every_link_leads_somewhere() -> None:
    for target, anchor in re.findall(r"\]\(([\w./-]+\.md)#?([\w-]*)\)", PAGE):
        text = (ROOT / "docs" / target).read_text(encoding="utf-8")
        heads = {
            re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.+)$", text, re.M)
        }
        assert not anchor or anchor in heads, f"{target}#{anchor}"


def test_what_the_page_says_of_every_answer_is_so() -> None:
    for file in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / file).exists()
    assert "sidecar_rules.listen()" in (TESTS / "conftest.py").read_text(encoding="utf-8")
    assert "cds-hooks-conformance.md" in (ROOT / "docs" / "cds-hooks.md").read_text(encoding="utf-8")
