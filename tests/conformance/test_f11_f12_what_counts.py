"""F11 and F12: the peer ignores status, components and comparators, and believes a heart rate of 11300."""

from typing import Any

import pytest
from tests.charts import LOINC, at, dropped, observation, patient, quantity, schema_of, value


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "registered", "unknown", None])
def test_f11_a_value_of_no_valid_status_does_not_count(status: str | None) -> None:
    """The peer averages an entered-in-error heart rate of 400 with 113 to 256.5, and a cancelled WBC of 0 with 28.5."""
    content = [
        patient(), observation(value=113.0), observation(value=290.0, hours=2, status=status),
        observation("wbc", 28.5), observation("wbc", 0.5, hours=2, status=status),
    ]  # fmt: skip
    assert value(content) == 113.0
    assert value(content, "wbc") == 28.5
    assert dropped(content) == {("heart_rate", "status"): 1, ("wbc", "status"): 1}


def test_f11_a_value_that_was_struck_later_does_not_count() -> None:
    """The peer reads every version that a page holds."""
    first = observation(value=290.0, id="o", meta={"versionId": "1"})
    struck = observation(value=290.0, id="o", meta={"versionId": "2"}, status="entered-in-error")
    for order in ([first, struck], [struck, first]):
        assert value([patient(), *order]) != value([patient(), *order])


def test_f12_a_components_value_counts() -> None:
    """The peer ignores component[], and with it every blood pressure."""
    schema = schema_of(
        f"systolic: {{fhir_resource: Observation, code: 8480-6, code_system: {LOINC}, unit: 'mm[Hg]', range: [20, 300]}}"
    )
    part = {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": quantity(85, "mm[Hg]")}
    panel = observation(code={"coding": [{"system": LOINC, "code": "85354-9"}]}, valueQuantity=None, component=[part])
    assert value([patient(), panel], "systolic", schema=schema) == 85.0


@pytest.mark.parametrize(
    ("feature", "sent", "reason"),
    [
        ("lactate", {"valueQuantity": quantity(0.2, "mmol/L", comparator="<")}, "comparator"),
        ("lactate", {"valueQuantity": quantity(30, "mmol/L", comparator=">")}, "comparator"),
        ("wbc", {"valueQuantity": None, "valueString": "12 (H)"}, "not_a_quantity"),
        ("wbc", {"valueQuantity": None, "valueString": "12"}, "not_a_quantity"),
        ("heart_rate", {"valueQuantity": quantity(11300)}, "out_of_range"),
        ("heart_rate", {"valueQuantity": quantity(0)}, "out_of_range"),
        ("wbc", {"valueQuantity": quantity(-5, "10*3/uL")}, "out_of_range"),
        ("heart_rate", {"valueQuantity": None, "dataAbsentReason": {"text": "artefact"}}, "no_value"),
    ],
)  # fmt: skip
def test_f12_what_is_no_plain_plausible_number_does_not_count(feature: str, sent: dict[str, Any], reason: str) -> None:
    """The peer reads "<0.2" as 0.2, "12 (H)" as nothing, and accepts a heart rate of 11300 and a WBC of -5."""
    sound = {"lactate": 4.1, "wbc": 28.5, "heart_rate": 113.0}[feature]
    content = [patient(), observation(feature, sound, hours=2), observation(feature, **sent)]
    assert value(content, feature) == sound
    assert dropped(content) == {(feature, reason): 1}


def test_f12_each_drop_is_counted_by_its_reason() -> None:
    """The peer tells nobody what it left out."""
    content = [
        patient(),
        observation(status="cancelled", hours=2),
        observation(status="cancelled", hours=3),
        observation(valueQuantity=quantity(0), hours=4),
        observation(effectiveDateTime=at(30)),
    ]
    assert dropped(content) == {
        ("heart_rate", "status"): 2,
        ("heart_rate", "out_of_range"): 1,
        ("heart_rate", "before_window"): 1,
    }
