"""Whose a value is: every way to refer to a patient, and everything that is somebody else's."""

from itertools import permutations
from typing import Any

import pytest
from tests.charts import BASE, by_reason, observation, patient, quantity, sepsis

from screening.readers.fhir import FhirReader, read

URN = "urn:uuid:7f0c8a52-0c2e-4d4e-9e59-0d1a3f6a0001"


def outcome(content: Any, **more: Any) -> tuple[int, dict[tuple[str, str], int]]:
    """Return how many values of patient `p` count, and the drops."""
    reading = read(content, sepsis(), **more)
    return int((reading.observations["patient_id"] == "p").sum()), by_reason(reading.drops)


FOREIGN = {("heart_rate", "foreign_subject"): 1}
NOBODY = {("heart_rate", "no_subject"): 1}


@pytest.mark.parametrize(
    ("reference", "base_url", "count", "drops"),
    [
        ("Patient/p", None, 1, {}),
        ("Patient/p/_history/4", None, 1, {}),
        (f"{BASE}/Patient/p", BASE, 1, {}),
        (f"{BASE}/Patient/p", f"{BASE}/", 1, {}),
        (f"{BASE}/Patient/p/_history/4", BASE, 1, {}),
        (f"{BASE}/Patient/p", None, 0, FOREIGN),
        ("https://elsewhere.example.org/r4/Patient/p", BASE, 0, FOREIGN),
        (f"{BASE}4/Patient/p", BASE, 0, FOREIGN),
        ("Patient/q", None, 0, FOREIGN),
        ("Patient/P", None, 0, FOREIGN),
        ("Patient/pp", None, 0, FOREIGN),
        ("Patient/p/extra", None, 0, FOREIGN),
        ("patient/p", None, 0, FOREIGN),
        ("Patient/", None, 0, FOREIGN),
        ("p", None, 0, FOREIGN),
        ("Group/p", None, 0, FOREIGN),
        ("Device/p", None, 0, FOREIGN),
        ("#p", None, 0, FOREIGN),
        ("urn:uuid:q", None, 0, FOREIGN),
        ("urn:oid:1.2.3", None, 0, FOREIGN),
        ("urn:uuid:p", None, 1, {}),  # Synthea's files: the URN is the id
        ("", None, 0, NOBODY),
        (5, None, 0, NOBODY),
        ("Patient/\ud800", None, 0, NOBODY),
    ],
)
def test_references(reference: Any, base_url: str | None, count: int, drops: dict[tuple[str, str], int]) -> None:
    content = [patient(), observation(subject={"reference": reference})]
    assert outcome(content, patient_ids=["p"], base_url=base_url) == (count, drops)


@pytest.mark.parametrize("subject", [None, {}, "Patient/p", [], {"identifier": {"value": "1"}}, {"display": "p"}])
def test_no_reference_at_all(subject: Any) -> None:
    assert outcome([patient(), observation(subject=subject)], patient_ids=["p"]) == (0, NOBODY)


def entry(resource: dict[str, Any], url: str | None = None) -> dict[str, Any]:
    return {"resource": resource, **({"fullUrl": url} if url else {})}


