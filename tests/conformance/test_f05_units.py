"""F5: the peer ignores units, and scores 141 µmol/L creatinine as 141 mg/dL."""

from typing import Any

import pytest
from tests.charts import SICK, chart, dropped, observation, patient, quantity, result, rule_bundle, value


@pytest.mark.parametrize(
    ("feature", "sent", "expected"),
    [
        ("temperature", quantity(37.1, "Cel"), 37.1),
        ("temperature", quantity(98.78, "[degF]"), 37.1),
        ("creatinine", quantity(141, "umol/L"), 1.594992),
        ("creatinine", quantity(1.594992, "mg/dL"), 1.594992),
        ("wbc", quantity(28500, "/uL"), 28.5),
        ("wbc", quantity(28.5, "10*9/L"), 28.5),
        ("lactate", quantity(36.93280, "mg/dL"), 4.1),
    ],
)
def test_f5_a_value_is_what_its_unit_says(feature: str, sent: dict[str, Any], expected: float) -> None:
    """The peer takes 37.1 Cel for 37.1 °F, 141 µmol/L for 141 mg/dL, and 28500 per µL for 28500 thousand."""
    assert value([patient(), observation(feature, valueQuantity=sent)], feature) == pytest.approx(expected, rel=1e-12)


def test_f5_celsius_under_the_fahrenheit_item_is_celsius() -> None:
    """The peer reads 37.1 Cel under item 223761 as 37.1 °F."""
    sent = observation("temperature", style="mimic", valueQuantity=quantity(37.1, "Cel"))
    assert value([patient(), sent], "temperature") == 37.1


@pytest.mark.parametrize(
    ("feature", "sent", "reason"),
    [
        ("temperature", quantity(98.6, "Cel"), "out_of_range"),
        ("temperature", quantity(37.1, None), "no_unit"),
        ("temperature", quantity(37.1, "Cel", unit="°F"), "unit_contradiction"),
        ("creatinine", quantity(141, None), "no_unit"),
        ("creatinine", quantity(1.6, "U/L"), "incompatible_unit"),
        ("wbc", quantity(28500, "10*3/uL"), "out_of_range"),
        ("wbc", quantity(28.5, "mg/dL"), "incompatible_unit"),
        ("lactate", quantity(4.1, "mmol"), "unknown_unit"),
        ("heart_rate", quantity(80, "mm[Hg]"), "incompatible_unit"),
    ],
)
def test_f5_a_unit_that_is_not_certain_is_no_value(feature: str, sent: dict[str, Any], reason: str) -> None:
    """The peer never looks at the unit."""
    content = [patient(), observation(feature, valueQuantity=sent)]
    assert dropped(content) == {(feature, reason): 1}
    assert value(content, feature) != value(content, feature)


def test_f5_the_unit_changes_nothing_of_the_score() -> None:
    """The peer's score follows the laboratory's choice of unit."""
    other = {
        "temperature": quantity(101.12, "[degF]"),
        "wbc": quantity(28500, "/uL"),
        "lactate": quantity(36.93280, "mg/dL"),
        "creatinine": quantity(141.4427157001414, "umol/L"),
    }
    content = [
        patient(),
        *[observation(n, v, **({"valueQuantity": other[n]} if n in other else {})) for n, v in SICK.items()],
    ]
    ours, theirs = result(chart(), rule_bundle()), result(content, rule_bundle())
    assert theirs.probability == ours.probability
    for mine, yours in zip(ours.inputs, theirs.inputs, strict=True):
        assert yours.value == pytest.approx(mine.value, rel=1e-9)
        assert yours.unit == mine.unit


def test_f5_mixed_units_of_one_day_meet_in_one() -> None:
    """The peer averages 1.6 with 141."""
    content = [
        patient(),
        observation("creatinine", 1.6, hours=3),
        observation("creatinine", hours=2, valueQuantity=quantity(141.4427157001414, "umol/L")),
    ]
    assert value(content, "creatinine") == pytest.approx(1.6, rel=1e-9)
