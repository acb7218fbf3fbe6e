import gc
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from screening.errors import FatalError
from screening.synthetic import Dirt, Hospital, SyntheticPatient, fhir_resources
from screening.synthetic.terms import FEATURES

NOW = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def many() -> list[SyntheticPatient]:
    return list(Hospital(2000, 7, NOW, vitals_per_day=4).patients())


@pytest.fixture(scope="module")
def clean() -> list[SyntheticPatient]:
    return list(Hospital(60, 7, NOW, Dirt.none()).patients())


def as_bytes(hospital: Hospital) -> bytes:
    return b"".join(orjson.dumps(fhir_resources(patient, "loinc")) for patient in hospital.patients())


def test_one_seed_one_hospital() -> None:
    assert as_bytes(Hospital(15, 7, NOW)) == as_bytes(Hospital(15, 7, NOW))
    assert as_bytes(Hospital(15, 7, NOW)) != as_bytes(Hospital(15, 8, NOW))


def test_a_patient_does_not_depend_on_the_size_nor_on_the_others() -> None:
    small, large = list(Hospital(6, 7, NOW).patients()), Hospital(10_000, 7, NOW).patients()
    assert small[5] == next(patient for patient in large if patient.index == 5)
    assert small[5] == Hospital(0, 7, NOW).patient(5)


def test_now_is_an_instant_in_whatever_zone() -> None:
    assert Hospital(1, 7, NOW).patient(0) == Hospital(1, 7, NOW.astimezone(ZoneInfo("Asia/Tokyo"))).patient(0)


def test_everything_moves_with_now() -> None:
    before, after = Hospital(1, 7, NOW, Dirt.none()).patient(3), Hospital(1, 7, NOW + DAY, Dirt.none()).patient(3)
    assert [event.time + DAY for event in before.events] == [event.time for event in after.events]
    assert before.patient_id == after.patient_id


def test_dirt_leaves_people_and_truth_alone() -> None:
    dirty, pure = Hospital(40, 7, NOW, Dirt(fahrenheit=0)), Hospital(40, 7, NOW, Dirt.none())
    for soiled, spotless in zip(dirty.patients(), pure.patients(), strict=True):
        assert (soiled.septic, soiled.birth_date) == (spotless.septic, spotless.birth_date)
        truth = {event.number: (event.time, event.value) for event in spotless.events}
        assert all(truth[event.number] == event[3:6:2] for event in soiled.events if event.number % 2 == 0)


def test_about_eighteen_percent_of_stays_are_septic(many: list[SyntheticPatient]) -> None:
    stays = [stay for patient in many for stay in patient.stays]
    assert 0.15 <= np.mean([stay.septic for stay in stays]) <= 0.21
    assert 0.15 <= np.mean([patient.septic for patient in many]) <= 0.21
    assert all(patient.septic == patient.stays[-1].septic for patient in many)


def test_some_patients_have_an_earlier_stay(many: list[SyntheticPatient]) -> None:
    assert 0.16 <= np.mean([len(patient.stays) == 2 for patient in many]) <= 0.24


def test_ages_and_sexes(many: list[SyntheticPatient]) -> None:
    ages = [(NOW.date() - patient.birth_date).days / 365.2425 for patient in many]
    assert 18 <= min(ages) < 30
    assert 85 < max(ages) <= 95.01
    assert 0.4 <= np.mean([patient.sex == "female" for patient in many]) <= 0.5


def test_stays_and_readings_are_in_order(many: list[SyntheticPatient]) -> None:
    for patient in many:
        for stay in patient.stays:
            assert stay.registered < stay.admitted <= stay.icu_in < stay.icu_out <= stay.discharged
        assert [event.time for event in patient.events] == sorted(event.time for event in patient.events)
        assert len({event.number for event in patient.events}) == len(patient.events)
        assert all(event.time < event.issued <= patient.now for event in patient.events)
        assert all(event.time >= patient.stays[event.stay].admitted for event in patient.events)


def test_nothing_is_on_record_before_it_is_issued() -> None:
    patients = list(Hospital(30, 7, NOW, vitals_per_day=144).patients())
    events = [event for patient in patients for event in patient.events]
    assert all(event.issued <= NOW for event in events)
    assert max(event.time for event in events) > NOW - timedelta(minutes=15)


def test_inpatients_came_one_to_six_days_ago(clean: list[SyntheticPatient]) -> None:
    assert all(patient.in_hospital for patient in clean)
    ages = [patient.now - patient.stays[-1].admitted for patient in clean]
    assert all(DAY <= age <= 6 * DAY + timedelta(minutes=1) for age in ages)
    assert max(ages) - min(ages) > 4 * DAY