def transaction(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


HIS = entry(patient(), URN)
VALUE = entry(observation(subject={"reference": URN}))


def test_the_bundles_urn_is_the_patient_whatever_the_urn_and_the_id() -> None:
    assert outcome([transaction(HIS, VALUE)], patient_ids=["p"]) == (1, {})
    assert outcome([transaction(VALUE, HIS)], patient_ids=["p"]) == (1, {})


def test_a_bundle_cut_in_two_before_its_patient_gives_the_same() -> None:
    parts = [transaction(VALUE), transaction(HIS), observation("wbc", 9.0)]
    for order in permutations(parts):
        assert outcome(order) == (2, {})
        assert outcome(order, patient_ids=["p"]) == (2, {})


def test_a_patient_without_an_id_is_known_by_the_bundles_urn() -> None:
    nameless = entry(patient(id=None), "urn:uuid:p")
    assert outcome([transaction(nameless, VALUE | {"resource": observation(subject={"reference": "urn:uuid:p"})})]) == (
        1,
        {},
    )


def test_a_patient_without_an_id_or_a_urn_cannot_be_told() -> None:
    reading = read([patient(id=None), transaction(entry(patient(id=None), f"{BASE}/Patient/p"))], sepsis())
    assert reading.patients.empty
    assert reading.drops == {("", "", "no_id"): 2}


def test_a_urn_of_something_that_is_no_patient_is_nobodys() -> None:
    device = entry({"resourceType": "Device", "id": "p"}, URN)
    assert outcome([transaction(device, VALUE), patient()], patient_ids=["p"]) == (0, FOREIGN)


def two_of_one_urn() -> list[dict[str, Any]]:
    """Make a Bundle each of two patients that are named by the same urn, as sloppy exports do."""
    values = {"p": 60.0, "q": 200.0}
    return [
        transaction(entry(observation(value=v, who=who, subject={"reference": URN})), entry(patient(who), URN))
        for who, v in values.items()
    ]


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_urn_names_the_patient_of_its_own_bundle(wrapped: bool, turn: int) -> None:
    bundles = two_of_one_urn()[::turn]
    reading = read([bundles] if wrapped else bundles, sepsis())
    assert dict(zip(reading.observations["patient_id"], reading.observations["value"], strict=True)) == {
        "p": 60.0,
        "q": 200.0,
    }
    assert reading.drops == {}


def test_a_urn_that_names_two_patients_is_nobodys_where_its_bundle_does_not_tell() -> None:
    loose = transaction(entry(observation("wbc", 9.0, subject={"reference": URN})))
    inner = transaction(*[entry(one) for one in two_of_one_urn()])
    for order in permutations([*two_of_one_urn(), loose]):
        assert outcome(order) == (1, {("wbc", "foreign_subject"): 1})
    assert outcome([inner]) == (0, {("heart_rate", "foreign_subject"): 2})


def test_a_reading_taken_before_more_is_added_is_not_lost() -> None:
    reader = FhirReader(sepsis())
    reader.add(transaction(HIS, VALUE))
    assert len(reader.reading().observations) == 1
    reader.add(transaction(entry(observation("wbc", 9.0, subject={"reference": URN}))))
    assert len(reader.reading().observations) == 2
    assert len(reader.reading().observations) == 2


@pytest.mark.parametrize(
    ("focus", "count"),
    [
        ([{"reference": "Patient/p"}], 1),
        ({"reference": "Patient/p"}, 1),
        ([], 1),
        ([{"reference": "Patient/fetus"}], 0),
        ([{"reference": "Patient/p"}, {"reference": "Patient/fetus"}], 0),
        ([{"reference": "#unborn"}], 0),
        ([{"reference": "Device/pacemaker"}], 0),
        ([{"display": "donor organ"}], 0),
        (["Patient/p"], 0),
        ("Patient/p", 0),
    ],
)
def test_a_focus_on_another_is_not_this_patients_value(focus: Any, count: int) -> None:
    drops = {} if count else {("heart_rate", "foreign_focus"): 1}
    assert outcome([patient(), observation(focus=focus)], patient_ids=["p"]) == (count, drops)


def test_a_focus_by_the_bundles_urn_is_this_patient() -> None:
    content = entry(observation(subject={"reference": URN}, focus=[{"reference": URN}]))
    for order in ([transaction(HIS, content)], [transaction(content), transaction(HIS)]):
        assert outcome(order, patient_ids=["p"]) == (1, {})


def test_only_the_patients_asked_for_are_read() -> None:
    content = [patient("p"), patient("q"), observation(who="p"), observation(who="q")]
    assert read(content, sepsis(), patient_ids=["p"]).patients["patient_id"].tolist() == ["p"]
    assert read(content, sepsis()).patients["patient_id"].tolist() == ["p", "q"]
    assert outcome(content, patient_ids=["p"]) == (1, FOREIGN)


def test_the_reason_told_is_the_gravest_and_told_once() -> None:
    bad = observation(status="cancelled", subject={"reference": "Patient/q"}, valueQuantity=quantity(0))
    assert outcome([patient(), bad], patient_ids=["p"]) == (0, FOREIGN)


def test_drops_are_counted_to_the_patient_where_the_patient_is_known() -> None:
    content = [patient("p"), patient("q"), observation(who="p", status="cancelled"), observation(who="x")]
    assert read(content, sepsis(), patient_ids=["p", "q"]).drops == {
        ("p", "heart_rate", "status"): 1,
        ("", "heart_rate", "foreign_subject"): 1,
    }


@pytest.mark.parametrize(
    "bases", [(BASE, "https://inside.example.org/fhir"), ("https://inside.example.org/fhir/", BASE)]
)
def test_a_server_of_two_names_is_one_server(bases: tuple[str, ...]) -> None:
    for base, count, drops in ((BASE, 1, {}), ("https://inside.example.org/fhir", 1, {}), (f"{BASE}4", 0, FOREIGN)):
        reader = FhirReader(sepsis(), ["p"], bases)
        reader.add([patient("p"), observation(subject={"reference": f"{base}/Patient/p"})])
        reading = reader.reading()
        assert (len(reading.values), by_reason(reading.drops)) == (count, drops)
