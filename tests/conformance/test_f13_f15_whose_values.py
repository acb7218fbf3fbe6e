"""F13 and F15: the peer makes two rows of one patient, and puts another patient's card on the open chart."""

import json
from itertools import product
from pathlib import Path

import pytest
from tests.charts import BASE, SICK, T, bundle, chart, matrix, observation, patient, result, results, sepsis

from screening.features import featurize
from screening.outcome import Outcome
from screening.readers.fhir import read

URN = "urn:uuid:7f0c8a52-0c2e-4d4e-9e59-0d1a3f6a0001"
REFERENCES = ["Patient/p", "Patient/p/_history/2", f"{BASE}/Patient/p", f"{BASE}/Patient/p/_history/2", URN]


@pytest.mark.parametrize("reference", REFERENCES)
def test_f13_one_patient_is_one_row_however_the_subject_is_written(reference: str) -> None:
    """The peer groups by the reference's exact text: an absolute, versioned or urn subject makes a second patient."""
    entries = [{"fullUrl": URN, "resource": patient()}]
    entries += [{"resource": observation(n, v, subject={"reference": reference})} for n, v in SICK.items()]
    found = matrix([{"resourceType": "Bundle", "type": "collection", "entry": entries}], base_url=BASE)
    assert found.rows["patient_id"].tolist() == ["p"]
    assert found.rows.loc[0, list(SICK)].tolist() == list(SICK.values())
    assert found.drops == {}


def test_f13_references_of_all_kinds_in_one_bundle_meet_in_one_row() -> None:
    """The peer copies the features onto the empty row by the batch's median, and writes both at 0.9069."""
    values = product(SICK.items(), range(len(REFERENCES)))
    readings = [
        observation(name, number, hours=1 + turn, subject={"reference": REFERENCES[turn]})
        for (name, number), turn in values
    ]
    entries = [{"fullUrl": URN, "resource": patient()}, *[{"resource": one} for one in readings]]
    found = results([{"resourceType": "Bundle", "entry": entries}], base_url=BASE)
    assert [one.patient_id for one in found] == ["p"]
    assert {item.feature: item.count for item in found[0].inputs if item.feature in SICK} == dict.fromkeys(SICK, 5)


@pytest.mark.parametrize("name", ["high", "moderate", "low"])
def test_f13_the_tutorials_bundles_as_they_are_hold_one_patient_each(tutorial: Path, name: str) -> None:
    """The peer reads two patients out of each of its own *_bundle.json, one of them with the subject urn:uuid:…."""
    content = json.loads((tutorial / f"{name}_risk_bundle.json").read_text())
    reading = read([content], sepsis())
    assert len(reading.patients) == 1
    assert reading.observations["patient_id"].unique().tolist() == reading.patients["patient_id"].tolist()
    assert len(reading.observations) >= 3
    assert not reading.patients["patient_id"].str.startswith("urn:").any()


def prefetch(*others: str) -> dict[str, object]:
    """Make a prefetch of patient `p` with other patients' data in front and behind."""
    ahead = [resource for who in others for resource in chart(who)]
    return {
        "everything": bundle(*ahead, *chart("p", {"heart_rate": 72.0, "respiratory_rate": 14.0, "wbc": 7.0}), *ahead)
    }


def test_f15_the_chart_that_is_open_is_the_one_that_is_scored() -> None:
    """The peer shows HIGH 90 % for context.patientId "somebody-else" whose data it does not have."""
    (one,) = results([prefetch()], patient_ids=["somebody-else"], cohort=["somebody-else"])
    assert (one.outcome, one.probability) == (Outcome.NOT_FOUND, None)


@pytest.mark.parametrize("others", [("other",), ("0", "other"), ("other", "zz")])
def test_f15_another_patient_in_the_prefetch_neither_takes_nor_lends_a_value(others: tuple[str, ...]) -> None:
    """In the peer row 0 is "other", filled up from the sick one."""
    reading = read([prefetch(*others)], sepsis(), patient_ids=["p"])
    assert reading.patients["patient_id"].tolist() == ["p"]
    assert set(reading.observations["patient_id"]) == {"p"}
    assert {reason for _, _, reason in reading.drops} == {"foreign_subject"}
    alone = result([prefetch()], patient_ids=["p"], cohort=["p"])
    assert result([prefetch(*others)], patient_ids=["p"], cohort=["p"]) == alone
    assert alone.imputed == ("temperature", "lactate", "creatinine")


def test_f15_a_patient_resource_of_another_is_not_this_patients_age() -> None:
    """The peer takes the first Patient that it finds."""
    content = [patient("other", birthDate="1930-01-01"), *chart("p")]
    found = featurize(read([content], sepsis(), patient_ids=["p"]), sepsis(), T, patient_ids=["p"])
    assert found.rows["age"].tolist() == [60.0]
    assert found.basis.loc[found.basis["feature"] == "age", "source"].tolist() == ["Patient/p"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"subject": {"reference": "https://elsewhere.example.org/r4/Patient/p"}}, "foreign_subject"),
        ({"subject": {"reference": f"{BASE}-test/Patient/p"}}, "foreign_subject"),
        ({"focus": [{"reference": "Patient/newborn"}]}, "foreign_focus"),
        ({"subject": {"display": "p"}}, "no_subject"),
    ],
)
def test_f15_what_is_not_known_to_be_this_patients_is_not(change: dict[str, object], reason: str) -> None:
    """The peer looks at the text of the reference alone, and never at the focus."""
    content = [patient(), observation(value=72.0), observation(value=290.0, hours=2, **change)]
    found = matrix(content, patient_ids=["p"], base_url=BASE)
    assert found.rows["heart_rate"].tolist() == [72.0]
    assert {why for _, _, why in found.drops} == {reason}
