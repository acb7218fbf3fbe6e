"""The cohort: who is learned from, at which time and with which label, and at which step the others went."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.mimic import CLOCK, PLAN, SCHEMA, Held, Row, stay

from screening.errors import DataFileError, FatalError
from screening.readers.mimic_tables import CsvTables
from screening.schema import Schema
from screening.times import micros
from screening.training.plan import TrainingPlan, parse_plan
from screening.training.stays import Stays, all_stays, read_stays, refuse_one_label

SEPTIC = {"codes": [("I10", 10), ("A419", 10)]}
BOTH = (stay(8, **SEPTIC), stay(9))  # always left: one of each label
HOUR = 3_600_000_000


def at(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=CLOCK).astimezone(UTC))


def read(*stays: Row, schema: Schema = SCHEMA, plan: TrainingPlan = PLAN) -> Stays:
    return read_stays(Held([*stays, *BOTH]), schema, plan)


def left(*stays: Row, **how: Any) -> list[int]:
    return [number for number in read(*stays, **how).frame["stay_id"].tolist() if number < 800]


# Who is left


@pytest.mark.parametrize(
    ("odd", "step"),
    [
        ({"intime": "", "transfers": []}, "with a begin and an end"),
        ({"outtime": ""}, "with a begin and an end"),
        ({"codes": []}, "with billed diagnoses"),
        ({"outtime": "2150-06-01 17:59"}, "of 6 h or longer"),
        ({"outtime": "2150-06-01 11:00"}, "of 6 h or longer"),  # out before it was in
        ({"deathtime": "2150-06-02 12:00"}, "alive at the prediction time"),
        ({"deathtime": "2150-06-01 08:00"}, "alive at the prediction time"),
        ({"outtime": "2150-06-01 20:00", "deathtime": "2150-06-01 20:00"}, "alive at the prediction time"),
        ({"anchor_age": 17}, "aged 18 or older"),
        ({"anchor_age": None}, "aged 18 or older"),
    ],
)
def test_each_step_leaves_out_whom_it_should(odd: Row, step: str) -> None:
    stays = read(stay(1, **{**SEPTIC, **odd}))
    assert stays.frame["stay_id"].tolist() == [800, 900]
    steps = {one["step"]: (one["stays"], one["patients"], one["positives"]) for one in stays.attrition}
    assert list(steps) == [
        "ICU stays", "with a begin and an end", "with billed diagnoses", "of 6 h or longer",
        "alive at the prediction time", "aged 18 or older",
    ]  # fmt: skip
    positive = 1 if step == "with billed diagnoses" else 2
    place = list(steps).index(step)
    assert list(steps.values()) == [(3, 3, positive)] * place + [(2, 2, 1)] * (6 - place)


@pytest.mark.parametrize(
    "edge",
    [
        {"outtime": "2150-06-01 18:00"},
        {"deathtime": "2150-06-02 12:01"},
        {"outtime": "2150-06-01 20:00", "deathtime": "2150-06-01 20:01"},
        {"anchor_age": 18},
        {"anchor_age": 91},
        {"codes": [("", 10)]},
        {"dod": "2150-06-01"},  # the feature engine judges by it
    ],
)
def test_who_is_just_inside_stays(edge: Row) -> None:
    assert left(stay(1, **edge)) == [100]


def test_the_plan_decides() -> None:
    text = (Path(__file__).parents[3] / "include" / "training" / "sepsis.yaml").read_text()
    plan = parse_plan(text, cohort={"min_age": 50, "min_stay": "2d"}, prediction={"after_intime": "72h"})
    stays = read(
        stay(1, anchor_age=49), stay(2, anchor_age=50), stay(3, outtime="2150-06-03 11:59"),
        stay(4, outtime="2150-06-03 12:00"), stay(5, deathtime="2150-06-04 12:00"), plan=plan,
    )  # fmt: skip
    assert stays.frame["stay_id"].tolist() == [200, 400, 800, 900]
    assert stays.frame["last"].tolist() == [at(f"2150-06-0{day} 12:00") for day in (4, 3, 4, 4)]
    assert [one["step"] for one in stays.attrition][3:] == [
        "of 48 h or longer", "alive at the prediction time", "aged 50 or older",
    ]  # fmt: skip


# When, and with which label


@pytest.mark.parametrize(
    ("intime", "outtime", "last"),
    [
        ("2150-06-01 12:00", "2150-06-06 12:00", "2150-06-02 12:00"),
        ("2150-06-01 12:00", "2150-06-02 11:59", "2150-06-02 11:59"),
        ("2150-06-01 12:00", "2150-06-01 18:30", "2150-06-01 18:30"),
        ("2150-03-07 12:00", "2150-03-09 12:00", "2150-03-08 13:00"),  # 24 true hours over the leap of the clock
        ("2150-10-31 12:00", "2150-11-03 12:00", "2150-11-01 11:00"),
    ],
)
def test_a_stay_is_looked_at_a_day_after_it_began_or_at_its_end(intime: str, outtime: str, last: str) -> None:
    """T7: the window is (last - lookback, last], which is the first day of a stay that has one."""
    frame = read(stay(1, intime=intime, outtime=outtime)).frame
    assert (frame["first"][0], frame["last"][0]) == (at(last) - 24 * HOUR, at(last))
    windows = read(stay(1, intime=intime, outtime=outtime)).windows()
    subject = frame["subject_id"].to_numpy("int64")[[0, 0, 0, 0]]
    times = pd.Series([at(last) - 24 * HOUR, at(last) - 24 * HOUR + 1, at(last), at(last) + 1]).to_numpy()
    assert windows.hold(subject, times).tolist() == [False, True, True, False]


def test_without_a_lookback_all_of_the_past_counts() -> None:
    schema = SCHEMA.model_copy(update={"window": SCHEMA.window.model_copy(update={"lookback": None})})
    assert schema.lookback is None
    stays = read(stay(1), stay(2), schema=schema)
    subject = stays.frame["subject_id"].to_numpy("int64")
    assert stays.windows().hold(subject, stays.frame["last"].to_numpy() - 10 * 365 * 24 * HOUR).all()
    assert stays.windows().hold(subject, stays.frame["last"].to_numpy(), slack=24 * HOUR).all()
    assert not stays.windows().hold(subject, stays.frame["last"].to_numpy() + 1).any()


def test_the_label_is_that_of_the_admission_and_of_all_its_stays() -> None:
    later = {"intime": "2150-06-08 12:00", "outtime": "2150-06-12 12:00"}
    held = Held([stay(1, hadm_id=70, **SEPTIC), stay(3, subject=1, hadm_id=71, **later), stay(4), stay(5), *BOTH])
    held.rows["icustays"].append({**held.rows["icustays"][0], "stay_id": 200})
    held.rows["diagnoses_icd"] += [
        {"hadm_id": 40, "icd_code": "A419", "icd_version": 9},
        {"hadm_id": 50, "icd_code": "0389", "icd_version": 9},
        {"hadm_id": 9999, "icd_code": "A419", "icd_version": 10},
    ]
    frame = read_stays(held, SCHEMA, PLAN).frame
    assert dict(zip(frame["stay_id"], frame["label"], strict=True)) == {
        100: 1, 200: 1, 300: 0, 400: 0, 500: 1, 800: 1, 900: 0,
    }  # fmt: skip


def test_stays_come_by_number_and_are_named_by_it() -> None:
    frame = read(stay(3), stay(1), stay(2)).frame
    assert frame["stay_id"].tolist() == [100, 200, 300, 800, 900]
    assert frame["patient_id"].tolist() == ["100", "200", "300", "800", "900"]


def test_the_order_of_rows_and_the_size_of_batches_change_nothing() -> None:
    def frame(order: int, size: int) -> pd.DataFrame:
        held = Held([stay(1, **SEPTIC), stay(2, transfers=["2150-06-01 12:00", "2149-01-01 10:00"]), *BOTH], size=size)
        for rows in held.rows.values():
            rows[:] = rows[::order]
        return read_stays(held, SCHEMA, PLAN).frame

    pd.testing.assert_frame_equal(frame(1, 1000), frame(-1, 1))


# What is refused


def refusal(held: Held, kind: type[Exception] = DataFileError) -> str:
    with pytest.raises(kind) as caught:
        read_stays(held, SCHEMA, PLAN)
    return str(caught.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("icustays", "icustays: 1 stay_id stand twice: load the table once"),
        ("patients", "patients or admissions: a subject_id or hadm_id stands twice: load the tables once"),
        ("admissions", "patients or admissions: a subject_id or hadm_id stands twice: load the tables once"),
    ],
)
def test_a_table_that_was_loaded_twice_is_refused(table: str, words: str) -> None:
    held = Held(BOTH)
    held.rows[table].append(dict(held.rows[table][0]))
    assert refusal(held) == words


def test_diagnoses_and_transfers_that_stand_twice_say_nothing_new() -> None:
    held = Held(BOTH)
    for table in ("diagnoses_icd", "transfers"):
        held.rows[table] *= 2
    pd.testing.assert_frame_equal(read_stays(held, SCHEMA, PLAN).frame, read().frame)


@pytest.mark.parametrize("table", ["icustays", "patients", "admissions", "transfers", "diagnoses_icd"])
def test_a_table_without_rows_is_refused(table: str) -> None:
    held = Held(BOTH)
    held.rows[table].clear()
    assert refusal(held) == f"{table}: the table has no rows: copy or load it anew"


@pytest.mark.parametrize(("table", "key"), [("patients", "subject_id"), ("admissions", "hadm_id")])
def test_tables_of_two_releases_are_refused(table: str, key: str) -> None:
    held = Held(BOTH)
    held.rows[table].pop()
    assert refusal(held) == f"icustays names 1 {key} that {table} lacks: the tables are of two releases"


@pytest.mark.parametrize("key", ["stay_id", "subject_id", "hadm_id"])
def test_a_stay_without_its_numbers_is_refused(key: str) -> None:
    held = Held(BOTH)
    held.rows["icustays"][0][key] = None
    assert "a row lacks its stay_id, subject_id or hadm_id" in refusal(held)


def test_one_label_is_refused_and_so_is_nobody() -> None:
    assert "no stay is positive (coded sepsis)" in refusal(Held([stay(1), stay(2)]), FatalError)
    assert "every stay is positive (coded sepsis)" in refusal(Held([stay(1, **SEPTIC)]), FatalError)
    assert "no stay is left to learn from" in refusal(Held([stay(1, anchor_age=3)]), FatalError)
    refuse_one_label(pd.Series([0, 1]).to_numpy(), PLAN)


def test_all_stays_leaves_nobody_out_for_what_the_plan_wants() -> None:
    short = stay(1, outtime="2150-06-01 12:05", anchor_age=3, codes=[])
    assert all_stays(Held([short, *BOTH]), SCHEMA, PLAN).frame["stay_id"].tolist() == [100, 800, 900]


# Real data


def test_the_real_demo_has_the_counts_that_are_known_of_it(real_data: Path) -> None:
    stays = read_stays(CsvTables(real_data / "mimic-iv-demo-2.2"), SCHEMA, PLAN)
    assert [(one["step"], one["stays"], one["patients"], one["positives"]) for one in stays.attrition] == [
        ("ICU stays", 140, 100, 26),
        ("with a begin and an end", 140, 100, 26),
        ("with billed diagnoses", 140, 100, 26),
        ("of 6 h or longer", 137, 99, 26),
        ("alive at the prediction time", 135, 98, 26),
        ("aged 18 or older", 135, 98, 26),
    ]
    assert (stays.frame["last"] - stays.frame["first"] == timedelta(days=1) // timedelta(microseconds=1)).all()
