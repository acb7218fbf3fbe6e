from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from screening.synthetic import Hospital, SyntheticPatient, fhir_resources
from screening.synthetic.terms import FEATURES, LABS

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def day_mean(patient: SyntheticPatient, feature: str) -> float:
    since = patient.now - timedelta(days=1)
    return mean(event.value for event in patient.events if event.feature == feature and event.time > since)


def test_who_they_are() -> None:
    named = Hospital(0, 7, NOW).named()
    assert [patient.patient_id for patient in named] == ["demo-high", "demo-moderate", "demo-low"]
    names = [fhir_resources(patient, "loinc")[0]["name"][0] for patient in named]
    assert [(name["family"], name["given"]) for name in names] == [
        ("Demo", ["High"]),
        ("Demo", ["Moderate"]),
        ("Demo", ["Low"]),
    ]


def test_they_depend_on_now_only() -> None:
    assert Hospital(0, 7, NOW).named() == Hospital(50, 8, NOW, vitals_per_day=2).named()
    assert Hospital(0, 7, NOW).named() != Hospital(0, 7, NOW + timedelta(hours=1)).named()


def test_their_pictures_stand_apart() -> None:
    high, moderate, low = Hospital(0, 7, NOW).named()
    for feature in FEATURES:
        assert day_mean(high, feature) > day_mean(moderate, feature) > day_mean(low, feature)
    assert day_mean(high, "lactate") > 4
    assert day_mean(high, "temperature") > 38.3
    assert day_mean(low, "lactate") < 1.5
    assert (high.septic, low.septic) == (True, False)


@pytest.mark.parametrize("now", [NOW, datetime(2026, 3, 8, 18, tzinfo=UTC), datetime(2026, 11, 1, 18, tzinfo=UTC)])
def test_they_are_clean_and_complete_on_any_day(now: datetime) -> None:
    for patient in Hospital(0, 7, now).named():
        assert all(event.dirt == () and event.status == "final" for event in patient.events)
        assert all(event.time < event.issued <= now for event in patient.events)
        for feature in FEATURES:
            times = [event.time for event in patient.events if event.feature == feature]
            last_day = [time for time in times if time > now - timedelta(days=1)]
            assert len(last_day) == (3 if feature in LABS else 12) or now != NOW
            assert len(last_day) >= 2


def test_their_ids_can_be_read() -> None:
    ids = [resource["id"] for patient in Hospital(0, 7, NOW).named() for resource in fhir_resources(patient, "loinc")]
    assert "demo-high-encounter-hospital-0" in ids
    assert len(set(ids)) == len(ids)
    assert all(identity.startswith("demo-") and len(identity) <= 64 for identity in ids)
