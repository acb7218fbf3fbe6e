"""Which billed codes make a stay septic: by prefix, in MIMIC's spelling or with dots, and never without the ICD version."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mimic import PLAN

from screening.training.labels import matches
from screening.training.plan import Label


def septic(code: str | None, version: int | None, label: Label = PLAN.label) -> bool:
    (found,) = matches(pd.Series([code], dtype="str"), pd.Series([version], dtype="Int64").astype("float64"), label)
    return bool(found)


@pytest.mark.parametrize(
    ("code", "version"),
    [
        ("R6520", 10), ("R6521", 10), ("A419", 10), ("A4101", 10), ("A40", 10), ("T8144XA", 10), ("O85", 10),
        ("B377", 10), ("99591", 9), ("99592", 9), ("78552", 9), ("0389", 9), ("03842", 9),
        ("R65.20", 10), ("r65.21", 10), (" a41.9 ", 10), ("R6520  ", 10), ("038.9", 9), ("785.52", 9),
    ],
)  # fmt: skip
def test_sepsis_is_positive(code: str, version: int) -> None:
    """T6."""
    assert septic(code, version)


@pytest.mark.parametrize(
    ("code", "version"),
    [
        ("R6510", 10), ("R6511", 10), ("R651", 10), ("R65.10", 10), ("R65", 10), ("A4", 10), ("R7881", 10),
        ("7855", 9), ("78551", 9), ("9959", 9), ("99590", 9), ("99594", 9), ("1038", 9), ("38", 9), ("389", 9),
        ("", 10), (None, 10), ("R6520", None),
    ],
)  # fmt: skip
def test_all_else_is_negative(code: str | None, version: int | None) -> None:
    assert not septic(code, version)


@pytest.mark.parametrize(("code", "version"), [("0389", 10), ("99591", 10), ("A419", 9), ("R6520", 9), ("A419", 11)])
def test_a_code_of_the_other_version_means_something_else(code: str, version: int) -> None:
    assert not septic(code, version)


def test_one_version_alone_will_do() -> None:
    label = Label(name="sepsis", version="1", icd10=("A41",))
    assert septic("A419", 10, label)
    assert not septic("0389", 9, label)


@given(st.text(max_size=8), st.sampled_from([9, 10]))
def test_dots_case_and_blanks_change_nothing(code: str, version: int) -> None:
    dotted = " " + ".".join(code.lower()) + " "
    # A few letters have capitals of another length; no code has such.
    if code.isascii():
        assert septic(code, version) == septic(dotted, version)
