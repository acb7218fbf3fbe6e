"""What a Patient resource tells of screening, and that a field that cannot be read is missing and no error."""

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from tests.charts import patient, sepsis

from screening.readers.fhir import read


def record(zone: Any = None, **change: Any) -> dict[str, Any]:
    (found,) = read([patient(**change)], sepsis(), zone=zone).patients.to_dict("records")
    return dict(found)


@pytest.mark.parametrize(
    ("sent", "born", "precision"),
    [
        ("1966-03-10", "1966-03-10", "day"), ("1966-03", "1966-03-16", "month"), ("1966", "1966-07-02", "year"),
        (None, "", ""), ("", "", ""), ("unknown", "", ""), (1966, "", ""), ("1966-13-01", "", ""),
        ("1966-00-00", "", ""), ("1966-03-10T00:00:00Z", "", ""), (["1966"], "", ""),
    ],
)  # fmt: skip
def test_birth_date(sent: Any, born: str, precision: str) -> None:
    found = record(birthDate=sent)
    assert (found["birth_date"], found["birth_precision"]) == (born, precision)


@pytest.mark.parametrize(
    ("sent", "gender"),
    [("male", "male"), (" Female ", "female"), ("other", "other"), (None, ""), (1, ""), (["male"], ""), ("\ud800", "")],
)
def test_gender(sent: Any, gender: str) -> None:
    assert record(gender=sent)["gender"] == gender


DAY_ENDS = pd.Timestamp("2026-03-11T11:59:59.999999Z")
DAY_ENDS_THERE = pd.Timestamp("2026-03-11T03:59:59.999999Z")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("zone", "change", "deceased", "since"),
    [
        (None, {}, False, pd.NaT),
        (None, {"deceasedBoolean": False}, False, pd.NaT),
        (None, {"deceasedBoolean": True}, True, pd.NaT),
        (None, {"deceasedDateTime": "2026-03-10T08:00:00Z"}, True, pd.Timestamp("2026-03-10T08:00:00Z")),
        (None, {"deceasedDateTime": "2026-03-10"}, True, DAY_ENDS),
        (NEW_YORK, {"deceasedDateTime": "2026-03-10"}, True, DAY_ENDS_THERE),
        (None, {"deceasedDateTime": "2026-03-10T08:00:00"}, True, pd.NaT),
        (NEW_YORK, {"deceasedDateTime": "2026-03-10T08:00:00"}, True, pd.Timestamp("2026-03-10T12:00:00Z")),
        (UTC, {"deceasedDateTime": "last week"}, True, pd.NaT),
        (UTC, {"deceasedDateTime": 5}, True, pd.NaT),
    ],
)
def test_death(zone: Any, change: dict[str, Any], deceased: bool, since: Any) -> None:
    found = record(zone, **change)
    assert found["deceased"] is deceased
    assert found["deceased_time"] is pd.NaT if since is pd.NaT else found["deceased_time"] == since


@pytest.mark.parametrize(
    ("link", "merged"),
    [
        ([{"type": "replaced-by", "other": {"reference": "Patient/q"}}], True),
        ([{"type": "seealso"}, {"type": "replaced-by"}], True),
        ([{"type": "replaces"}], False),
        ([{"type": "refer"}], False),
        ([], False),
        (None, False),
        ("replaced-by", False),
        (["replaced-by", None], False),
    ],
)
def test_merged(link: Any, merged: bool) -> None:
    assert record(link=link)["merged"] is merged


@pytest.mark.parametrize("change", [{"implicitRules": "u"}, {"modifierExtension": [{"url": "u"}]}])
def test_a_patient_of_changed_meaning_is_a_problem_and_tells_nothing(change: dict[str, Any]) -> None:
    found = record(**change)
    assert "modifierExtension" in found["problem"]
    assert (found["birth_date"], found["gender"]) == ("", "")


def test_the_source_is_versioned() -> None:
    assert record(meta={"versionId": "5"})["source"] == "Patient/p/_history/5"
    assert record()["source"] == "Patient/p"
