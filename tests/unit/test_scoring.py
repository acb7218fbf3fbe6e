"""Scoring: who gets a number, who gets none and why, and what stands beside the number."""

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.charts import (
    LOINC,
    MEDIANS,
    ROOT,
    SICK,
    WELL,
    T,
    at,
    boosted_bundle,
    chart,
    heart_rate_schema,
    matrix,
    observation,
    patient,
    result,
    results,
    rule_bundle,
    schema_of,
    sepsis,
)

from screening.errors import ModelError
from screening.model.bundle import ModelBundle, as_bundle
from screening.outcome import Outcome, RiskLevel
from screening.schema import RiskLevels, parse_schema
from screening.scoring import level, score


class Fixed:
    """A model of one feature that answers with stated probabilities, the heart rate's hundredth by default."""

    classes_ = np.array([0, 1])

    def __init__(self, answers: Any = None, refuses_nan: bool = False) -> None:
        self.answers, self.refuses_nan = answers, refuses_nan

    def predict_proba(self, rows: Any) -> Any:
        rows = np.asarray(rows)
        if self.refuses_nan and np.isnan(rows).any():
            raise ValueError("Input contains NaN")
        p = np.clip(np.nan_to_num(rows[:, 0]) / 100, 0, 1) if self.answers is None else self.answers(rows)
        return np.column_stack([1 - p, p])


def fixed(model: Fixed | None = None, names: tuple[str, ...] = ("heart_rate",), **metadata: Any) -> ModelBundle:
    content = {"model": model or Fixed(), "metadata": {"feature_names": list(names), **metadata}}
    return as_bundle(content, name="fixed", version="7")


def without(*features: str) -> dict[str, float]:
    return {name: number for name, number in SICK.items() if name not in features}


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.0, "low"), (0.3999, "low"), (0.4, "moderate"), (0.4001, "moderate"), (0.6999, "moderate"), (0.7, "high"),
        (0.7001, "high"), (1.0, "high"),
    ],
)  # fmt: skip
def test_the_bounds_are_inclusive_below(probability: float, expected: str) -> None:
    assert level(probability, RiskLevels()) == RiskLevel(expected)


@pytest.mark.parametrize(
    ("heart_rate", "probability", "expected"),
    [
        (39.994, 0.3999, RiskLevel.LOW),
        (39.996, 0.4, RiskLevel.MODERATE),  # the level follows the number that is written
        (69.994, 0.6999, RiskLevel.MODERATE),
        (69.995001, 0.7, RiskLevel.HIGH),
        (99.9999, 1.0, RiskLevel.HIGH),
        (1.0, 0.01, RiskLevel.LOW),
    ],
)
def test_a_probability_is_rounded_once_and_the_level_follows_it(
    heart_rate: float, probability: float, expected: RiskLevel
) -> None:
    one = result([patient(), observation(value=heart_rate)], fixed(), schema=heart_rate_schema())
    assert (one.probability, one.risk_level) == (probability, expected)


def test_the_schemas_own_bounds_are_used() -> None:
    schema = heart_rate_schema(more="risk_levels: {moderate: 0.1, high: 0.2}")
    assert result([patient(), observation(value=15)], fixed(), schema=schema).risk_level is RiskLevel.MODERATE


