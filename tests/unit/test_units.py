"""Units: every known one against a number worked out elsewhere, and every way in which a Quantity's unit may fail."""

import sys
from collections import Counter
from itertools import pairwise

import pytest

from screening.units import KNOWN, UCUM_SYSTEM, Conversion, by_code, by_text, conversion, resolve

CREATININE, LACTATE, GLUCOSE = 113.12, 90.08, 180.156
MIMIC_UNITS = "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-units"

CONVERTED = [
    # value, unit, canonical unit, molar mass, expected
    (98.6, "[degF]", "Cel", None, 37.0),
    (101.5, "[degF]", "Cel", None, 38.611111111111114),
    (-40.0, "[degF]", "Cel", None, -40.0),
    (310.15, "K", "Cel", None, 37.0),
    (37.0, "Cel", "[degF]", None, 98.6),
    (37.0, "Cel", "K", None, 310.15),
    (1.5, "/s", "/min", None, 90.0),
    (4800.0, "/h", "/min", None, 80.0),
    (28500.0, "/uL", "10*3/uL", None, 28.5),
    (28500.0, "/mm3", "10*3/uL", None, 28.5),
    (28.5, "10*9/L", "10*3/uL", None, 28.5),
    (28.5, "10*6/mL", "10*3/uL", None, 28.5),
    (28500.0, "10*6/L", "10*3/uL", None, 28.5),
    (0.0285, "10*6/uL", "10*3/uL", None, 28.5),
    (0.0285, "10*12/L", "10*3/uL", None, 28.5),
    (28.5e9, "/L", "10*3/uL", None, 28.5),
    (141.0, "umol/L", "mg/dL", CREATININE, 1.594992),
    (1.6, "mg/dL", "umol/L", CREATININE, 141.4427157001),
    (36.9, "mg/dL", "mmol/L", LACTATE, 4.0963587922),
    (4.1, "mmol/L", "mg/dL", LACTATE, 36.93280),
    (0.41, "mmol/dL", "mmol/L", None, 4.1),
    (4100.0, "umol/L", "mmol/L", None, 4.1),
    (4.1e6, "nmol/L", "mmol/L", None, 4.1),
    (0.0041, "mol/L", "mmol/L", None, 4.1),
    (5.5, "mmol/L", "g/L", GLUCOSE, 0.990858),
    (1.6, "g/dL", "g/L", None, 16.0),
    (16.0, "mg/L", "mg/dL", None, 1.6),
    (16.0, "ug/mL", "mg/dL", None, 1.6),
    (1600.0, "ug/dL", "mg/dL", None, 1.6),
    (16000.0, "ug/L", "mg/dL", None, 1.6),
    (16000.0, "ng/mL", "mg/dL", None, 1.6),
    (1.6e7, "pg/mL", "mg/dL", None, 1.6),
    (16.0, "mg/mL", "g/L", None, 16.0),
    (2.0, "kU/L", "U/L", None, 2000.0),
    (2.0, "U/mL", "U/L", None, 2000.0),
    (2.0, "[iU]/mL", "[iU]/L", None, 2000.0),
    (16.0, "kPa", "mm[Hg]", None, 120.00992),
    (10.0, "cm[H2O]", "mm[Hg]", None, 7.35559),
    (0.98, "1", "%", None, 98.0),
    (1.8, "m", "cm", None, 180.0),
    (1800.0, "mm", "cm", None, 180.0),
    (70.0, "[in_i]", "cm", None, 177.8),
    (150.0, "[lb_av]", "kg", None, 68.0388555),
    (16.0, "[oz_av]", "[lb_av]", None, 1.0),
    (4000.0, "g", "kg", None, 4.0),
    (90.0, "min", "h", None, 1.5),
    (5400.0, "s", "h", None, 1.5),
    (2.0, "d", "h", None, 48.0),
    (1.0, "a", "d", None, 365.25),
    (1.5, "L", "mL", None, 1500.0),
    (1.5, "L/h", "mL/h", None, 1500.0),
    (2.0, "L/min", "mL/h", None, 120000.0),
]


@pytest.mark.parametrize(("value", "unit", "target", "molar_mass", "expected"), CONVERTED)
def test_converts(value: float, unit: str, target: str, molar_mass: float | None, expected: float) -> None:
    found = resolve(UCUM_SYSTEM, unit, None, target, molar_mass, False)
    assert isinstance(found, Conversion)
    assert found(value) == pytest.approx(expected, rel=1e-9)


