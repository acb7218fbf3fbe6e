"""What a card says of the age of a value: it must not contradict what counted, nor itself."""

from collections.abc import Iterator

import pytest
from flask import Flask
from tests.charts import SICK, Resource, T, chart, observation, patient, sepsis
from tests.unit.cds_hooks.sidecars import asked, card, published, running

from screening.readers.fhir import read
from screening.window import outside_window


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    models = tmp_path_factory.mktemp("models")
    published(models, "1", -1.0)
    with running(tmp_path_factory.mktemp("state"), models) as made:
        yield made


def rows(app: Flask, *resources: Resource, person: Resource | None = None) -> dict[str, list[str]]:
    """Return the cells of the card's table by their input."""
    detail = card(app.test_client(), asked([person or patient(), *resources]))["detail"]
    lines = [line for line in detail.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_ch42_what_has_a_value_in_the_window_is_not_called_too_old(app: Flask) -> None:
    found = rows(app, observation("heart_rate", 110.0), observation("heart_rate", 80.0, hours=30))
    assert "Heart rate" not in found
    assert found["Lactate"] == ["–", "–", "**missing**"]


def test_ch42_what_has_none_in_the_window_is_told_with_its_newest(app: Flask) -> None:
    found = rows(app, *(observation("heart_rate", 80.0, hours=hours) for hours in (50, 30, 40)))
    assert found["Heart rate"] == ["2026-03-09T06:00Z", "30 h", "**missing**"]


@pytest.mark.parametrize("day", ["2026-03-09", "2026-03"])
def test_ch4f_a_day_that_lies_in_the_window_in_part_is_neither_of_it_nor_too_old(app: Flask, day: str) -> None:
    (_, *others) = chart("p", {name: value for name, value in SICK.items() if name != "lactate"})
    found = rows(app, *others, observation("lactate", 4.0, effectiveDateTime=day))
    words = found["Lactate"][-1]
    assert words.startswith("**imputed** by the model itself; not used: ")
    assert "stale" not in words
    assert "no value" not in words
    assert "a day" in words


def test_ch4f_a_day_that_is_not_over_is_called_no_later_time_alone(app: Flask) -> None:
    (_, *others) = chart("p", {name: value for name, value in SICK.items() if name != "lactate"})
    found = rows(app, *others, observation("lactate", 4.0, effectiveDateTime="2026-03-10"))
    assert found["Lactate"][-1].endswith("not used: 1 of a later time, or of a day that is not over")


def test_every_feature_without_a_value_that_counts_is_one_of_the_two() -> None:
    within = observation("heart_rate", 80.0)
    before = [observation(name, SICK[name], hours=24) for name in ("heart_rate", "wbc", "lactate")]
    half = [observation(name, SICK[name], effectiveDateTime="2026-03-09") for name in ("heart_rate", "lactate")]
    later = observation("creatinine", 1.0, hours=-1)
    table = read([[within, *before, *half, later]], sepsis(), patient_ids=["p"]).values
    stale, half = outside_window(table, sepsis(), "p", T)
    assert set(stale) == {"wbc"}
    assert half == {"lactate"}
    assert outside_window(table, sepsis(), "p", None) == ({}, frozenset())


def test_ch4f_a_sex_that_is_not_told_is_not_one_of_the_last_day(app: Flask) -> None:
    (person, *others) = chart("p", {name: value for name, value in SICK.items() if name != "lactate"}, gender="unknown")
    found = rows(app, *others, person=person)
    assert found["Sex (male 1, female 0)"][-1] == "**imputed** by the model itself; no value"
    assert found["Lactate"][-1] == "**imputed** by the model itself; no value in the last 24 h"
