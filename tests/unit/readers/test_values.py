"""What counts as a value: each rule of the design's table beside the input that breaks it and the reason that is counted."""

from typing import Any

import pytest
from tests.charts import (
    LOINC,
    MIMIC,
    UCUM,
    by_reason,
    heart_rate_schema,
    observation,
    patient,
    quantity,
    schema_of,
    sepsis,
)

from screening.readers.fhir import read
from screening.schema import Schema

Change = dict[str, Any]
KEPT = None


def outcome(
    resource: Change, schema: Schema | None = None, **more: Any
) -> tuple[list[float], dict[tuple[str, str], int]]:
    """Return the values kept of one Observation, and the drops."""
    reading = read([patient(), resource], schema or sepsis(), **more)
    return reading.observations["value"].tolist(), by_reason(reading.drops)


def check(change: Change, reason: str | None, schema: Schema | None = None) -> None:
    values, drops = outcome(observation(**change), schema)
    name = change.get("feature", "heart_rate")
    assert drops == ({} if reason is KEPT else {(name, reason): 1})
    assert len(values) == (1 if reason is KEPT else 0)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("final", KEPT), ("amended", KEPT), ("corrected", KEPT), ("preliminary", KEPT), ("registered", "status"),
        ("cancelled", "status"), ("entered-in-error", "status"), ("unknown", "status"), (None, "status"),
        ("Final", "status"), ("", "status"), (["final"], "status"),
    ],
)  # fmt: skip
def test_status(status: Any, reason: str | None) -> None:
    check({"status": status}, reason)


def test_preliminary_counts_unless_the_schema_says_otherwise() -> None:
    strict = heart_rate_schema(more="preliminary: false")
    check({"status": "preliminary"}, "status", strict)
    check({"status": "final"}, KEPT, strict)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, KEPT),
        ({"valueQuantity": None}, "no_value"),
        ({"valueQuantity": None, "dataAbsentReason": {"text": "not done"}}, "no_value"),
        ({"dataAbsentReason": {"text": "not done"}}, "no_value"),
        ({"valueQuantity": {}}, "no_value"),
        ({"valueQuantity": quantity(None)}, "no_value"),
        ({"valueQuantity": quantity(80, comparator="<")}, "comparator"),
        ({"valueQuantity": quantity(80, comparator=">=")}, "comparator"),
        ({"valueQuantity": quantity(80, modifierExtension=[{"url": "u"}])}, "comparator"),
        ({"valueQuantity": quantity("80")}, "not_a_quantity"),
        ({"valueQuantity": quantity(True)}, "not_a_quantity"),
        ({"valueQuantity": quantity(float("nan"))}, "not_a_quantity"),
        ({"valueQuantity": [quantity(80)]}, "not_a_quantity"),
        ({"valueQuantity": None, "valueString": "80 (H)"}, "not_a_quantity"),
        ({"valueQuantity": None, "valueString": "80"}, "not_a_quantity"),
        ({"valueQuantity": None, "valueInteger": 80}, "not_a_quantity"),
        ({"valueQuantity": None, "valueBoolean": False}, "not_a_quantity"),
        ({"valueQuantity": None, "valueRange": {"low": quantity(70), "high": quantity(90)}}, "not_a_quantity"),
        ({"valueQuantity": None, "valueRatio": {"numerator": quantity(80)}}, "not_a_quantity"),
        ({"valueQuantity": None, "valueCodeableConcept": {"text": "fast"}}, "not_a_quantity"),
        ({"valueQuantity": None, "valueSampledData": {"data": "1 2"}}, "not_a_quantity"),
        ({"valueQuantity": quantity(80, None)}, "no_unit"),
        ({"valueQuantity": quantity(80, " ")}, "no_unit"),
        ({"valueQuantity": quantity(80, "{bogus}")}, "unknown_unit"),
        ({"valueQuantity": quantity(80, "bpm")}, "unknown_unit"),
        ({"valueQuantity": {"value": 80, "code": 7}}, "unknown_unit"),
        ({"valueQuantity": {"value": 80, "unit": ["bpm"]}}, "unknown_unit"),
        ({"valueQuantity": quantity(80, unit="/s")}, "unit_contradiction"),
        ({"valueQuantity": quantity(80, "mm[Hg]")}, "incompatible_unit"),
        ({"valueQuantity": quantity(0)}, "out_of_range"),
        ({"valueQuantity": quantity(0.9999)}, "out_of_range"),
        ({"valueQuantity": quantity(1)}, KEPT),
        ({"valueQuantity": quantity(300)}, KEPT),
        ({"valueQuantity": quantity(300.0001)}, "out_of_range"),
        ({"valueQuantity": quantity(-80)}, "out_of_range"),
        ({"valueQuantity": quantity(11300)}, "out_of_range"),
        ({"valueQuantity": quantity(5.1, "/s")}, "out_of_range"),
        ({"valueQuantity": quantity(float("inf"))}, "out_of_range"),
        ({"valueQuantity": quantity(10**400)}, "out_of_range"),
        ({"feature": "temperature", "valueQuantity": quantity(98.6, "Cel")}, "out_of_range"),
        ({"feature": "temperature", "valueQuantity": quantity(37.0, "[degF]")}, "out_of_range"),
        ({"feature": "temperature", "valueQuantity": quantity(113, "[degF]")}, KEPT),
        ({"feature": "temperature", "valueQuantity": quantity(77, "[degF]")}, KEPT),
        ({"feature": "temperature", "valueQuantity": quantity(113.01, "[degF]")}, "out_of_range"),
        ({"feature": "wbc", "value": -5.0}, "out_of_range"),
        ({"feature": "creatinine", "valueQuantity": quantity(141, "mg/dL")}, KEPT),
        ({"feature": "creatinine", "valueQuantity": quantity(151, "mg/dL")}, "out_of_range"),
    ],
)  # fmt: skip
def test_value_unit_and_range(change: Change, reason: str | None) -> None:
    check(change, reason)