class TestScored:
    def test_the_number_is_the_models(self) -> None:
        one = result(chart())
        # 0.03·28 + 0.5·1.4 + 0.08·7 + 0.06·19.5 + 0.4·2.6 + 0.4·0.6 + 0 + 0.1·0.5
        assert one.probability == round(1 / (1 + math.exp(-4.6)), 4)
        assert (one.outcome, one.risk_level, one.detail) == (Outcome.SCORED, RiskLevel.HIGH, ())
        assert result(chart(values=WELL)).risk_level is RiskLevel.LOW

    def test_what_stands_beside_it(self) -> None:
        content = [
            patient(meta={"versionId": "2"}),
            observation(value=100.0, hours=3, encounter={"reference": "Encounter/e"}),
            observation(value=120.0, hours=1),
            observation("respiratory_rate", 20.0, hours=2),
            observation("temperature", 38.0, hours=2),
        ]
        one = result(content, rule_bundle(medians=MEDIANS))
        assert one.prediction_time == T
        assert one.encounter == "Encounter/e"
        assert one.basis == (
            "Observation/p-heart-rate-1-120.0",
            "Observation/p-heart-rate-3-100.0",
            "Observation/p-respiratory-rate-2-20.0",
            "Observation/p-temperature-2-38.0",
            "Patient/p/_history/2",
        )
        inputs = {item.feature: item for item in one.inputs}
        assert list(inputs) == list(sepsis().feature_names)
        heart = inputs["heart_rate"]
        assert (heart.display, heart.unit, heart.value, heart.count) == ("Heart rate", "/min", 110.0, 2)
        assert heart.time == T - timedelta(hours=1)
        assert (heart.imputed, heart.note) == (False, "")
        age = inputs["age"]
        assert (age.value, age.unit, age.count, age.time, age.imputed) == (60.0, "a", 0, None, False)
        wbc = inputs["wbc"]
        assert (wbc.value, wbc.count, wbc.time, wbc.imputed) == (9.0, 0, None, True)
        assert one.imputed == ("wbc", "lactate", "creatinine")

    def test_a_feature_that_the_model_itself_takes_as_missing_is_told_as_imputed_without_a_value(self) -> None:
        one = result(chart(values=without("lactate")))
        lactate = next(item for item in one.inputs if item.feature == "lactate")
        assert (lactate.value, lactate.imputed, lactate.count) == (None, True, 0)

    def test_a_rough_birth_date_is_told_beside_the_age(self) -> None:
        one = result(chart(birthDate="1966"))
        assert [item.note for item in one.inputs if item.note] == ["age from a birth date of year precision"]

    def test_the_display_of_a_feature_without_one_is_its_name(self) -> None:
        (item,) = result([patient(), observation()], fixed(), schema=heart_rate_schema()).inputs
        assert item.display == "heart_rate"

    def test_features_that_the_model_does_not_use_are_neither_inputs_nor_basis(self) -> None:
        one = result(chart(), fixed())
        assert [item.feature for item in one.inputs] == ["heart_rate"]
        assert one.basis == ("Observation/p-heart-rate-1.0-113.0",)

    def test_an_imputed_gender_leaves_the_patient_out_of_the_basis_where_nothing_else_is_taken_from_it(self) -> None:
        bundle = rule_bundle(("heart_rate", "gender_encoded"), medians=MEDIANS)
        assert "Patient/p" in result(chart(), bundle).basis
        one = result(chart(gender="unknown"), bundle)
        assert (one.basis, one.imputed) == (("Observation/p-heart-rate-1.0-113.0",), ("gender_encoded",))

    def test_a_resource_that_gave_two_values_stands_in_the_basis_once(self) -> None:
        code = f"fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min"
        schema = schema_of(f"heart_rate: {{{code}}}\nhighest: {{{code}, aggregate: max}}")
        one = result([patient(), observation(id="o")], rule_bundle(("heart_rate", "highest")), schema=schema)
        assert one.basis == ("Observation/o",)

    def test_columns_are_matched_by_name_and_not_by_place(self) -> None:
        turned = rule_bundle(tuple(reversed(sepsis().feature_names)))
        assert result(chart(), turned).probability == result(chart()).probability

    def test_contributions_are_named_and_add_up_to_the_log_odds(self) -> None:
        bundle = boosted_bundle()
        two = results([*chart("a"), *chart("b", WELL)], bundle)
        shares = [one.contributions for one in two]
        assert all(share is not None and tuple(share) == bundle.feature_names for share in shares)
        odds = [math.log(p / (1 - p)) for p in bundle.predict(matrix_of("a", "b")).tolist()]
        sums = [sum(share.values()) for share in shares if share is not None]
        assert sums[0] - sums[1] == pytest.approx(odds[0] - odds[1], abs=1e-4)

    def test_a_model_that_cannot_tell_has_none(self) -> None:
        assert result(chart()).contributions is None


def matrix_of(*who: str) -> Any:
    content = [*chart(who[0]), *chart(who[1], WELL)]
    return matrix(content).rows[list(sepsis().feature_names)].to_numpy("float64")


