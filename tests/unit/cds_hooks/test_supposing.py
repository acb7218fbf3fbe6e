"""412 or a card: whether what was not obtained could have made a score is held against data in which it is there."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.charts import (
    MEDIANS,
    ROOT,
    SICK,
    WEIGHTS,
    Rule,
    T,
    chart,
    observation,
    result,
    rule_bundle,
    schema_of,
    sepsis,
)

from cds_hooks.supposing import could_be_scored
from screening.model.bundle import ModelBundle, as_bundle
from screening.outcome import Outcome
from screening.readers.fhir import read
from screening.schema import Schema, parse_schema

IMPUTING = parse_schema((ROOT / "include/schemas/sepsis.yaml").read_text() + "\nmissing: impute\n")


class Strict(Rule):
    """A rule that takes no missing value, as many models do not."""

    def predict_proba(self, rows: Any) -> Any:
        if np.isnan(np.asarray(rows, dtype="float64")).any():
            raise ValueError("Input contains NaN")
        return super().predict_proba(rows)


def strict_bundle(medians: dict[str, float]) -> ModelBundle:
    content = {"feature_names": list(WEIGHTS), "imputation": medians}
    return as_bundle({"model": Strict(WEIGHTS), "metadata": content}, name="strict", version="1", sha256="0" * 64)


SOME = {name: MEDIANS[name] for name in ("lactate", "gender_encoded")}
BUNDLES = [rule_bundle(), rule_bundle(medians=MEDIANS), strict_bundle({}), strict_bundle(SOME)]
PATIENTS = [{}, {"birthDate": None}, {"gender": None}, {"deceasedBoolean": True}, {"birthDate": None, "gender": None}]


@given(
    there=st.sets(st.sampled_from(sorted(SICK))),
    unobtained=st.sets(st.sampled_from(sorted(SICK))),
    person=st.sampled_from(PATIENTS),
    schema=st.sampled_from([sepsis(), IMPUTING]),
    bundle=st.sampled_from(BUNDLES),
    latest=st.booleans(),
)
def test_it_is_what_the_library_says_of_data_in_which_they_are(
    there: set[str], unobtained: set[str], person: Any, schema: Schema, bundle: ModelBundle, latest: bool
) -> None:
    known = chart("p", {name: SICK[name] for name in there - unobtained}, **person)
    filled = chart("p", {name: SICK[name] for name in there | unobtained}, **person)
    whole = result(filled, bundle, schema=schema, t="latest" if latest else T, cohort=["p"])
    at = (
        T
        if there - unobtained == set() or not latest
        else result(known, bundle, schema=schema, t="latest").prediction_time
    )
    assert at is not None
    reading = read([known], schema, patient_ids=["p"])
    without = result(known, bundle, schema=schema, t="latest" if latest else T, cohort=["p"])
    lacking = without.detail if without.outcome is Outcome.INSUFFICIENT_DATA else ()
    found = could_be_scored(reading, schema, bundle, "p", unobtained, lacking, at, latest=latest)
    assert found is (whole.outcome is Outcome.SCORED)


def test_every_kind_of_feature_can_be_supposed() -> None:
    coded = "code: a, code_system: urn:b"
    lines = f"""
change: {{fhir_resource: Observation, {coded}, unit: /min, range: [1, 300], aggregate: delta}}
often: {{fhir_resource: Observation, {coded}, aggregate: count}}
ill: {{fhir_resource: Condition, {coded}}}
drug: {{fhir_resource: MedicationRequest, {coded}}}
given: {{fhir_resource: MedicationAdministration, {coded}}}
stay: {{fhir_resource: Encounter, field: period, transform: hours_since_admission, unit: h}}
"""
    schema = schema_of(lines, "window: {lookback: 24h}\nmin_observed: 6")
    names = schema.feature_names
    bundle = rule_bundle(names)
    reading = read([chart("p", {})], schema, patient_ids=["p"])
    assert could_be_scored(reading, schema, bundle, "p", names, names, T)
    for left_out in names:
        assert not could_be_scored(reading, schema, bundle, "p", [n for n in names if n != left_out], names, T)


def test_of_a_patient_who_is_not_known_nothing_can_be_supposed() -> None:
    reading = read([[observation("heart_rate")]], sepsis(), patient_ids=["p"])
    assert not could_be_scored(reading, sepsis(), rule_bundle(), "p", sepsis().feature_names, (), T)
