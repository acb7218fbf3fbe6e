"""F2 and F3: the peer imputes from the rows at hand, so that a score depends on who else is in the batch."""

from itertools import permutations

import numpy as np
import pytest
from tests.charts import (
    LOINC,
    MEDIANS,
    SICK,
    WELL,
    T,
    boosted_bundle,
    bundle,
    chart,
    matrix,
    result,
    results,
    rule_bundle,
    schema_of,
    sepsis,
)

from screening.features import featurize
from screening.model.bundle import ModelBundle
from screening.outcome import Outcome, PatientResult
from screening.readers.fhir import read
from screening.results.risk_assessment import AssessmentContext, build
from screening.scoring import score

MODELS = [boosted_bundle(), rule_bundle(), rule_bundle(medians=MEDIANS)]
models = pytest.mark.parametrize("model", MODELS, ids=["boosted", "rule", "with medians"])

CONTEXT = AssessmentContext.of(sepsis(), {"name": "rule", "version": "1", "sha256": "0" * 64, "synthetic": True})

VITALS_ONLY = {name: SICK[name] for name in ("heart_rate", "temperature", "respiratory_rate")}
LABS_AND_RATES = {name: SICK[name] for name in ("heart_rate", "respiratory_rate", "wbc", "lactate", "creatinine")}
EXTREME = {
    "heart_rate": 290.0,
    "temperature": 44.0,
    "respiratory_rate": 69.0,
    "wbc": 60.0,
    "lactate": 40.0,
    "creatinine": 9.0,
}


def test_f2_a_missing_value_is_the_trainings_median() -> None:
    """The peer fills one row with that row's own median, which is NaN, and saves no training median in the model."""
    one = result(chart(values=VITALS_ONLY), rule_bundle(medians=MEDIANS))
    assert one.imputed == ("wbc", "lactate", "creatinine")
    given = {item.feature: item.value for item in one.inputs}
    assert {name: given[name] for name in one.imputed} == {name: MEDIANS[name] for name in one.imputed}
    complete = chart(values=VITALS_ONLY | {name: MEDIANS[name] for name in one.imputed})
    assert result(complete, rule_bundle(medians=MEDIANS)).probability == one.probability


def test_f2_without_a_median_and_without_a_model_that_takes_nan_there_is_no_score() -> None:
    """The peer passes NaN on to whatever the model makes of it."""
    from sklearn.linear_model import LogisticRegression

    from screening.model.bundle import as_bundle

    names = sepsis().feature_names
    rows = np.random.default_rng(7).normal(50, 20, (60, len(names)))
    model = LogisticRegression(max_iter=2000).fit(rows, rows[:, 0] > 50)
    linear = as_bundle({"model": model, "metadata": {"feature_names": list(names)}}, name="linear", version="1")
    one = result(chart(values=VITALS_ONLY), linear)
    assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, ("wbc", "lactate", "creatinine"))
    assert result(chart(), linear).outcome is Outcome.SCORED


def test_f2_nothing_is_imputed_in_silence() -> None:
    """The peer's result does not tell what was imputed."""
    one = result(chart(values=VITALS_ONLY), rule_bundle(medians=MEDIANS))
    told = [item for item in one.inputs if item.imputed]
    assert [item.feature for item in told] == ["wbc", "lactate", "creatinine"]
    assert all(item.time is None and item.count == 0 for item in told)
    written = build(one, CONTEXT)
    assert written["status"] == "preliminary"
    assert "not observed: White blood cells, Lactate, Creatinine" in written["prediction"][0]["rationale"]
    assert build(result(chart(), rule_bundle(medians=MEDIANS)), CONTEXT)["status"] == "final"
    assert not any("wbc" in source or "lactate" in source for source in one.basis)


@models
@pytest.mark.parametrize(
    "values", [VITALS_ONLY, LABS_AND_RATES, SICK, WELL, {}], ids=["vitals", "labs", "sick", "well", "none"]
)
def test_f3_a_patient_alone_and_beside_others_is_scored_the_same(model: ModelBundle, values: dict[str, float]) -> None:
    """The peer's 0.5116 becomes 0.9169 when a patient with WBC 60 and creatinine 9 stands in the same bundle."""
    alone = result(chart("a", values), model)
    for others in (
        [chart("b", EXTREME)],
        [chart("b", {"wbc": 60.0, "creatinine": 9.0})],
        [chart("0", WELL), chart("b", EXTREME), chart("c", {})],
        [chart(f"x{n}", EXTREME) for n in range(20)],
    ):
        whole = [*chart("a", values), *[resource for other in others for resource in other]]
        for content in (whole, whole[::-1], bundle(*whole)):
            found = {one.patient_id: one for one in results(content, model)}
            assert found["a"] == alone


@models
def test_f3_neither_patient_gets_the_others_values(model: ModelBundle) -> None:
    """In the peer's batch patient a gets b's laboratory values and b gets a's vital signs."""
    content = [*chart("a", VITALS_ONLY), *chart("b", LABS_AND_RATES)]
    rows = matrix(content).rows.set_index("patient_id")
    assert rows.loc["a", ["wbc", "lactate", "creatinine"]].isna().all()
    assert np.isnan(rows.loc["b", "temperature"])
    both = {one.patient_id: one for one in results(content, model)}
    assert both["a"] == result(chart("a", VITALS_ONLY), model)
    assert both["b"] == result(chart("b", LABS_AND_RATES), model)


@models
def test_f3_the_order_of_the_cohort_changes_no_score(model: ModelBundle) -> None:
    """The peer's rows stand in the order of the bundle, and are read by their place."""
    content = [*chart("a", VITALS_ONLY), *chart("b", EXTREME), *chart("c", WELL)]
    found: list[dict[str, PatientResult]] = []
    for cohort in permutations(["a", "b", "c", "ghost"]):
        got = results(content, model, cohort=list(cohort))
        assert [one.patient_id for one in got] == list(cohort)
        found.append({one.patient_id: one for one in got})
    assert all(one == found[0] for one in found)


@models
def test_f3_a_run_in_batches_of_any_size_is_the_run_in_one(model: ModelBundle) -> None:
    """The peer's median changes with every cut of the population."""
    names = [f"p{n:02}" for n in range(12)]
    kinds = [VITALS_ONLY, LABS_AND_RATES, SICK, WELL, EXTREME, {}]
    charts = {who: chart(who, kinds[n % len(kinds)]) for n, who in enumerate(names)}
    content = [resource for one in charts.values() for resource in one]

    def run(size: int) -> list[PatientResult]:
        got = []
        for start in range(0, len(names), size):
            batch = names[start : start + size]
            reading = read(content, sepsis(), patient_ids=batch)
            got += score(featurize(reading, sepsis(), T, patient_ids=batch), sepsis(), model)
        return got

    whole = run(12)
    assert [run(size) for size in (1, 2, 5, 11)] == [whole] * 4
    assert len({one.probability for one in whole}) >= 4


def test_f3_counts_of_one_patient_are_not_anothers() -> None:
    """The peer aggregates by column over the whole frame."""
    schema = schema_of(
        f"""
heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}
cultures: {{fhir_resource: Observation, code: 6690-2, code_system: {LOINC}, aggregate: count}}
"""
    )
    rows = matrix([*chart("a"), *chart("b", {"heart_rate": 80.0})], schema).rows.set_index("patient_id")
    assert rows["cultures"].to_dict() == {"a": 1.0, "b": 0.0}