class TestInsufficientData:
    """No data is an outcome of its own: it names what is missing, and has no number."""

    @pytest.mark.parametrize(
        ("values", "missing"),
        [
            ({}, ("heart_rate", "temperature", "respiratory_rate", "wbc", "lactate", "creatinine")),
            (without("heart_rate"), ("heart_rate",)),
            (without("heart_rate", "respiratory_rate"), ("heart_rate", "respiratory_rate")),
            (without("heart_rate", "wbc"), ("heart_rate",)),  # only what keeps the patient from a score is named
            ({"heart_rate": 113.0, "respiratory_rate": 25.0}, ("temperature", "wbc", "lactate", "creatinine")),
            ({"wbc": 28.5, "lactate": 4.1, "creatinine": 1.6}, ("heart_rate", "respiratory_rate")),
        ],
    )
    def test_required_features_and_the_least_number_observed(
        self, values: dict[str, float], missing: tuple[str, ...]
    ) -> None:
        one = result(chart(values=values))
        assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, missing)
        assert (one.probability, one.risk_level, one.inputs, one.basis, one.contributions) == (None, None, (), (), None)
        assert one.prediction_time == T

    def test_exactly_the_least_number_observed_is_enough(self) -> None:
        three = {"heart_rate": 113.0, "respiratory_rate": 25.0, "wbc": 28.5}
        assert sepsis().min_observed == 3
        assert result(chart(values=three)).outcome is Outcome.SCORED

    def test_patient_fields_are_not_observed(self) -> None:
        schema = parse_schema(
            f"name: s\nversion: '1'\nmin_observed: 1\nfeatures:\n"
            f"  heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}\n"
            "  age: {fhir_resource: Patient, field: birthDate, transform: calculate_age}\n"
            "  gender_encoded: {fhir_resource: Patient, field: gender, transform: encode_gender}\n"
        )
        one = result([patient(birthDate=None)], rule_bundle(("heart_rate", "age", "gender_encoded")), schema=schema)
        assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, ("heart_rate",))

    def test_a_required_patient_field(self) -> None:
        assert result(chart(birthDate=None)).detail == ("age",)
        assert result(chart(birthDate="2030")).detail == ("age",)

    def test_values_that_do_not_count_are_missing(self) -> None:
        stale = [patient(), *[observation(name, number, hours=30) for name, number in SICK.items()]]
        assert result(stale).outcome is Outcome.INSUFFICIENT_DATA
        void = [patient(), *[observation(name, number, status="entered-in-error") for name, number in SICK.items()]]
        assert result(void).outcome is Outcome.INSUFFICIENT_DATA

    def test_latest_without_any_value(self) -> None:
        one = result([patient()], t="latest")
        assert (one.outcome, one.prediction_time) == (Outcome.INSUFFICIENT_DATA, None)

    def test_every_number_of_observed_features_below_the_least_names_something(self) -> None:
        names = list(SICK)
        for count in range(3):
            one = result(chart(values={name: SICK[name] for name in names[:count]}))
            assert one.outcome is Outcome.INSUFFICIENT_DATA
            assert set(one.detail) == set(names[count:])

    def test_a_lone_value_of_a_change_is_not_observed(self) -> None:
        one = result([patient(), observation()], fixed(), schema=heart_rate_schema("delta"))
        assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, ("heart_rate",))


PRESENCE = f"""
heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}
diabetes: {{fhir_resource: Condition, code: E11.9, code_system: icd}}
cultures: {{fhir_resource: Observation, code: 600-7, code_system: {LOINC}, aggregate: count}}
"""
DIABETES = {
    "resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}, "onsetDateTime": "2019",
    "code": {"coding": [{"system": "icd", "code": "E11.9"}]},
}  # fmt: skip


class TestAbsenceAsZero:
    @pytest.mark.parametrize(
        ("least", "content", "outcome"),
        [
            (1, [observation()], Outcome.SCORED),
            (2, [observation()], Outcome.INSUFFICIENT_DATA),  # a zero of absence is no observation
            (2, [observation(), DIABETES], Outcome.SCORED),
            (1, [DIABETES], Outcome.SCORED),
            (1, [], Outcome.INSUFFICIENT_DATA),
        ],
    )
    def test_a_zero_of_absence_is_a_value_and_no_observation(
        self, least: int, content: list[Any], outcome: Outcome
    ) -> None:
        schema = schema_of(PRESENCE, f"window: {{lookback: 24h}}\nmin_observed: {least}")
        one = result([patient(), *content], rule_bundle(("heart_rate", "diabetes", "cultures")), schema=schema)
        assert one.outcome is outcome
        if outcome is Outcome.SCORED:
            values = {item.feature: (item.value, item.imputed) for item in one.inputs}
            assert values["cultures"] == (0.0, False)
            assert values["diabetes"] == (float(DIABETES in content), False)

    def test_what_was_not_found_is_named_where_too_little_was_observed(self) -> None:
        schema = schema_of(PRESENCE, "min_observed: 3")
        one = result([patient(), observation()], rule_bundle(("heart_rate", "diabetes", "cultures")), schema=schema)
        assert one.detail == ("diabetes", "cultures")


