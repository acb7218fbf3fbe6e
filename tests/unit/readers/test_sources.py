"""Conditions, medications and stays: which of them are present, and since when."""

from datetime import timedelta
from typing import Any

import pytest
from tests.charts import LOINC, T, at, by_reason, dropped, matrix, patient, schema_of, value

from screening.readers.fhir import read

ICD, RX = "http://hl7.org/fhir/sid/icd-10", "http://www.nlm.nih.gov/research/umls/rxnorm"
SCHEMA = schema_of(
    f"""
diabetes: {{fhir_resource: Condition, code: E11.9, code_system: "{ICD}"}}
diagnoses:
  fhir_resource: Condition
  aggregate: count
  codes: [{{system: "{ICD}", code: E11.9}}, {{system: "{ICD}", code: I10}}]
ordered: {{fhir_resource: MedicationRequest, code: "7980", code_system: "{RX}"}}
doses: {{fhir_resource: MedicationAdministration, code: "7980", code_system: "{RX}", aggregate: count}}
stay: {{fhir_resource: Encounter, field: period, transform: hours_since_admission, unit: h}}
"""
)
Change = dict[str, Any]


def concept(system: str, code: str) -> Change:
    return {"coding": [{"system": system, "code": code}]}


def made(base: Change, more: Change) -> Change:
    return {key: part for key, part in (base | more).items() if part is not None}


def condition(**more: Any) -> Change:
    return made(
        {
            "resourceType": "Condition",
            "id": "c",
            "code": concept(ICD, "E11.9"),
            "subject": {"reference": "Patient/p"},
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "onsetDateTime": at(24 * 900),
            "recordedDate": at(24 * 800),
        },
        more,
    )


def order(**more: Any) -> Change:
    return made(
        {
            "resourceType": "MedicationRequest",
            "id": "m",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept(RX, "7980"),
            "subject": {"reference": "Patient/p"},
            "authoredOn": at(3),
        },
        more,
    )


def dose(**more: Any) -> Change:
    return made(
        {
            "resourceType": "MedicationAdministration",
            "id": "a",
            "status": "completed",
            "medicationCodeableConcept": concept(RX, "7980"),
            "subject": {"reference": "Patient/p"},
            "effectiveDateTime": at(3),
        },
        more,
    )


def stay(**more: Any) -> Change:
    return made(
        {
            "resourceType": "Encounter",
            "id": "e",
            "status": "in-progress",
            "subject": {"reference": "Patient/p"},
            "period": {"start": at(30)},
        },
        more,
    )


def found(feature: str, *resources: Change) -> tuple[float, str]:
    """Return a feature's value, and the one reason for which something was dropped from it, or ""."""
    content = [patient(), *resources]
    reasons = [reason for (name, reason) in dropped(content, schema=SCHEMA) if name == feature]
    assert len(reasons) <= 1
    return value(content, feature, schema=SCHEMA), reasons[0] if reasons else ""


def coded(code: str) -> Change:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": code}]}