def test_the_table_above_tries_every_known_unit_that_has_a_sibling() -> None:
    tried = {unit for _, *pair, _, _ in CONVERTED for unit in pair}
    sizes = Counter(unit.dimension for unit in KNOWN.values())
    assert {code for code, unit in KNOWN.items() if sizes[unit.dimension] > 1} - tried == set()


@pytest.mark.parametrize("code", sorted(KNOWN))
def test_a_unit_into_itself_changes_no_bit(code: str) -> None:
    found = resolve(UCUM_SYSTEM, code, code, code, None, False)
    assert isinstance(found, Conversion)
    for value in (0.1, 37.1, 98.6, 1e-7, 123456.789):
        if KNOWN[code].offset == 0:
            assert found(value) == value
        else:
            assert found(value) == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_normal_temperature_is_exact() -> None:
    found = resolve(UCUM_SYSTEM, "[degF]", None, "Cel", None, False)
    assert isinstance(found, Conversion)
    assert [found(v) for v in (98.6, 113.0, 77.0, 212.0)] == [37.0, 45.0, 25.0, 100.0]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("bpm", "/min"), ("BPM", "/min"), ("beats/min", "/min"), ("insp/min", "/min"), ("breaths / min", "/min"),
        ("{beats}/min", "/min"), ("/min", "/min"), ("°F", "[degF]"), ("deg F", "[degF]"), ("ºF", "[degF]"),
        ("°C", "Cel"), ("Degrees Celsius", "Cel"), ("cel", "Cel"), ("K/uL", "10*3/uL"), ("K/µL", "10*3/uL"),
        ("K/μL", "10*3/uL"), ("x10^3/uL", "10*3/uL"), ("thou/uL", "10*3/uL"), ("10^9/L", "10*9/L"),
        ("x10E9/L", "10*9/L"), ("cells/uL", "/uL"), ("mg/dl", "mg/dL"), ("MG/DL", "mg/dL"), ("µmol/L", "umol/L"),
        ("micromol/L", "umol/L"), ("mEq/L", "meq/L"), ("IU/L", "[iU]/L"), ("mmHg", "mm[Hg]"), ("mm Hg", "mm[Hg]"),
        ("percent", "%"), ("lbs", "[lb_av]"), ("inches", "[in_i]"), ("years", "a"), ("hours", "h"), (" kg ", "kg"),
    ],
)  # fmt: skip
def test_reads_the_texts_that_records_hold(text: str, code: str) -> None:
    found = by_text(text)
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize("text", ["", " ", "furlong", "k", "mm hg abs", "10^3", "bpm bpm", "mmol", "1e3"])
def test_knows_no_other_text(text: str) -> None:
    assert by_text(text) is None


@pytest.mark.parametrize("code", ["CEL", "MG/DL", "[DEGF]", "bpm", "K/uL", "°C", "kpa", ""])
def test_ucum_codes_are_case_sensitive_and_no_texts(code: str) -> None:
    assert by_code(code) is None


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("{beats}/min", "/min"), ("{breaths}/min", "/min"), ("{counts}/min", "/min"), ("1/min", "/min"), ("min-1", "/min"),
        ("10^3/uL", "10*3/uL"), ("10*3/mm3", "10*3/uL"), ("10*3.{cells}/uL", "10*3/uL"), ("10^9/L", "10*9/L"),
        ("10^12/L", "10*12/L"), ("{cells}/uL", "/uL"), ("mg/(100.mL)", "mg/dL"),
    ],
)  # fmt: skip
def test_ucums_other_ways_to_write_a_unit(code: str, same: str) -> None:
    assert by_code(code) == KNOWN[same]


@pytest.mark.parametrize("code", ["{Beats}/MIN", "{beats}", "{beats}/h", "10^3", "{breaths}/min {x}"])
def test_ucums_other_ways_are_told_in_full(code: str) -> None:
    assert by_code(code) is None


U, M = UCUM_SYSTEM, MIMIC_UNITS


