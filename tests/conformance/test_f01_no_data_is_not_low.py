"""F1: the peer scores a patient without a single observation 0.12, "low", and writes it as final."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.charts import (
    SICK,
    T,
    at,
    boosted_bundle,
    bundle,
    chart,
    observation,
    patient,
    quantity,
    result,
    results,
    rule_bundle,
    sepsis,
)

from screening.model.bundle import ModelBundle
from screening.outcome import Outcome
from screening.readers.fhir import read
from screening.schema import load_schema

MODELS = [boosted_bundle(), rule_bundle()]
models = pytest.mark.parametrize("model", MODELS, ids=["boosted", "rule"])


def not_scored(one: Any, *missing: str) -> None:
    assert one.outcome is Outcome.INSUFFICIENT_DATA
    assert one.detail == missing
    assert one.probability is None
    assert one.risk_level is None


@models
def test_f1_the_models_themselves_would_answer_an_empty_row(model: ModelBundle) -> None:
    """The peer's models take NaN, so nothing fails; ours here do too, or these tests would prove nothing."""
    import numpy as np

    answer = model.predict(np.full((1, len(model.feature_names)), np.nan))
    assert 0 <= answer[0] <= 1
    assert model.handles_missing


@models
def test_f1_a_patient_without_any_observation_is_not_low(model: ModelBundle) -> None:
    """The peer answers 0.1213 and "low" for a patient with zero observations."""
    not_scored(result([patient()], model), *SICK)
    not_scored(result(bundle(patient()), model), *SICK)
    not_scored(result([patient()], model, t="latest"), *SICK)


@models
def test_f1_a_normally_coded_sick_patient_is_seen(model: ModelBundle) -> None:
    """The peer finds none of a LOINC-coded patient's values and answers "low" although WBC is 28.5 and HR 113."""
    one = result(chart(), model)
    assert one.outcome is Outcome.SCORED
    assert one.probability is not None
    assert one.probability > 0.7
    assert {item.feature: item.value for item in one.inputs if item.feature in SICK} == SICK


@models
@pytest.mark.parametrize(
    "broken",
    [
        {"status": "entered-in-error"},
        {"status": None},
        {"effectiveDateTime": None},
        {"effectiveDateTime": at(24)},
        {"effectiveDateTime": at(-1)},
        {"issued": at(-1)},
        {"subject": {"reference": "Patient/somebody-else"}},
        {"valueQuantity": None, "valueString": "high"},
        {"valueQuantity": quantity(113, None)},
        {"valueQuantity": quantity(113, comparator=">")},
        {"valueQuantity": quantity(-1, "/min")},
        {"code": {"coding": [{"system": "http://example.org/local", "code": "8867-4"}]}},
        {"modifierExtension": [{"url": "http://example.org/not"}]},
    ],
)
def test_f1_a_patient_whose_every_value_is_refused_has_no_data(model: ModelBundle, broken: dict[str, Any]) -> None:
    """The peer turns what it cannot read into NaN, and NaN into "low"."""
    content = [patient(), *[observation(name, number, **broken) for name, number in SICK.items()]]
    not_scored(result(content, model), *SICK)


@models
def test_f1_a_patient_that_the_server_does_not_know_is_not_low(model: ModelBundle) -> None:
    """The peer makes a row of NaN for whoever it finds nothing of."""
    (one,) = results([], model, cohort=["ghost"])
    assert (one.outcome, one.probability, one.risk_level) == (Outcome.NOT_FOUND, None, None)
    orphans = [observation(name, number, who="ghost") for name, number in SICK.items()]
    (two,) = results(orphans, model, cohort=["ghost"])
    assert (two.outcome, two.probability) == (Outcome.NOT_FOUND, None)


@models
def test_f1_age_and_sex_alone_are_no_data(model: ModelBundle) -> None:
    """The peer scores whoever has a birth date."""
    content = [patient(birthDate="1930-01-01", gender="female"), observation(), observation("wbc", 28.5)]
    one = result(content, model)
    assert one.outcome is Outcome.INSUFFICIENT_DATA
    assert sepsis().min_observed == 3


@models
def test_f1_nobody_unscored_has_a_level_in_a_mixed_batch(model: ModelBundle) -> None:
    """The peer's batch gives everybody a level."""
    content = [*chart("sick"), patient("empty"), *chart("dead", deceasedBoolean=True)]
    found = {one.patient_id: one for one in results(content, model, cohort=["ghost", "empty", "sick", "dead"])}
    assert [who for who, one in found.items() if one.risk_level is not None] == ["sick"]
    assert [who for who, one in found.items() if one.probability is not None] == ["sick"]


@pytest.mark.parametrize("name", ["high", "moderate", "low"])
@pytest.mark.parametrize("kind", ["patient", "bundle"])
def test_f1_the_tutorials_patients_lack_lactate_and_are_told_so(tutorial: Path, name: str, kind: str) -> None:
    """The peer scores all six of its own files although its schema requires a lactate that none of them has."""
    schema = load_schema(tutorial / "sepsis_vitals.yaml")
    content = json.loads((tutorial / f"{name}_risk_{kind}.json").read_text())
    model = rule_bundle(schema.feature_names)
    one = result(content, model, schema=schema, t="latest")
    not_scored(one, "lactate")
    assert (
        all(drop[2] in ("out_of_range", "no_unit") for drop in read([content], schema).drops)
        or not read([content], schema).drops
    )


def test_f1_a_scheduled_run_on_the_tutorials_files_finds_nobody_of_today(tutorial: Path) -> None:
    """The peer scores values of whatever year; its files lie in the 22nd century."""
    content = json.loads((tutorial / "high_risk_patient.json").read_text())
    one = result(content, t=T)
    assert one.outcome is Outcome.INSUFFICIENT_DATA