@pytest.mark.parametrize(
    ("feature", "sent", "expected"),
    [
        ("temperature", quantity(98.6, "[degF]"), 37.0),
        ("temperature", {"value": 98.6, "unit": "°F", "code": "°F", "system": f"{MIMIC}/mimic-units"}, 37.0),
        ("creatinine", quantity(141, "umol/L"), 1.594992),
        ("lactate", quantity(36.032, "mg/dL"), 4.0),
        ("wbc", quantity(28500, "/uL"), 28.5),
        ("wbc", quantity(28.5, "10*9/L"), 28.5),
        ("heart_rate", {"value": 113, "unit": "bpm"}, 113.0),
        ("heart_rate", quantity(113, unit="beats per minute of the radial pulse"), 113.0),
    ],
)
def test_a_known_unit_is_converted(feature: str, sent: Change, expected: float) -> None:
    values, drops = outcome(observation(feature, valueQuantity=sent))
    assert values == pytest.approx([expected], rel=1e-9)
    assert drops == {}


def test_a_missing_unit_is_taken_only_where_the_feature_says_so() -> None:
    assuming = heart_rate_schema(extra=", assume_unit: true")
    check({"valueQuantity": quantity(80, None)}, KEPT, assuming)
    check({"valueQuantity": quantity(80, "{bogus}")}, "unknown_unit", assuming)
    check({"valueQuantity": {"value": 80, "code": 7}}, "unknown_unit", assuming)
    check({"valueQuantity": quantity(8000, None)}, "out_of_range", assuming)


def test_mass_and_molar_concentration_need_the_analytes_molar_mass() -> None:
    glucose = f"glucose: {{fhir_resource: Observation, code: 2345-7, code_system: {LOINC}, unit: mg/dL}}"
    coded = {"coding": [{"system": LOINC, "code": "2345-7"}]}
    sent = observation(code=coded, valueQuantity=quantity(5.5, "mmol/L"))
    assert outcome(sent, schema_of(glucose)) == ([], {("glucose", "incompatible_unit"): 1})
    values, drops = outcome(sent, schema_of(glucose.replace("}", ", molar_mass: 180.156}")))
    assert values == pytest.approx([99.0858])
    assert drops == {}


def test_without_a_range_an_absurd_number_is_refused_and_an_odd_one_is_not() -> None:
    free = schema_of(f"heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}")
    check({"valueQuantity": quantity(-80)}, KEPT, free)
    check({"valueQuantity": quantity(1e29)}, KEPT, free)
    check({"valueQuantity": quantity(1e31)}, "out_of_range", free)
    check({"valueQuantity": quantity(-(10**400))}, "out_of_range", free)
    check({"valueQuantity": quantity(9e29, "/s")}, "out_of_range", free)  # absurd once it is converted


