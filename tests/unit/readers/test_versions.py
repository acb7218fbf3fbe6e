"""Versions of one resource id: the newest counts, equal age with unequal content is a conflict, and order is nothing."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.charts import bundle, by_reason, observation, patient, quantity, sepsis

from screening.readers import fhir_versions
from screening.readers.fhir import FhirReader, read
from screening.readers.fhir_versions import Version, Versions


def version(value: float, number: Any = None, updated: str | None = None, **more: Any) -> dict[str, Any]:
    """Make one version of Observation/o; its value tells which one it is."""
    meta = {"versionId": number, "lastUpdated": updated}
    return observation(value=value, id="o", meta={k: v for k, v in meta.items() if v is not None} or None, **more)


def in_every_order(*resources: dict[str, Any]) -> tuple[list[float], list[str], dict[tuple[str, str], int]]:
    """Return values, sources and drops; the same whatever the order of the versions, in one Bundle or in many."""
    found = []
    for order in permutations(resources):
        for content in ([patient(), *order], [bundle(*order), patient()], [bundle(one) for one in (*order, patient())]):
            reading = read(content, sepsis())
            values, sources = (reading.observations[name].tolist() for name in ("value", "source"))
            found.append((values, sources, by_reason(reading.drops)))
    assert all(one == found[0] for one in found)
    return found[0]


OLD, NEW = "2026-03-10T09:00:00Z", "2026-03-10T10:00:00Z"
CONFLICT = {("heart_rate", "conflicting_versions"): 1}


@pytest.mark.parametrize(
    ("versions", "kept"),
    [
        ([version(70, "1"), version(80, "2")], [80.0]),
        ([version(70, "9"), version(80, "10")], [80.0]),
        ([version(70, "1"), version(80, "2"), version(90, "3")], [90.0]),
        ([version(70, "a7", OLD), version(80, "0b", NEW)], [80.0]),
        ([version(70, updated=OLD), version(80, updated=NEW)], [80.0]),
        ([version(70, "1", NEW), version(80, "2", OLD)], [80.0]),
        ([version(70, "1", OLD), version(80, "1", NEW)], [80.0]),
        ([version(70, "1", OLD), version(80, updated=NEW)], [80.0]),
        ([version(70, "٣", OLD), version(80, "2", NEW)], [80.0]),
        ([version(70, "1"), version(75, "1"), version(80, "2")], [80.0]),  # a newer one settles an old conflict
    ],
)
def test_the_newest_counts(versions: list[dict[str, Any]], kept: list[float]) -> None:
    values, _, drops = in_every_order(*versions)
    assert values == kept
    assert drops == {}


@pytest.mark.parametrize(
    "versions",
    [
        [version(70), version(80)],
        [version(70, "1"), version(80, "1")],
        [version(70, "1", OLD), version(80, "1", OLD)],
        [version(70, "1"), version(80)],
        [version(70, "1"), version(80, updated=NEW)],
        [version(70, "a7"), version(80, "0b")],
        [version(70, "9" * 5000), version(80, "8" * 5000)],
        [version(70, updated="soon"), version(80, updated="later")],
        [version(70, updated="2026-03-10T09:00:00"), version(80, updated="2026-03-10T10:00:00")],
        [version(60, "1"), version(70, "2"), version(80, "2")],
        [version(60, "1"), version(70, "2"), version(80)],
        [version(80, status="cancelled"), version(80, valueQuantity=quantity(0))],
    ],
)
def test_equal_age_and_unequal_content_is_a_conflict_and_neither_is_believed(versions: list[dict[str, Any]]) -> None:
    assert in_every_order(*versions) == ([], [], CONFLICT)


def test_ages_that_are_told_in_different_ways_give_one_answer_in_every_order() -> None:
    # 70 is older than 80 by versionId, 80 older than 90 by lastUpdated; 70 and 90 cannot be compared.
    trio = [version(70, "1"), version(80, "2", OLD), version(90, "x", NEW)]
    assert in_every_order(*trio)[0] == [90.0]


def test_ages_that_run_in_a_circle_are_a_conflict() -> None:
    circle = [version(70, "1", NEW), version(80, "2", "2026-03-10T08:00:00Z"), version(90, "x", OLD)]
    # 70 < 80 by versionId, 80 < 90 and 90 < 70 by lastUpdated
    assert in_every_order(*circle) == ([], [], CONFLICT)


@pytest.mark.parametrize(
    ("metas", "source"),
    [
        ([{"versionId": "2", "lastUpdated": NEW}, None], "Observation/o/_history/2"),
        ([{"versionId": "2"}, {"versionId": "2", "tag": [{"code": "seen"}]}], "Observation/o/_history/2"),
        ([{"lastUpdated": NEW}, {}], "Observation/o"),
        ([{"versionId": "1"}, {"versionId": "2"}], "Observation/o/_history/2"),
        ([{"versionId": "2"}, {"versionId": "2"}], "Observation/o/_history/2"),
    ],
)
def test_equal_content_is_one_version_whatever_a_server_says_in_meta(metas: list[Any], source: str) -> None:
    assert in_every_order(*[observation(id="o", meta=meta) for meta in metas]) == ([80.0], [source], {})


@pytest.mark.parametrize(
    "newer",
    [
        version(80, "2", status="entered-in-error"),
        version(80, "2", valueQuantity=quantity(0)),
        version(80, "2", effectiveDateTime=None),
    ],
)
def test_a_newer_version_that_does_not_count_still_displaces_the_older(newer: dict[str, Any]) -> None:
    values, _, drops = in_every_order(version(70, "1"), newer)
    assert values == []
    assert sum(drops.values()) == 1


def test_a_newer_version_of_another_code_or_another_patient_displaces_the_older() -> None:
    other = {"coding": [{"system": "http://loinc.org", "code": "9999-9"}]}
    assert in_every_order(version(70, "1"), version(70, "2", code=other)) == ([], [], {})
    moved = version(70, "2", subject={"reference": "Device/d"})
    assert in_every_order(version(70, "1"), moved) == ([], [], {("heart_rate", "foreign_subject"): 1})


def test_the_same_id_of_another_type_is_another_resource() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "o",
        "meta": {"versionId": "9"},
        "subject": {"reference": "Patient/p"},
    }
    assert in_every_order(version(70, "1"), condition)[0] == [70.0]


@pytest.mark.parametrize(
    ("change", "conflict"),
    [
        ({"encounter": {"reference": "Encounter/e"}}, False),
        ({"subject": {"reference": "Patient/p/_history/2"}}, False),
        ({"text": {"status": "generated"}}, False),
        ({"valueQuantity": quantity(80, "/min", unit="bpm")}, False),
        ({"valueQuantity": quantity(81)}, True),
        ({"effectiveDateTime": "2026-03-10T11:00:00.000001Z"}, True),
        ({"issued": NEW}, True),
        ({"status": "cancelled"}, True),
        ({"subject": {"reference": "Patient/q"}}, True),
        ({"modifierExtension": [{"url": "u"}]}, True),
    ],
)
def test_two_extracts_of_one_record_conflict_only_in_what_counts(change: dict[str, Any], conflict: bool) -> None:
    content = [observation(id="o"), observation(**({"id": "o"} | change))]
    found = {
        tuple(read([patient(), *order], sepsis(), patient_ids=["p"]).observations["value"])
        for order in permutations(content)
    }
    assert found == {()} if conflict else found == {(80.0,)}


def test_components_in_another_order_are_no_conflict() -> None:
    def part(code: str, number: float) -> dict[str, Any]:
        return {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueQuantity": quantity(number)}

    parts = [part("8867-4", 80), part("9279-1", 14), part("9279-1", 0)]
    first, second = (
        observation(id="o", code=None, valueQuantity=None, component=some) for some in (parts, parts[::-1])
    )
    values, _, drops = in_every_order(first, second)
    assert sorted(values) == [14.0, 80.0]
    assert drops == {("respiratory_rate", "out_of_range"): 1}


def test_a_resource_without_an_id_counts_once_in_however_many_bundles() -> None:
    nameless = observation(id=None)
    assert in_every_order(nameless, nameless, nameless) == ([80.0], [""], {})
    assert in_every_order(nameless, nameless | {"meta": {"tag": [{"code": "seen"}]}}) == ([80.0], [""], {})


def test_two_ids_with_one_value_are_a_duplicate() -> None:
    values, sources, drops = in_every_order(observation(id="b"), observation(id="a"))
    assert (values, sources, drops) == ([80.0], ["Observation/a"], {("heart_rate", "duplicate"): 1})


def problems(*versions: dict[str, Any]) -> list[str]:
    found = {tuple(read(order, sepsis()).patients["problem"]) for order in permutations(versions)}
    assert len(found) == 1
    return list(found.pop())


def test_versions_of_a_patient() -> None:
    old, new = (
        patient(birthDate=born, meta={"versionId": n}) for born, n in (("1966-03-10", "1"), ("1976-03-10", "2"))
    )
    assert read([new, old], sepsis()).patients["birth_date"].tolist() == ["1976-03-10"]
    assert read([old, new], sepsis()).patients["source"].tolist() == ["Patient/p/_history/2"]
    assert problems(patient(), patient(birthDate="1976-03-10")) == [
        "two Patient resources of one id contradict each other"
    ]
    assert problems(patient(), patient(), patient(meta={"versionId": "1"})) == [""]


def test_a_contradictory_patient_is_one_row_and_told_without_any_value() -> None:
    (record,) = read([patient(gender="female"), patient()], sepsis()).patients.to_dict("records")
    assert record["patient_id"] == "p"
    assert (record["gender"], record["birth_date"]) == ("", "")


def test_digests_are_made_of_all_that_is_held_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    content = [
        patient(), version(80.0, "1"), *[observation("wbc", 9.0)] * 2, version(90.0, "2"), version(80.0, "1"),
        observation("lactate", 2.0, id=None),
    ]  # fmt: skip
    held = read(content, sepsis())
    monkeypatch.setattr(fhir_versions, "HELD", 2)
    reader = FhirReader(sepsis())
    for resource in content:
        reader.add(resource)
        whole = [one for known in reader._kept.values() for one in known]
        assert sum(one._resource is not None for one in whole) < 2
    assert reader.reading().observations.equals(held.observations)
    assert held.observations["value"].tolist() == [90.0, 2.0, 9.0]


def older(mine: tuple[int | None, int | None], other: tuple[int | None, int | None]) -> bool:
    """Tell by versionId where both have one that differs, else by lastUpdated where both have it."""
    for a, b in zip(mine, other, strict=True):
        if a is not None and b is not None and a != b:
            return a < b
    return False


SOME = st.none() | st.integers(0, 4)


@given(st.lists(st.tuples(SOME, SOME), min_size=1, max_size=8))
def test_the_newest_are_those_that_none_is_newer_than(ages: list[tuple[int | None, int | None]]) -> None:
    known = Versions()
    for number, age in enumerate(ages):
        known.add(Version(age, [], [(str(number), "", "")], None, {"id": "o", "n": number}))
    expected = {str(n) for n, mine in enumerate(ages) if not any(older(mine, other) for other in ages)}
    assert {one.drops[0][0] for one in known.newest()} == (expected or {str(n) for n in range(len(ages))})