@pytest.mark.parametrize(
    ("change", "present", "reason"),
    [
        ({}, 1, ""),
        ({"clinicalStatus": coded("recurrence")}, 1, ""),
        ({"clinicalStatus": coded("relapse")}, 1, ""),
        ({"clinicalStatus": None}, 1, ""),
        ({"clinicalStatus": {"text": "Active"}}, 1, ""),
        ({"clinicalStatus": "active"}, 1, ""),
        ({"clinicalStatus": {}}, 1, ""),
        ({"clinicalStatus": "resolved"}, 0, "not_active"),
        ({"clinicalStatus": {"text": "Resolved"}}, 0, "not_active"),
        ({"clinicalStatus": {"coding": [{"code": "resolved"}]}}, 0, "not_active"),
        ({"clinicalStatus": {"coding": [{"display": "Resolved"}]}}, 0, "not_active"),
        ({"clinicalStatus": {"coding": "resolved"}}, 0, "not_active"),
        ({"clinicalStatus": 5}, 0, "not_active"),
        ({"clinicalStatus": coded("inactive")}, 0, "not_active"),
        ({"clinicalStatus": coded("remission")}, 0, "not_active"),
        ({"clinicalStatus": coded("resolved")}, 0, "not_active"),
        ({"clinicalStatus": None, "abatementDateTime": at(24)}, 0, "not_active"),
        ({"clinicalStatus": None, "abatementString": "last spring"}, 0, "not_active"),
        ({"verificationStatus": coded("confirmed")}, 1, ""),
        ({"verificationStatus": coded("refuted")}, 0, "status"),
        ({"verificationStatus": coded("entered-in-error")}, 0, "status"),
        ({"verificationStatus": coded("provisional")}, 1, ""),
        ({"verificationStatus": {"coding": [{"code": " confirmed "}]}}, 1, ""),
        ({"verificationStatus": {"text": "Confirmed"}}, 1, ""),
        ({"verificationStatus": "unknown"}, 0, "status"),
        ({"verificationStatus": "refuted"}, 0, "status"),
        ({"verificationStatus": {"text": "Refuted"}}, 0, "status"),
        ({"verificationStatus": {"coding": [{"code": "refuted"}]}}, 0, "status"),
        ({"verificationStatus": {"coding": [{"code": "confirmed"}, {"code": "refuted"}]}}, 0, "status"),
        ({"verificationStatus": ["refuted"]}, 0, "status"),
        ({"onsetDateTime": None}, 1, ""),
        ({"onsetDateTime": None, "onsetPeriod": {"start": at(24 * 900)}}, 1, ""),
        ({"onsetDateTime": None, "recordedDate": None}, 0, "no_time"),
        ({"onsetDateTime": None, "onsetAge": {"value": 40}, "recordedDate": None}, 0, "no_time"),
        ({"recordedDate": None}, 1, ""),
        ({"onsetDateTime": "long ago"}, 0, "bad_time"),
        ({"onsetDateTime": at(-1)}, 0, "after_prediction_time"),
        ({"onsetDateTime": None, "recordedDate": at(-1)}, 0, "after_prediction_time"),
        ({"recordedDate": at(-1)}, 0, "not_yet_available"),
        ({"onsetDateTime": at(0), "recordedDate": at(0)}, 1, ""),
        ({"onsetDateTime": "2019"}, 1, ""),
        ({"onsetDateTime": "2026", "recordedDate": at(5)}, 0, "after_prediction_time"),
        ({"modifierExtension": [{"url": "u"}]}, 0, "modifier_extension"),
        ({"subject": {"reference": "Patient/q"}}, 0, "foreign_subject"),
        ({"code": concept(ICD, "E11")}, 0, ""),
        ({"code": None}, 0, ""),
    ],
)  # fmt: skip
def test_conditions(change: Change, present: int, reason: str) -> None:
    assert found("diabetes", condition(**change)) == (present, reason)


def test_a_condition_lasts_and_no_window_ends_it() -> None:
    assert SCHEMA.lookback == timedelta(hours=24)
    assert found("diabetes", condition(onsetDateTime="1990", recordedDate=None)) == (1, "")


def test_conditions_counted() -> None:
    high = condition(id="d", code=concept(ICD, "I10"), onsetDateTime=at(99))
    assert found("diagnoses", condition(), high) == (2, "")
    assert found("diagnoses", condition(), condition()) == (1, "")
    assert found("diagnoses", condition(), condition(id="again")) == (1, "duplicate")
    assert found("diagnoses") == (0, "")


@pytest.mark.parametrize(
    ("change", "present", "reason"),
    [
        ({}, 1, ""),
        ({"status": "completed"}, 1, ""),
        ({"intent": None}, 1, ""),
        ({"intent": "filler-order"}, 1, ""),
        ({"status": "stopped"}, 0, "status"),
        ({"status": "on-hold"}, 0, "status"),
        ({"status": "draft"}, 0, "status"),
        ({"status": "entered-in-error"}, 0, "status"),
        ({"status": "in-progress"}, 0, "status"),
        ({"status": None}, 0, "status"),
        ({"doNotPerform": True}, 0, "status"),
        ({"doNotPerform": False}, 1, ""),
        ({"intent": "proposal"}, 0, "status"),
        ({"intent": "plan"}, 0, "status"),
        ({"intent": "option"}, 0, "status"),
        ({"authoredOn": None}, 0, "no_time"),
        ({"authoredOn": at(24)}, 0, "before_window"),
        ({"authoredOn": at(-1)}, 0, "after_prediction_time"),
        ({"medicationCodeableConcept": concept(RX, "1")}, 0, ""),
        ({"implicitRules": "u"}, 0, "modifier_extension"),
    ],
)
def test_orders(change: Change, present: int, reason: str) -> None:
    assert found("ordered", order(**change)) == (present, reason)