@pytest.mark.parametrize("bounds", ["[0, .inf]", "[0, 1.0e+300]", "[-.inf, .inf]"])
def test_no_range_lets_in_what_no_model_can_hold(bounds: str) -> None:
    wide = schema_of(
        f"heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min, range: {bounds}}}"
    )
    check({"valueQuantity": quantity(1e29)}, KEPT, wide)
    check({"valueQuantity": quantity(1e30, "/s")}, "out_of_range", wide)


CHART, LAB = f"{MIMIC}/mimic-chartevents-d-items", f"{MIMIC}/mimic-d-labitems"


@pytest.mark.parametrize(
    ("coding", "kept"),
    [
        ([{"system": LOINC, "code": "8867-4"}], 1),
        ([{"system": f" {LOINC} ", "code": " 8867-4\n"}], 1),
        ([{"system": CHART, "code": "220045"}], 1),
        ([{"system": "http://example.org/local", "code": "HR"}, {"system": CHART, "code": "220045"}], 1),
        ([{"system": LOINC, "code": "8867-4"}, {"system": CHART, "code": "220045"}], 1),  # one value, coded twice
        ([None, "8867-4", {"code": "8867-4"}, {"system": LOINC, "code": "8867-4"}], 1),
        ([{"system": CHART, "code": "220045999"}], 0),
        ([{"system": CHART, "code": "22004"}], 0),
        ([{"system": LAB, "code": "220045"}], 0),
        ([{"system": "http://example.org/other", "code": "8867-4"}], 0),
        ([{"system": LOINC.replace("http", "https"), "code": "8867-4"}], 0),
        ([{"code": "8867-4"}], 0),
        ([{"system": LOINC}], 0),
        ([{"system": LOINC, "code": "8867"}], 0),
        ([{"system": CHART, "code": 220045}], 0),
        ([], 0),
        ({"system": LOINC, "code": "8867-4"}, 0),
    ],
)  # fmt: skip
def test_a_code_is_matched_exactly_with_its_system_over_all_codings(coding: Any, kept: int) -> None:
    values, drops = outcome(observation(code={"coding": coding}))
    assert len(values) == kept
    assert drops == {}  # what the schema does not ask for is no drop


@pytest.mark.parametrize("code", [None, "8867-4", [], {"text": "Heart rate"}])
def test_a_code_of_no_use_is_no_code(code: Any) -> None:
    assert outcome(observation(code=code)) == ([], {})


PRESSURE = schema_of(
    f"""
systolic: {{fhir_resource: Observation, codes: [{{system: "{LOINC}", code: 8480-6}}], unit: "mm[Hg]", range: [20, 300]}}
diastolic: {{fhir_resource: Observation, codes: [{{system: "{LOINC}", code: 8462-4}}], unit: "mm[Hg]", range: [10, 200]}}
"""
)


def component(code: str, value: float, **more: Any) -> Change:
    return {
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "valueQuantity": quantity(value, "mm[Hg]"),
        **more,
    }


def panel(*components: Any, **more: Any) -> Change:
    whole = {"coding": [{"system": LOINC, "code": "85354-9"}]}
    return observation(code=whole, valueQuantity=None, component=list(components), **more)


def test_a_component_is_an_observation_of_its_own() -> None:
    reading = read([patient(), panel(component("8480-6", 85), component("8462-4", 50))], PRESSURE)
    found = reading.observations.set_index("feature")
    assert found["value"].to_dict() == {"systolic": 85.0, "diastolic": 50.0}
    assert found["source"].nunique() == 1
    assert reading.drops == {}