def test_every_day_of_a_stay_can_be_screened(clean: list[SyntheticPatient]) -> None:
    for patient in clean:
        current = len(patient.stays) - 1
        moment = patient.now
        while moment - DAY >= patient.stays[-1].icu_in:
            day = [event for event in patient.events if event.stay == current and moment - DAY < event.time <= moment]
            found = {feature: sum(event.feature == feature for event in day) for feature in FEATURES}
            assert min(found["heart_rate"], found["respiratory_rate"]) >= 3
            assert all(found[lab] in (1, 2, 3, 4) for lab in ("wbc", "lactate", "creatinine"))
            moment -= DAY


def test_vitals_per_day_sets_the_pace() -> None:
    def rate(vitals_per_day: float) -> float:
        patient = Hospital(1, 7, NOW, Dirt.none(), vitals_per_day).patient(0)
        charted = [event for event in patient.events if event.feature == "heart_rate" and event.stay == 0]
        return len(charted) / ((min(patient.now, patient.stays[0].icu_out) - patient.stays[0].icu_in) / DAY)

    assert 10 <= rate(12) <= 12.2
    assert 2.5 <= rate(3) <= 3.2


def test_the_default_keeps_two_hundred_patients_small() -> None:
    assert 15_000 <= sum(len(fhir_resources(p, "loinc")) for p in Hospital(200, 7, NOW).patients()) <= 25_000


def test_no_sepsis_code_is_that_of_non_infectious_inflammation(many: list[SyntheticPatient]) -> None:
    sepsis = ("A40", "A41", "038", "R652", "99591", "99592", "78552")
    for stay in (stay for patient in many for stay in patient.stays):
        codes = [code for code, _ in stay.diagnoses]
        assert any(code.startswith(sepsis) for code in codes) is stay.septic
        assert not any("." in code or code.startswith("R651") for code in codes)
        assert {version for _, version in stay.diagnoses} in ({9}, {10})


def day_means(patients: list[SyntheticPatient]) -> Iterator[tuple[list[float], bool, int]]:
    for patient in patients:
        for number, stay in enumerate(patient.stays):
            values: dict[str, list[float]] = defaultdict(list)
            for event in patient.events:
                if event.stay == number and event.expected == "counts" and event.time <= stay.icu_in + DAY:
                    values[event.feature].append(event.value)
            means = [float(np.mean(values[name])) if values[name] else float("nan") for name in FEATURES]
            yield [*means, stay.admitted.year - patient.birth_date.year], stay.septic, patient.index


def test_a_model_of_day_means_is_good_and_not_perfect(many: list[SyntheticPatient]) -> None:
    features, labels, _ = zip(*day_means(many), strict=True)
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, np.array(features), np.array(labels), cv=5, method="predict_proba")[:, 1]
    assert 0.80 <= roc_auc_score(labels, scores) <= 0.89


def test_no_single_feature_tells_it_all(many: list[SyntheticPatient]) -> None:
    features, labels, _ = zip(*day_means(many), strict=True)
    for column in np.array(features).T[: len(FEATURES)]:
        seen = ~np.isnan(column)
        assert 0.6 <= roc_auc_score(np.array(labels)[seen], column[seen]) <= 0.8


def test_memory_does_not_grow_with_the_hospital() -> None:
    def peak(size: int) -> int:
        gc.collect()
        tracemalloc.start()
        for patient in Hospital(size, 7, NOW, vitals_per_day=3).patients():
            fhir_resources(patient, "mimic")
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20)  # caches and lazy imports
    assert peak(300) < 1.5 * peak(100)  # a hospital held in memory would be at 3.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": -1},
        {"size": 4_000_001},
        {"seed": -1},
        {"now": datetime(2026, 6, 1)},  # noqa: DTZ001 - that is the point
        {"vitals_per_day": 0},
        {"vitals_per_day": 289},
    ],
)
def test_impossible_hospitals_are_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"size": 1, "seed": 7, "now": NOW}
    with pytest.raises(FatalError):
        Hospital(**(right | wrong))


def test_impossible_dirt_is_refused() -> None:
    with pytest.raises(FatalError, match="comparator"):
        Dirt(comparator=1.5)
    with pytest.raises(FatalError, match="add up"):
        Dirt(deceased=0.6, discharged=0.6)
    with pytest.raises(FatalError, match="add up"):
        replace(Dirt.none(), cancelled=0.5, no_unit=0.6)
