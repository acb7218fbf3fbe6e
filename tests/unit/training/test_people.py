"""MIMIC's patients become the feature engine's: the birth date out of the anchor, sex, and the day of death."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.mimic import CLOCK, PLAN, SCHEMA, Held, stay

from screening.columns import as_micros
from screening.patient_features import ages, standing
from screening.patient_records import PATIENT_COLUMNS, records_of
from screening.training.people import people
from screening.training.stays import all_stays


def person(**what: Any) -> dict[str, Any]:
    """Return the one patient of a stay, read as training reads it."""
    frame = all_stays(Held([stay(**what)]), SCHEMA, PLAN).frame
    return dict(frame.iloc[0])


def age(**what: Any) -> float:
    """Return the age at the prediction time, 24 hours after the stay began."""
    frame = all_stays(Held([stay(**what)]), SCHEMA, PLAN).frame
    return float(ages(frame["birth_date"], frame["last"].to_numpy("int64"), CLOCK)[0])


def test_the_birthday_is_that_of_the_first_transfer_in_the_year_of_the_anchor() -> None:
    found = person(transfers=["2150-06-01 12:00", "2150-05-31 23:59", "2150-08-01 00:00"], anchor_age=60)
    assert (found["birth_date"], found["birth_precision"]) == ("2090-05-31", "day")


def test_the_age_is_that_of_the_anchor_year_and_not_of_the_first_transfer_s() -> None:
    """MIMIC-IV-on-FHIR takes the year of the first transfer; a visit three years after the anchor is three years older."""
    assert age(intime="2150-06-01 12:00", anchor_year=2150, anchor_age=60) == 60
    assert age(intime="2153-06-01 12:00", anchor_year=2150, anchor_age=60) == 63
    later = {"transfers": ["2150-06-03 12:00"], "anchor_year": 2150, "anchor_age": 60}
    assert age(intime="2152-06-01 12:00", **later) == 61  # a day before the birthday
    assert age(intime="2152-06-02 12:00", **later) == 62


@pytest.mark.parametrize(
    ("anchor_age", "born"), [(60, "2092-02-29"), (61, "2091-02-28"), (52, "2100-02-28"), (152, "2000-02-29")]
)
def test_a_leap_day_is_the_28th_of_a_year_without_one(anchor_age: int, born: str) -> None:
    found = person(transfers=["2152-02-29 08:00"], anchor_year=2152, anchor_age=anchor_age)
    assert found["birth_date"] == born


def test_without_a_transfer_only_the_year_is_known() -> None:
    held = Held([stay(1, transfers=[]), stay(2)])
    found = all_stays(held, SCHEMA, PLAN).frame
    assert found["birth_date"].tolist() == ["2090-07-02", "2090-06-01"]
    assert found["birth_precision"].tolist() == ["year", "day"]


def test_a_transfer_without_a_time_tells_nothing() -> None:
    assert person(transfers=["", "2150-07-04 12:00"])["birth_date"] == "2090-07-04"


@pytest.mark.parametrize("lacking", ["anchor_age", "anchor_year"])
def test_without_an_anchor_the_birth_date_is_missing(lacking: str) -> None:
    found = person(**{lacking: None})
    assert (found["birth_date"], found["birth_precision"]) == ("", "")
    assert np.isnan(age(**{lacking: None}))


@pytest.mark.parametrize(("gender", "sex"), [("M", "male"), ("F", "female"), (None, ""), ("X", ""), ("m", "")])
def test_sex(gender: str | None, sex: str) -> None:
    assert person(gender=gender)["gender"] == sex


def test_a_day_of_death_is_over_at_its_end() -> None:
    patients = pd.DataFrame(
        {
            "subject_id": [1, 2, 3], "gender": "M", "anchor_age": 60, "anchor_year": 2150,
            "dod": [date(2150, 6, 2), None, date(2150, 11, 1)],
        }
    )  # fmt: skip
    transfers = pd.DataFrame({"subject_id": [1, 2, 3], "intime": pd.to_datetime(["2150-06-01 10:00"] * 3)})
    found = people(patients, transfers, CLOCK)
    assert list(found.columns) == ["subject_id", *(name for name in PATIENT_COLUMNS if name != "patient_id")]
    assert found["deceased"].tolist() == [True, False, True]
    told = found["deceased_time"]
    assert [str(told[0]), str(told[2])] == ["2150-06-03 03:59:59.999999+00:00", "2150-11-02 04:59:59.999999+00:00"]
    assert pd.isna(told[1])
    end = as_micros(told)[0]
    for t, settled in ((end - 1, ""), (end, "excluded")):
        assert standing(records_of(found.assign(patient_id="p")), np.array([t] * 3))[0] == [settled, "", ""]


def test_nobody_dead_is_no_trouble() -> None:
    assert not person()["deceased"]
    assert pd.isna(person()["deceased_time"])