@pytest.mark.parametrize(
    ("whole", "kept", "drops"),
    [
        (panel(component("8480-6", 85), component("8462-4", 5)), [85.0], {("diastolic", "out_of_range"): 1}),
        (panel(component("8480-6", 85), component("8462-4", 50, modifierExtension=[{"url": "u"}])), [85.0],
         {("diastolic", "modifier_extension"): 1}),
        (panel(component("8480-6", 85), component("8462-4", 50, dataAbsentReason={"text": "cuff"})), [85.0],
         {("diastolic", "no_value"): 1}),
        (panel(component("8480-6", 85), component("8462-4", 50), status="entered-in-error"), [],
         {("systolic", "status"): 1, ("diastolic", "status"): 1}),
        (panel(component("8480-6", 85), component("8462-4", 50), effectiveDateTime=None), [],
         {("systolic", "no_time"): 1, ("diastolic", "no_time"): 1}),
        (panel(component("8480-6", 85), component("8462-4", 50), modifierExtension=[{"url": "u"}]), [],
         {("systolic", "modifier_extension"): 1, ("diastolic", "modifier_extension"): 1}),
        (panel(component("8480-6", 85), "noise", None, 7), [85.0], {}),
        (panel(component("9999-9", 85)), [], {}),
        (observation(component={"code": "8480-6"}), [], {}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_component_or_with_its_panel(whole: Change, kept: list[float], drops: Change) -> None:
    assert outcome(whole, PRESSURE) == (kept, drops)


def test_a_panels_own_code_may_stand_beside_the_components_so_that_a_search_finds_it() -> None:
    both = schema_of(
        f'systolic: {{fhir_resource: Observation, codes: [{{system: "{LOINC}", code: 8480-6}}, '
        f'{{system: "{LOINC}", code: 85354-9}}], unit: "mm[Hg]", range: [20, 300]}}'
    )
    values, drops = outcome(panel(component("8480-6", 85), component("8462-4", 50)), both)
    assert values == [85.0]
    assert drops == {("systolic", "no_value"): 1}


def test_one_code_may_feed_two_features() -> None:
    code = f"fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min"
    schema = schema_of(f"highest: {{{code}, aggregate: max, range: [1, 300]}}\nmean: {{{code}, range: [1, 100]}}")
    reading = read([patient(), observation(value=80), observation(value=120)], schema)
    assert reading.observations.groupby("feature")["value"].apply(list).to_dict() == {
        "highest": [80.0, 120.0],
        "mean": [80.0],
    }
    assert by_reason(reading.drops) == {("mean", "out_of_range"): 1}


@pytest.mark.parametrize(
    "change",
    [{"modifierExtension": [{"url": "http://example.org/negated"}]}, {"implicitRules": "http://example.org/rules"}],
)
def test_what_may_turn_the_meaning_around_is_dropped(change: Change) -> None:
    check(change, "modifier_extension")


def test_an_ordinary_extension_and_an_empty_modifier_change_nothing() -> None:
    check({"extension": [{"url": "u"}], "modifierExtension": []}, KEPT)


def test_counting_needs_no_unit_and_no_number() -> None:
    cultures = schema_of(
        f"cultures: {{fhir_resource: Observation, code: 600-7, code_system: {LOINC}, aggregate: count}}"
    )
    coded = {"coding": [{"system": LOINC, "code": "600-7"}]}
    positive = observation(code=coded, valueQuantity=None, valueString="E. coli")
    assert outcome(positive, cultures) == ([1.0], {})
    assert outcome(positive | {"status": "cancelled"}, cultures) == ([], {("cultures", "status"): 1})


def test_counting_with_a_unit_counts_what_would_be_a_value() -> None:
    schema = heart_rate_schema("count")
    check({"valueQuantity": quantity(80)}, KEPT, schema)
    check({"valueQuantity": quantity(800)}, "out_of_range", schema)


def test_a_row_tells_its_unit_source_and_encounter() -> None:
    sent = observation(
        "temperature",
        98.6,
        id="t1",
        meta={"versionId": "3"},
        valueQuantity={"value": 98.6, "unit": "°F", "system": UCUM, "code": "[degF]"},
        encounter={"reference": "Encounter/e"},
    )
    (found,) = read([patient(), sent], sepsis()).observations.to_dict("records")
    assert (found["patient_id"], found["feature"], found["unit"]) == ("p", "temperature", "Cel")
    assert (found["source"], found["encounter"]) == ("Observation/t1/_history/3", "Encounter/e")


@pytest.mark.parametrize(
    ("change", "source"),
    [
        ({"id": "o", "meta": {"versionId": "7"}}, "Observation/o/_history/7"),
        ({"id": "o", "meta": {}}, "Observation/o"),
        ({"id": "o", "meta": "v7"}, "Observation/o"),
        ({"id": "o", "meta": {"versionId": 7}}, "Observation/o"),
        ({"id": None, "meta": {"versionId": "7"}}, ""),
        ({"id": 5}, ""),
        ({"id": "half \ud800 a pair"}, ""),
    ],
)
def test_the_source_is_versioned_where_the_version_is_known(change: Change, source: str) -> None:
    reading = read([patient(), observation(**change)], sepsis())
    assert reading.observations["source"].tolist() == [source]


@pytest.mark.parametrize("encounter", [None, "Encounter/e", {}, {"reference": 5}, {"reference": "\ud800"}, []])
def test_an_encounter_that_cannot_be_read_is_none(encounter: Any) -> None:
    assert read([patient(), observation(encounter=encounter)], sepsis()).observations["encounter"].tolist() == [""]
