"""F4: the peer trains on other items, units, windows and ages than it serves."""

import pytest
from tests.charts import MIMIC, T, by_reason, chart, matrix, observation, patient, results, row, rule_bundle, sepsis

from screening.errors import ModelError
from screening.outcome import Outcome
from screening.readers.fhir import read

CHART, LAB = f"{MIMIC}/mimic-chartevents-d-items", f"{MIMIC}/mimic-d-labitems"


def item(system: str, itemid: int, number: float, unit: str) -> dict[str, object]:
    """Make an Observation of a MIMIC item."""
    return observation(
        id=f"{itemid}-{number}",
        code={"coding": [{"system": system, "code": str(itemid)}]},
        valueQuantity={"value": number, "unit": unit, "code": unit, "system": f"{MIMIC}/mimic-units"},
    )


def test_f4_the_probe_patient_of_the_peers_skew() -> None:
    """Charted HR 120 with arterial pressure 85 the peer trains on "heart_rate" 83.4, and it serves 101.5 °F as 101.5."""
    content = [
        patient(),
        item(CHART, 220045, 120, "bpm"),
        item(CHART, 220050, 85, "mmHg"),
        item(CHART, 223761, 101.5, "°F"),
        item(LAB, 51301, 12.0, "K/uL"),
        item(LAB, 51300, 99.0, "K/uL"),
        item(LAB, 50813, 2.1, "mmol/L"),
        item(LAB, 50843, 700.0, "IU/L"),
        item(LAB, 50912, 1.6, "mg/dL"),
    ]
    found = row(content)
    assert found["heart_rate"] == 120.0
    assert found["temperature"] == pytest.approx(38.6111, abs=1e-4)
    assert (found["wbc"], found["lactate"], found["creatinine"]) == (12.0, 2.1, 1.6)
    assert by_reason(read(content, sepsis()).drops) == {}


def test_f4_both_thermometers_mean_one_temperature() -> None:
    """The peer serves the Fahrenheit item only, and unconverted."""
    content = [patient(), item(CHART, 223761, 98.6, "°F"), item(CHART, 223762, 39.0, "°C")]
    assert row(content)["temperature"] == 38.0


def test_f4_arterial_pressure_is_no_heart_rate_even_in_beats() -> None:
    """The peer's training takes item 220050, arterial pressure, for the heart rate."""
    found = matrix([patient(), item(CHART, 220050, 85, "bpm")])
    assert found.rows["heart_rate"].isna().all()
    assert found.drops == {}


def test_f4_one_schema_says_items_units_window_and_aggregate_for_both() -> None:
    """The peer's training script repeats them by hand, and errs in four of six."""
    for feature in sepsis().of("Observation"):
        assert feature.mimic is not None
        assert feature.mimic.itemid
        assert feature.unit
        assert feature.range
        assert feature.how == "mean"
    assert sepsis().lookback is not None


def test_f4_values_of_another_stay_are_not_in_the_window() -> None:
    """The peer trains on the first 24 hours of a stay and serves every observation ever."""
    content = [patient(), observation(value=60, hours=24 * 400), observation(value=120, hours=2)]
    assert row(content)["heart_rate"] == 120.0


def test_f4_age_is_the_age_at_the_prediction_time() -> None:
    """The peer trains on the anchor age and serves the difference of two years' numbers."""
    assert row([patient(birthDate="1966-12-31")], t=T)["age"] == 59.0


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"units": {"temperature": "[degF]"}}, r"other units: temperature \(\[degF\], the schema has Cel\)"),
        ({"aggregation": {"heart_rate": "last"}}, r"other aggregation: heart_rate \(last, the schema has mean\)"),
    ],
)
def test_f4_a_model_fitted_on_another_unit_or_aggregate_scores_nobody(told: dict[str, object], what: str) -> None:
    """The peer's model of Celsius is served Fahrenheit, and nothing compares."""
    with pytest.raises(ModelError, match=what):
        results(chart(), rule_bundle(**told))
    same = {"units": {"temperature": "Cel"}, "aggregation": {"heart_rate": "mean"}}
    assert [one.outcome for one in results(chart(), rule_bundle(**same))] == [Outcome.SCORED]