@pytest.mark.parametrize(
    ("change", "count", "reason"),
    [
        ({}, 1, ""),
        ({"status": "in-progress"}, 1, ""),
        ({"status": "active"}, 0, "status"),
        ({"status": "not-done"}, 0, "status"),
        ({"status": "entered-in-error"}, 0, "status"),
        ({"effectiveDateTime": None}, 0, "no_time"),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": at(30), "end": at(2)}}, 1, ""),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": at(2)}}, 1, ""),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": at(30)}}, 0, "before_window"),
        ({"effectiveDateTime": at(24)}, 0, "before_window"),
    ],
)  # fmt: skip
def test_doses(change: Change, count: int, reason: str) -> None:
    assert found("doses", dose(**change)) == (count, reason)


def test_doses_are_counted_each_once() -> None:
    second = dose(id="b", effectiveDateTime=at(9))
    assert found("doses", dose(), second, dose()) == (2, "")


@pytest.mark.parametrize("make", [order, dose])
def test_a_medication_by_reference_is_counted_as_not_understood(make: Any) -> None:
    sent = make(medicationCodeableConcept=None, medicationReference={"reference": "Medication/x"})
    assert by_reason(read([patient(), sent], SCHEMA).drops) == {("", "medication_by_reference"): 1}


@pytest.mark.parametrize(
    ("change", "hours", "reason"),
    [
        ({}, 30.0, ""),
        ({"status": "arrived"}, 30.0, ""),
        ({"status": "onleave"}, 30.0, ""),
        ({"status": "planned"}, None, "status"),
        ({"status": "cancelled"}, None, "status"),
        ({"status": None}, None, "status"),
        ({"period": None}, None, "no_time"),
        ({"period": {"end": at(2)}}, None, "no_time"),
        ({"period": {"start": "soon"}}, None, "bad_time"),
        ({"period": {"start": "2026-03-08"}}, None, "no_time"),
        ({"period": {"start": "2026"}}, None, "no_time"),
        ({"period": {"start": at(30), "end": "soon"}}, None, "bad_time"),
        ({"period": {"start": at(24 * 60)}}, 1440.0, ""),
        ({"period": {"start": at(-1)}}, None, "after_prediction_time"),
        ({"period": {"start": at(0)}}, 0.0, ""),
        ({"status": "finished"}, None, "no_time"),
        ({"status": "finished", "period": {"start": at(30), "end": at(2)}}, None, "ended"),
        ({"status": "finished", "period": {"start": at(30), "end": at(-1)}}, 30.0, ""),
        ({"status": "finished", "period": {"start": at(30), "end": at(0)}}, None, "ended"),
        ({"status": "finished", "period": {"start": at(30), "end": at(-1e-6 / 3.6)}}, 30.0, ""),
        ({"subject": {"reference": "Patient/q"}}, None, "foreign_subject"),
    ],
)  # fmt: skip
def test_hours_since_admission(change: Change, hours: float | None, reason: str) -> None:
    number, why = found("stay", stay(**change))
    assert why == reason
    assert number == pytest.approx(hours, abs=1e-6) if hours is not None else number != number


@pytest.mark.parametrize("shift", range(1, 400, 21))
def test_a_stay_that_ends_at_the_prediction_time_has_ended_to_the_microsecond(shift: int) -> None:
    moment = T + timedelta(days=shift * 31, microseconds=shift * 7919)

    def hours(off: int) -> float:
        end = (moment + timedelta(microseconds=off)).isoformat()
        sent = stay(status="finished", period={"start": at(30), "end": end})
        return value([patient(), sent], "stay", schema=SCHEMA, t=moment)

    assert hours(0) != hours(0)
    assert hours(-1) != hours(-1)
    assert hours(1) > 0


def test_of_two_open_stays_the_later_began_and_it_is_the_encounter_of_the_row() -> None:
    content = [patient(), stay(), stay(id="icu", period={"start": at(6)}, meta={"versionId": "2"})]
    (row,) = matrix(content, SCHEMA).rows.to_dict("records")
    assert row["stay"] == 6.0
    assert row["encounter"] == "Encounter/icu"


def test_nothing_found_is_zero_for_what_is_present_or_counted_and_missing_for_a_stay() -> None:
    (row,) = matrix([patient()], SCHEMA).rows.to_dict("records")
    assert [row[name] for name in ("diabetes", "diagnoses", "ordered", "doses")] == [0, 0, 0, 0]
    assert row["stay"] != row["stay"]


def test_a_schema_without_such_features_reads_no_such_resource() -> None:
    heart = schema_of(f"hr: {{fhir_resource: Observation, code: 8867-4, code_system: {LOINC}, unit: /min}}")
    reading = read([patient(), condition(), order(), dose(), stay(status="planned")], heart)
    assert reading.observations.empty
    assert reading.drops == {}
