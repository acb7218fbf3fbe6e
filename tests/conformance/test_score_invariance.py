"""What must never change a score: the batch, the order, the paging, copies, and the style of codes and units.

Property tests over invented patients, and over the synthetic hospital with all its dirt.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.charts import CODES, MEDIANS, T, boosted_bundle, bundle, observation, patient, rule_bundle, sepsis

from screening.feature_matrix import FeatureMatrix
from screening.features import featurize
from screening.model.bundle import ModelBundle
from screening.outcome import Outcome, PatientResult
from screening.readers.fhir import read
from screening.scoring import score
from screening.synthetic import Dirt, Hospital, SyntheticPatient, fhir_resources

FEATURES = tuple(CODES["loinc"])
Resource = dict[str, Any]
Style = Literal["loinc", "mimic"]
MODELS = {"boosted": boosted_bundle(), "medians": rule_bundle(medians=MEDIANS)}
examples = settings(max_examples=25, deadline=None, derandomize=True)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}

LIKELY = {
    "heart_rate": (40.0, 180.0), "temperature": (34.0, 41.0), "respiratory_rate": (8.0, 40.0), "wbc": (0.5, 40.0),
    "lactate": (0.5, 12.0), "creatinine": (0.3, 8.0),
}  # fmt: skip
CHANGES: list[Resource] = [
    {}, {}, {}, {}, {"status": "corrected"}, {"status": "cancelled"}, {"issued": "2026-03-10T11:59:00Z"},
    {"issued": "2026-03-10T12:01:00Z"}, {"effectiveDateTime": None}, {"valueQuantity": None}, {"id": None},
    {"encounter": {"reference": "Encounter/a"}}, {"encounter": {"reference": "Encounter/b"}},
    {"subject": {"reference": "Patient/somebody-else"}}, {"modifierExtension": [{"url": "u"}]},
]  # fmt: skip


@st.composite
def readings(draw: st.DrawFn, who: str) -> list[tuple[str, float, float, Resource]]:
    """Draw (feature, value, hours before, change) of one patient; hours lie before, in and after the window."""
    found = []
    for feature in draw(st.lists(st.sampled_from(FEATURES), max_size=14)):
        low, high = LIKELY[feature]
        number = round(draw(st.floats(low, high)), 1)
        hours = draw(st.sampled_from([0, 0.5, 1, 1, 2, 6, 12, 23.9, 24, 25, 48, -1]))
        found.append((feature, number, hours, draw(st.sampled_from(CHANGES))))
    return found


@st.composite
def populations(draw: st.DrawFn, most: int = 4) -> dict[str, list[Resource]]:
    """Draw patients with their resources; every Observation but those made without an id has one of its own."""
    found = {}
    for number in range(draw(st.integers(1, most))):
        who = f"p{number}"
        born = draw(st.sampled_from(["1966-03-10", "1940", "1999-12", None]))
        gender = draw(st.sampled_from(["male", "female", "unknown"]))
        charted = [
            observation(feature, value, who=who, hours=hours, **({"id": f"{who}-{n}"} | change))
            for n, (feature, value, hours, change) in enumerate(draw(readings(who)))
        ]
        found[who] = [patient(who, birthDate=born, gender=gender), *charted]
    return found


def compute(content: Any, cohort: list[str]) -> FeatureMatrix:
    return featurize(read([content], sepsis(), patient_ids=frozenset(cohort)), sepsis(), T, patient_ids=cohort)


def scored(content: Any, cohort: list[str], model: ModelBundle) -> dict[str, PatientResult]:
    return {one.patient_id: one for one in score(compute(content, cohort), sepsis(), model)}


def flat(population: dict[str, list[Resource]]) -> list[Resource]:
    return [resource for chart in population.values() for resource in chart]


def assert_same(one: FeatureMatrix, other: FeatureMatrix) -> None:
    pd.testing.assert_frame_equal(one.rows, other.rows, check_exact=True)
    pd.testing.assert_frame_equal(one.cells, other.cells, check_exact=True)
    pd.testing.assert_frame_equal(one.basis, other.basis, check_exact=True)


models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@models
@examples
@given(populations(), st.data())
def test_a_patients_result_does_not_depend_on_the_batch(
    model: ModelBundle, population: Any, data: st.DataObject
) -> None:
    cohort = list(population)
    whole = scored(flat(population), cohort, model)
    apart = {who: scored(chart, [who], model)[who] for who, chart in population.items()}
    assert apart == whole
    some = data.draw(st.lists(st.sampled_from(cohort), unique=True))
    assert scored(flat(population), some, model) == {who: whole[who] for who in some}


@examples
@given(populations(), st.randoms(use_true_random=False))
def test_the_order_of_resources_changes_nothing(population: Any, chance: Any) -> None:
    cohort, content = list(population), flat(population)
    before = compute(content, cohort)
    chance.shuffle(content)
    after = compute(content, cohort)
    assert_same(before, after)
    assert before.drops == after.drops


@examples
@given(populations(), st.data())
def test_paging_and_wrapping_change_nothing(population: Any, data: st.DataObject) -> None:
    cohort, content = list(population), flat(population)
    before = compute(content, cohort)
    pages: list[Any] = []
    rest = content
    while rest:
        size = data.draw(st.integers(1, 6))
        page, rest = rest[:size], rest[size:]
        ways = [page, bundle(*page), bundle(*page, OUTCOME), bundle(*page, mode="include"), {"page": bundle(*page)}]
        pages.append(data.draw(st.sampled_from(ways)))
    pages = data.draw(st.permutations(pages))
    after = compute(pages, cohort)
    assert_same(before, after)
    assert before.drops == after.drops


@examples
@given(populations(), st.data())
def test_what_comes_twice_counts_once(population: Any, data: st.DataObject) -> None:
    cohort, content = list(population), flat(population)
    before = compute(content, cohort)
    again = data.draw(st.lists(st.sampled_from(content), max_size=10))
    assert_same(before, compute([*content, *again], cohort))
    assert before.drops == compute([*again, *content, *again], cohort).drops


@examples
@given(populations(), st.data())
def test_a_copy_under_another_id_changes_no_score(population: Any, data: st.DataObject) -> None:
    cohort, content = list(population), flat(population)
    sound = [one for one in content if one["resourceType"] == "Observation"]
    chosen = data.draw(st.lists(st.sampled_from(sound), max_size=6)) if sound else []
    copies = [one | {"id": f"copy-{n}"} for n, one in enumerate(chosen)]
    before, after = compute(content, cohort), compute([*content, *copies], cohort)
    names = list(sepsis().feature_names)
    pd.testing.assert_frame_equal(before.rows[names], after.rows[names], check_exact=True)
    old, new = (scored(one, cohort, MODELS["boosted"]) for one in (content, [*content, *copies]))
    assert {who: one.probability for who, one in old.items()} == {who: one.probability for who, one in new.items()}


@examples
@given(populations(), st.data())
def test_an_older_version_changes_nothing(population: Any, data: st.DataObject) -> None:
    cohort, content = list(population), flat(population)
    newest = [one | {"meta": {"versionId": "2"}} if "id" in one else one for one in content]
    named = [one for one in newest if "meta" in one and one["resourceType"] == "Observation"]
    chosen = data.draw(st.lists(st.sampled_from(named), max_size=5)) if named else []
    older = {"meta": {"versionId": "1"}, "status": "final", "effectiveDateTime": "2026-03-10T11:11:11Z"}
    stale = [one | older for one in chosen]
    assert_same(compute(newest, cohort), compute([*stale, *newest, *stale], cohort))


@examples
@given(st.lists(readings("p"), min_size=1, max_size=3))
def test_the_style_of_codes_and_units_changes_nothing(charts: Any) -> None:
    names = [f"p{n}" for n in range(len(charts))]
    made: dict[str, list[Resource]] = {"loinc": [], "mimic": []}
    for who, chart in zip(names, charts, strict=True):
        for style, content in made.items():
            content.append(patient(who))
            for n, (feature, number, hours, change) in enumerate(chart):
                sent = round(number * 9 / 5 + 32, 6) if style == "mimic" and feature == "temperature" else number
                keys = {"id": f"{who}-{n}"} | change
                content.append(observation(feature, sent, who=who, hours=hours, style=style, **keys))
    ours, theirs = (compute(content, names).rows for content in made.values())
    same_unit = [name for name in sepsis().feature_names if name != "temperature"]
    pd.testing.assert_frame_equal(ours[same_unit], theirs[same_unit], check_exact=True)
    np.testing.assert_allclose(ours["temperature"], theirs["temperature"], rtol=1e-9, atol=0)


NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
STYLES: tuple[Style, ...] = ("loinc", "mimic")
styles = pytest.mark.parametrize("style", STYLES)


@pytest.fixture(scope="module")
def inpatients() -> list[SyntheticPatient]:
    often = (
        "zero_value", "fahrenheit_as_celsius", "comparator", "string_value", "cancelled", "entered_in_error", "no_unit",
        "no_time", "foreign_focus", "duplicate_time", "duplicate_id",
    )  # fmt: skip
    dirty = Dirt(**dict.fromkeys(often, 0.03), other_unit=0.1)
    return list(Hospital(60, 11, NOW, dirty, vitals_per_day=4).patients())


@pytest.fixture(scope="module")
def records(inpatients: list[SyntheticPatient]) -> dict[str, list[Resource]]:
    return {style: [r for one in inpatients for r in fhir_resources(one, style)] for style in STYLES}


class TestTheSyntheticHospital:
    @styles
    def test_the_reader_counts_and_drops_what_the_hospital_expects(
        self, inpatients: list[SyntheticPatient], records: dict[str, list[Resource]], style: Style
    ) -> None:
        reading = read([records[style]], sepsis())
        kept, drops = Counter[tuple[str, str]](), Counter[tuple[str, str, str]]()
        for one in inpatients:
            for event in one.events:
                if style == "loinc" or event.in_mimic:
                    if event.expected.value == "counts":
                        kept[(one.patient_id, event.feature)] += 1
                    else:
                        drops[(one.patient_id, event.feature, event.expected.value)] += 1
        frame = reading.observations
        assert Counter(zip(frame["patient_id"], frame["feature"], strict=True)) == kept
        assert reading.drops == drops
        told = {reason for _, _, reason in drops}
        everywhere = {"comparator", "not_a_quantity", "no_unit", "out_of_range", "status", "duplicate"}
        assert told == everywhere | ({"no_time", "foreign_focus"} if style == "loinc" else set())

    @styles
    def test_every_value_is_the_truth(
        self, inpatients: list[SyntheticPatient], records: dict[str, list[Resource]], style: Style
    ) -> None:
        frame = read([records[style]], sepsis()).observations
        found = frame.groupby(["patient_id", "feature"])["value"].apply(sorted)
        for one in inpatients:
            truth: dict[str, list[float]] = {}
            for event in one.events:
                if event.expected.value == "counts" and (style == "loinc" or event.in_mimic):
                    truth.setdefault(event.feature, []).append(event.value)
            for feature, values in truth.items():
                assert found[(one.patient_id, feature)] == pytest.approx(sorted(values), rel=1e-5)

    def test_both_styles_give_one_matrix(self) -> None:
        hospital = Hospital(40, 3, NOW, Dirt(other_unit=0, partial_birth_date=0), vitals_per_day=4)
        people = list(hospital.patients())
        cohort = [one.patient_id for one in people]
        rows = [compute([r for one in people for r in fhir_resources(one, s)], cohort).rows for s in STYLES]
        names = [
            name for name in sepsis().feature_names if name != "age"
        ]  # MIMIC's birth date is made of its anchor age
        pd.testing.assert_frame_equal(rows[0][names], rows[1][names], check_exact=True)
        assert rows[0][names].notna().mean().min() > 0.3

    @styles
    def test_a_batch_of_one_and_a_batch_of_all_agree(
        self, inpatients: list[SyntheticPatient], records: dict[str, list[Resource]], style: Style
    ) -> None:
        cohort = [one.patient_id for one in inpatients]
        whole = scored(records[style], cohort, MODELS["boosted"])
        for one in inpatients[::4]:
            who = one.patient_id
            assert scored(fhir_resources(one, style), [who], MODELS["boosted"]) == {who: whole[who]}
        kinds = Counter(one.outcome for one in whole.values())
        assert kinds[Outcome.SCORED] > 30
        assert kinds[Outcome.SCORED] + kinds[Outcome.INSUFFICIENT_DATA] + kinds[Outcome.EXCLUDED] == len(cohort)