class TestMissingImpute:
    def test_a_required_feature_is_imputed_and_told(self) -> None:
        schema = schema_of(
            f"""
heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min, required: true}}
wbc: {{fhir_resource: Observation, code: 6690-2, code_system: {LOINC}, unit: 10*3/uL}}
""",
            "missing: impute",
        )
        one = result(
            [patient(), observation("wbc", 9.0)], rule_bundle(("heart_rate", "wbc"), medians=MEDIANS), schema=schema
        )
        assert one.outcome is Outcome.SCORED
        assert one.imputed == ("heart_rate",)
        assert one.inputs[0].value == MEDIANS["heart_rate"]
        assert one.basis == ("Observation/p-wbc-1.0-9.0",)

    def test_the_least_number_observed_still_holds(self) -> None:
        schema = schema_of(
            f"""
heart_rate: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min, required: true}}
wbc: {{fhir_resource: Observation, code: 6690-2, code_system: {LOINC}, unit: 10*3/uL}}
""",
            "missing: impute\nmin_observed: 2",
        )
        one = result(
            [patient(), observation("wbc", 9.0)], rule_bundle(("heart_rate", "wbc"), medians=MEDIANS), schema=schema
        )
        assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, ("heart_rate",))

    def test_nobody_is_scored_on_medians_alone(self) -> None:
        schema = heart_rate_schema(more="missing: impute")
        one = result([patient()], fixed(imputation={"heart_rate": 85.0}), schema=schema)
        assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, ("heart_rate",))

    def test_a_model_that_takes_no_nan_and_has_no_median_scores_nobody_who_lacks_a_value(self) -> None:
        names = ("heart_rate", "wbc", "lactate")
        bundle = fixed(Fixed(refuses_nan=True), names, imputation={"wbc": 9.0})
        values = {"heart_rate": 30.0, "respiratory_rate": 20.0, "temperature": 37.0}
        one = result(chart(values=values), bundle)
        assert (one.outcome, one.detail) == (Outcome.INSUFFICIENT_DATA, ("lactate",))
        two = results([*chart("a", values), *chart("b")], bundle)
        assert [item.outcome for item in two] == [Outcome.INSUFFICIENT_DATA, Outcome.SCORED]
        assert two[1] == result(chart("b"), bundle)


class TestStanding:
    def test_each_outcome_and_its_reason(self) -> None:
        content = [
            *chart("scored"),
            *chart("dead", deceasedBoolean=True),
            *chart("merged", link=[{"type": "replaced-by"}]),
            *chart("broken", implicitRules="u"),
            patient("empty"),
        ]
        found = results(content, cohort=["scored", "dead", "merged", "broken", "empty", "ghost"])
        assert [(one.patient_id, one.outcome.value) for one in found] == [
            ("scored", "scored"), ("dead", "excluded"), ("merged", "excluded"), ("broken", "failed"),
            ("empty", "insufficient_data"), ("ghost", "not_found"),
        ]  # fmt: skip
        assert [one.detail for one in found[1:4]] == [
            ("deceased before the prediction time",),
            ("merged into another Patient",),
            ("the Patient carries implicitRules or an unknown modifierExtension",),
        ]
        assert all(one.probability is None and one.risk_level is None for one in found[1:])

    def test_the_model_is_not_asked_about_whom_it_does_not_score(self) -> None:
        rows_seen: list[int] = []

        def answers(rows: Any) -> Any:
            rows_seen.append(len(rows))
            return np.full(len(rows), 0.5)

        bundle = fixed(Fixed(answers))
        rows_seen.clear()
        content = [*chart("a"), *chart("dead", deceasedBoolean=True), patient("empty"), *chart("b")]
        assert [one.probability for one in results(content, bundle)] == [0.5, 0.5, None, None]
        assert sum(rows_seen) == 2

    def test_the_order_is_the_cohorts(self) -> None:
        content = [*chart("a"), *chart("b"), *chart("c")]
        assert [one.patient_id for one in results(content, cohort=["c", "a", "b"])] == ["c", "a", "b"]

    def test_nobody_at_all(self) -> None:
        assert results([]) == []
        assert [one.outcome.value for one in results([], cohort=["ghost"])] == ["not_found"]