@pytest.mark.parametrize(
    ("quantity", "target", "molar_mass", "assume", "reason"),
    [
        ((None, None, None), "/min", None, False, "no_unit"),
        ((U, None, None), "/min", None, False, "no_unit"),
        ((U, "", " "), "/min", None, False, "no_unit"),
        ((None, None, "furlong"), "/min", None, False, "unknown_unit"),
        ((None, None, "furlong"), "/min", None, True, "unknown_unit"),
        ((U, "[arb'U]", None), "/min", None, False, "unknown_unit"),
        ((U, "bpm", "/min"), "/min", None, False, "unknown_unit"),
        ((U, "cel", "Cel"), "Cel", None, False, "unknown_unit"),
        (("http://snomed.info/sct", "258984001", "bpm"), "/min", None, False, "unknown_unit"),
        ((U, "Cel", "°F"), "Cel", None, False, "unit_contradiction"),
        ((U, "mg/dL", "umol/L"), "mg/dL", 113.12, False, "unit_contradiction"),
        ((M, "°F", "°C"), "Cel", None, False, "unit_contradiction"),
        ((U, "/min", "/s"), "/min", None, False, "unit_contradiction"),
        ((U, "mg/dL", None), "mmol/L", None, False, "incompatible_unit"),
        ((U, "mmol/L", None), "mg/dL", None, False, "incompatible_unit"),
        ((U, "mm[Hg]", None), "/min", None, False, "incompatible_unit"),
        ((U, "meq/L", None), "mmol/L", 35.45, False, "incompatible_unit"),
        ((U, "Cel", None), "/min", None, True, "incompatible_unit"),
    ],
)
def test_says_why_a_unit_is_not_believed(
    quantity: tuple[str | None, str | None, str | None],
    target: str,
    molar_mass: float | None,
    assume: bool,
    reason: str,
) -> None:
    assert resolve(*quantity, target, molar_mass, assume) == reason


@pytest.mark.parametrize(
    ("quantity", "target", "assume", "expected"),
    [
        ((U, "Cel", "degrees C"), "Cel", False, 37.0),  # the text is the same unit
        ((U, "Cel", "oral"), "Cel", False, 37.0),  # a text that names no unit contradicts nothing
        ((U, " Cel ", None), "Cel", False, 37.0),
        ((M, "°C", "°C"), "Cel", False, 37.0),
        ((None, "Cel", None), "Cel", False, 37.0),
        ((None, None, "°C"), "Cel", False, 37.0),
        ((None, None, None), "Cel", True, 37.0),
        ((U, "Cel", None), "Cel", True, 37.0),
        ((U, "[degF]", None), "Cel", True, 25 / 9),  # the unit said goes before the unit assumed
    ],
)
def test_the_coded_unit_decides_and_a_missing_one_may_be_assumed(
    quantity: tuple[str | None, str | None, str | None], target: str, assume: bool, expected: float
) -> None:
    found = resolve(*quantity, target, None, assume)
    assert isinstance(found, Conversion)
    assert found(37.0) == pytest.approx(expected, rel=1e-12)


def test_equal_measures_under_two_names_do_not_contradict() -> None:
    assert isinstance(resolve(U, "10*3/uL", "10^9/L", "10*3/uL", None, False), Conversion)
    assert isinstance(resolve(U, "U/L", "IU/L", "U/L", None, False), Conversion)


def test_mass_and_molar_concentration_are_each_others_inverse() -> None:
    there = conversion(KNOWN["mg/dL"], KNOWN["mmol/L"], LACTATE)
    back = conversion(KNOWN["mmol/L"], KNOWN["mg/dL"], LACTATE)
    assert there is not None
    assert back is not None
    assert back(there(36.9)) == pytest.approx(36.9, rel=1e-12)
    assert there(back(4.1)) == pytest.approx(4.1, rel=1e-12)


def test_a_conversion_keeps_the_order_of_values() -> None:
    for unit in KNOWN.values():
        for target in KNOWN.values():
            found = conversion(unit, target, 100.0)
            if found is not None:
                assert all(a < b for a, b in pairwise(map(found, (-3.0, 0.0, 1.0, 250.0))))


def test_a_long_text_is_not_kept() -> None:
    """A cache of thousands of texts of megabytes each would fill the memory of whoever reads what strangers send."""
    text = "x" * 5000
    known = sys.getrefcount(text)
    assert resolve(None, text, None, "/min", None, False) == "unknown_unit"
    assert resolve(UCUM_SYSTEM, "/min", text, "/min", None, False) == resolve(
        UCUM_SYSTEM, "/min", None, "/min", None, False
    )
    assert sys.getrefcount(text) == known
