"""A sick patient's values made unusable, for every reason that there is: the answer is that of the chart without them.

What the chart without them says, the library tells as the batch asks it. So a value that does not count never makes anybody
look well: whom the batch, given what is left, writes down as low, gets no card only where what does not count tells nothing.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from tests.charts import MIMIC, SICK, T, at, bundle, observation, patient, quantity
from tests.integration.fuzzed import Fuzzed
from tests.integration.hook_mutations import written
from tests.unit.cds_hooks.hook_requests import hook_request

from screening.features import featurize
from screening.outcome import Outcome, PatientResult
from screening.readers.fhir import read
from screening.results.wording import short_percentage
from screening.scoring import score

Json = dict[str, Any]
INDICATORS = {"high": "critical", "moderate": "warning"}


def _with(**more: Any) -> Callable[[Json], list[Json]]:
    return lambda one: [{key: value for key, value in (one | more).items() if value is not None}]


def _measured(**more: Any) -> Callable[[Json], list[Json]]:
    return lambda one: _with(valueQuantity=one["valueQuantity"] | more)(one)


UNUSABLE: dict[str, Callable[[Json], list[Json]]] = {
    "status": _with(status="entered-in-error"),
    "status, cancelled": _with(status="cancelled"),
    "status, none": _with(status=None),
    "no_time": _with(effectiveDateTime=None),
    "bad_time": _with(effectiveDateTime="yesterday"),
    "bad_time, issued": _with(issued="soon"),
    "time_without_zone": _with(effectiveDateTime="2026-03-10T11:00:00"),
    "no_value": _with(valueQuantity=None),
    "no_value, a reason": _with(dataAbsentReason={"text": "unknown"}),
    "not_a_quantity": _with(valueQuantity=None, valueString="12"),
    "not_a_quantity, a text": _measured(value="12"),
    "comparator": _measured(comparator="<"),
    "no_unit": lambda one: _with(valueQuantity={"value": one["valueQuantity"]["value"]})(one),
    "unknown_unit": _measured(unit="furlong", code="furlong"),
    "unit_contradiction": _measured(unit="kPa"),
    "incompatible_unit": _measured(unit="kPa", code="kPa"),
    "out_of_range": _measured(value=0),
    "out_of_range, absurd": _measured(value=1e300),
    "modifier_extension": _with(modifierExtension=[{"url": "urn:x"}]),
    "implicit rules": _with(implicitRules="urn:x"),
    "no_subject": _with(subject=None),
    "foreign_subject": _with(subject={"reference": "Patient/other"}),
    "foreign_subject, elsewhere": _with(subject={"reference": "https://other.example.org/fhir/Patient/p"}),
    "foreign_focus": _with(focus=[{"reference": "Patient/newborn"}]),
    "conflicting_versions": lambda one: [one, one | {"valueQuantity": quantity(77.0, "/min")}],
    "a newer version that does not count": lambda one: [
        one, one | {"meta": {"versionId": "2"}, "status": "entered-in-error"}, one | {"meta": {"versionId": "1"}},
    ],
    "after_prediction_time": _with(effectiveDateTime=at(-1)),
    "after_prediction_time, the day": _with(effectiveDateTime="2026-03-10"),
    "not_yet_available": _with(issued=at(-1)),
    "before_window": _with(effectiveDateTime=at(25)),
    "another code": _with(code={"coding": [{"system": f"{MIMIC}/mimic-d-labitems", "code": "50843"}]}),
    "not_a_resource": lambda one: [{**one, "resourceType": "Basic"}],
}  # fmt: skip
TELL_NOTHING = {
    "status", "status, cancelled", "status, none", "no_value", "no_value, a reason", "foreign_focus", "before_window",
    "another code", "not_a_resource", "after_prediction_time", "not_yet_available",
}  # fmt: skip
"""What the site took back, left out, or did not say of this patient and time; an hour is no error of a clock."""
NAMES = tuple(SICK)
CHOSEN = [
    *((name,) for name in NAMES),
    *combinations(("temperature", "wbc", "lactate", "creatinine"), 2),
    *combinations(("temperature", "wbc", "lactate", "creatinine"), 3),
    ("temperature", "wbc", "lactate", "creatinine"),
    ("heart_rate", "respiratory_rate"),
    NAMES,
]


def left_to_the_batch(fuzzed: Fuzzed, unusable: tuple[str, ...]) -> PatientResult:
    """Return what the library says of the chart without some values, in the form in which a server answers the batch."""
    answers = [patient(), [observation(name, value) for name, value in SICK.items() if name not in unusable]]
    reading = read(answers, fuzzed.schema, patient_ids=["p"])
    return score(featurize(reading, fuzzed.schema, T, patient_ids=["p"]), fuzzed.schema, fuzzed.model)[0]


@pytest.fixture(scope="module")
def left(fuzzed: Fuzzed) -> dict[tuple[str, ...], PatientResult]:
    return {names: left_to_the_batch(fuzzed, names) for names in CHOSEN}


def spoiled(unusable: tuple[str, ...], spoil: Callable[[Json], list[Json]]) -> Json:
    """Make the request of the sick patient with some values spoiled."""
    found: Json = {"patient": patient()}
    for name, value in SICK.items():
        one = observation(name, value)
        found[name] = bundle(*(spoil(one) if name in unusable else [one]))
    return hook_request(found)


def test_what_is_left_is_of_every_kind(left: dict[tuple[str, ...], PatientResult]) -> None:
    kinds = {str(one.risk_level or one.outcome) for one in left.values()}
    assert kinds == {"high", "moderate", "low", "insufficient_data"}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_values_that_do_not_count_leave_the_chart_without_them(
    fuzzed: Fuzzed, left: dict[tuple[str, ...], PatientResult], reason: str
) -> None:
    for names, result in left.items():
        answer = fuzzed.call(written(spoiled(names, UNUSABLE[reason])))
        assert answer is not None
        assert says(answer["cards"], result, fuzzed, silent=reason in TELL_NOTHING), (names, answer)


def says(cards: list[Json], result: PatientResult, fuzzed: Fuzzed, *, silent: bool) -> bool:
    """Tell whether cards say a result; `silent` where nothing is to be said beside a low one."""
    if result.outcome is not Outcome.SCORED:
        displays = [fuzzed.schema.features[name].display for name in result.detail]
        return (
            [one["indicator"] for one in cards] == ["info"]
            and "risk not computed: missing" in cards[0]["summary"]
            and all(f"| {name} |" in cards[0]["detail"] for name in displays)
        )
    assert result.probability is not None
    assert result.risk_level is not None
    shown = f"{result.risk_level.name} ({short_percentage(result.probability, fuzzed.schema.risk_levels)}%)"
    if result.risk_level == "low":
        if silent:
            return cards == []
        (card,) = cards
        said = f"Sepsis Risk: {shown} from incomplete data: "
        return card["indicator"] == "info" and str(card["summary"]).startswith(said)
    (card,) = cards
    return card["indicator"] == INDICATORS[result.risk_level] and card["summary"] == f"Sepsis Risk: {shown}"