class TestAModelThatDoesNotFit:
    def test_a_feature_that_the_schema_lacks(self) -> None:
        with pytest.raises(ModelError, match="needs feature\\(s\\) that the schema lacks: shoe_size"):
            result(chart(), rule_bundle(("heart_rate", "shoe_size")))

    def test_it_is_refused_even_where_nobody_is_ready(self) -> None:
        with pytest.raises(ModelError, match="shoe_size"):
            results([], rule_bundle(("shoe_size",)))

    @pytest.mark.parametrize(
        "metadata",
        [
            {"units": {"temperature": "[degF]"}},
            {"units": {"creatinine": "umol/L"}},
            {"aggregation": {"heart_rate": "last"}},
        ],
    )
    def test_a_model_that_was_fitted_on_other_units_or_by_another_aggregate(self, metadata: dict[str, Any]) -> None:
        with pytest.raises(ModelError, match=r"model rule 1 was fitted with other (units|aggregation)"):
            result(chart(), rule_bundle(**metadata))

    def test_a_model_that_tells_the_schemas_own_is_taken(self) -> None:
        units = {feature.name: feature.unit for feature in sepsis().features.values()}
        bundle = rule_bundle(units=units, aggregation=dict.fromkeys(SICK, "mean"))
        assert result(chart(), bundle).probability == result(chart()).probability

    @pytest.mark.parametrize("answer", [1.5, -0.1, float("nan"), float("inf")])
    def test_an_answer_that_is_no_probability_is_no_score(self, answer: float) -> None:
        class Late:
            """Sound on the probe rows, broken on data: 42 is the sign."""

            name, version, feature_names = "late", "1", ("heart_rate",)

            def check_fits(self, names: Any, **more: Any) -> None: ...
            def impute(self, rows: Any) -> Any:
                return rows, np.zeros(rows.shape, bool), np.zeros(len(rows), bool)

            def predict_with_contributions(self, rows: Any) -> Any:
                return np.array([answer] * len(rows)), None

        found = matrix([patient(), observation(value=42)], heart_rate_schema())
        with pytest.raises(ModelError, match=r"model late 1 answered with what is no probability"):
            score(found, heart_rate_schema(), Late())  # type: ignore[arg-type]


def test_two_patients_are_scored_each_as_if_alone() -> None:
    alone = {
        who: result(chart(who, values), boosted_bundle()) for who, values in (("a", SICK), ("b", without("lactate")))
    }
    both = results([*chart("a"), *chart("b", without("lactate"))], boosted_bundle())
    assert {one.patient_id: one for one in both} == alone


def test_the_notes_and_cells_of_one_patient_are_not_anothers() -> None:
    content = [
        *chart("a", birthDate="1966"),
        patient("b"),
        *[observation(n, v, who="b", hours=2) for n, v in SICK.items()],
    ]
    first, second = results(content)
    assert [item.note for item in second.inputs if item.note] == []
    assert {item.time.isoformat() for item in second.inputs if item.time} == {at(2).replace(".000000Z", "+00:00")}
    assert {item.time.isoformat() for item in first.inputs if item.time} == {at(1).replace(".000000Z", "+00:00")}


def test_a_model_is_held_against_a_schema_once_and_against_another_schema_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle, found = rule_bundle(), matrix(chart())
    schema, other = (parse_schema((ROOT / "include/schemas/sepsis.yaml").read_text()) for _ in range(2))
    asked: list[Any] = []
    monkeypatch.setattr(ModelBundle, "check_fits", lambda *args, **more: asked.append(args[0]))
    for one in (schema, schema, other, other, schema):
        assert score(found, one, bundle)[0].probability is not None
    assert asked == [bundle] * 3
    score(found, schema, rule_bundle())
    assert len(asked) == 4


def test_a_model_that_does_not_fit_never_comes_to_fit() -> None:
    bundle = rule_bundle(units={"temperature": "[degF]"})
    for _ in range(3):
        with pytest.raises(ModelError):
            result(chart(), bundle)
