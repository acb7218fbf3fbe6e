"""F6 and F7: the peer ignores the code's system, matches by prefix, and reads the first coding only."""

from typing import Any

import pytest
from tests.charts import LOINC, MIMIC, dropped, observation, patient, schema_of, value

CHART, LAB, OTHER = f"{MIMIC}/mimic-chartevents-d-items", f"{MIMIC}/mimic-d-labitems", "http://example.org/other"


def coded(number: float, *pairs: tuple[str, str], feature: str = "wbc", **more: Any) -> dict[str, Any]:
    coding = [{"system": system, "code": code} for system, code in pairs]
    return observation(feature, number, style="mimic", code={"coding": coding}, **more)


def test_f6_a_code_of_another_system_is_another_code() -> None:
    """The peer takes 51301 of http://example.org/other for the white blood cells."""
    content = [patient(), coded(28.5, (OTHER, "51301"))]
    assert value(content, "wbc") != value(content, "wbc")
    assert dropped(content) == {}


def test_f6_one_number_in_two_systems_is_not_averaged() -> None:
    """The peer averages 1.6 of MIMIC's 50912 with 100 of somebody's 50912 to 50.8."""
    content = [
        patient(),
        coded(1.6, (LAB, "50912"), feature="creatinine"),
        coded(100, (OTHER, "50912"), feature="creatinine"),
        coded(100, (CHART, "50912"), feature="creatinine"),
    ]
    assert value(content, "creatinine") == 1.6


def test_f6_two_features_may_share_a_code_of_two_systems() -> None:
    """In the peer two features with one code in different systems fall together."""
    schema = schema_of(
        f"""
mine: {{fhir_resource: Observation, code: "7", code_system: "{LAB}", unit: /min}}
yours: {{fhir_resource: Observation, code: "7", code_system: "{OTHER}", unit: /min}}
"""
    )
    content = [patient(), coded(10, (LAB, "7"), feature="heart_rate"), coded(90, (OTHER, "7"), feature="heart_rate")]
    assert value(content, "mine", schema=schema) == 10.0
    assert value(content, "yours", schema=schema) == 90.0


@pytest.mark.parametrize("code", ["220045999", "2200450", "22004", "0220045", "220045.0", "220045_1"])
def test_f7_a_code_is_no_prefix(code: str) -> None:
    """The peer takes code 220045999 with value 5 for a heart rate of 5."""
    content = [patient(), coded(5, (CHART, code), feature="heart_rate")]
    assert value(content) != value(content)


@pytest.mark.parametrize("place", range(3))
def test_f7_every_coding_is_read(place: int) -> None:
    """The peer reads coding[0] only: with a local code first, WBC 28.5 is lost and 0.9169 becomes 0.7414."""
    pairs = [(OTHER, "WBC"), ("urn:oid:1.2.3", "6690-2x")]
    pairs.insert(place, (LAB, "51301"))
    assert value([patient(), coded(28.5, *pairs)], "wbc") == 28.5


def test_f7_a_value_coded_in_two_known_ways_is_one_value() -> None:
    """The peer makes a column of each code."""
    both = coded(28.5, (LAB, "51301"), (LOINC, "6690-2"))
    content = [patient(), both, observation("wbc", 10.0, hours=2)]
    assert value(content, "wbc") == 19.25
    assert dropped(content) == {}
