"""P1: MIMIC's tables and the same patients on FHIR give the same features and the same probabilities, bit for bit."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from tests.parity.pairs import AUTUMN, EDGE_MEANS, SIZE, SPRING, Pair

from screening.__main__ import main
from screening.data_files import contents
from screening.feature_matrix import FeatureMatrix
from screening.model.bundle import ModelBundle
from screening.readers.mimic_tables import CsvTables
from screening.schema import Schema
from screening.scoring import score
from screening.synthetic import DirtKind, Event
from screening.synthetic.clock import HOUR, is_after_leap
from screening.training.parity import ANCHOR, fhir_matrix, mimic_matrix
from screening.training.plan import TrainingPlan
from screening.training.stays import all_stays


class Sides(NamedTuple):
    """Both matrices, their rows the same stays in the same order."""

    mimic: FeatureMatrix
    fhir: FeatureMatrix


@pytest.fixture(scope="module")
def sides(pair: Pair, schema: Schema, plan: TrainingPlan) -> Sides:
    tables = CsvTables(pair.mimic)
    stays = all_stays(tables, schema, plan)
    ours = mimic_matrix(tables, stays, schema, plan)
    theirs, absent = fhir_matrix(contents([pair.fhir]), stays, schema, plan)
    assert absent == []
    assert ours.rows["patient_id"].tolist() == theirs.rows["patient_id"].tolist()
    return Sides(ours, theirs)


def shifted(pair: Pair) -> set[str]:
    """Return the stays of patients whose anchor year is not that of their first transfer."""
    people = (one for one in pair.patients if one.anchor_year != one.stays[0].registered.year)
    return {str(stay.stay_id) for one in people for stay in one.stays}


def in_windows(pair: Pair) -> Iterator[Event]:
    """Yield what MIMIC holds of the day before each stay's prediction time."""
    for patient in pair.patients:
        ends = [min(stay.icu_in + 24 * HOUR, stay.icu_out) for stay in patient.stays]
        for event in patient.events:
            if event.in_mimic and any(end - 24 * HOUR < event.time <= end for end in ends):
                yield event


def test_p1_the_pairs_hold_what_makes_them_hard(pair: Pair) -> None:
    """A comparison of easy patients would pass by emptiness."""
    events = list(in_windows(pair))
    kinds = Counter(kind for event in events for kind in event.dirt)
    for kind in (
        DirtKind.FAHRENHEIT, DirtKind.FAHRENHEIT_AS_CELSIUS, DirtKind.COMPARATOR, DirtKind.STRING_VALUE, DirtKind.CANCELLED,
        DirtKind.ENTERED_IN_ERROR, DirtKind.NO_UNIT, DirtKind.ZERO_VALUE, DirtKind.DUPLICATE_ID, DirtKind.DUPLICATE_TIME,
        DirtKind.NO_ENCOUNTER, DirtKind.UNLEAPT_CLOCK, DirtKind.LOCAL_CODE_FIRST,
    ):  # fmt: skip
        assert kinds[kind] >= 5, kind
    celsius = [one for one in events if one.feature == "temperature" and one.unit == "Cel" and not one.dirt]
    assert len(celsius) > 100
    assert {event.status for event in events if event.is_lab} >= {"final", "cancelled", "entered-in-error", "corrected"}
    assert sum(is_after_leap(event.time) for event in events) > 20
    assert sum(len(patient.stays) > 1 for patient in pair.patients) > 20


def test_p1_the_files_hold_it_too(pair: Pair) -> None:
    charts, labs = pair.rows("icu/chartevents"), pair.rows("hosp/labevents")
    gap, overlap = f"{SPRING:%Y-%m}-08 02:", f"{AUTUMN:%Y-%m}-01 01:"
    charted = [row["charttime"] for row in charts + labs]
    assert sum(time.startswith(gap) for time in charted) > 20
    assert sum(time.startswith(overlap) for time in charted) > 20
    assert {"223761", "223762"} <= {row["itemid"] for row in charts}
    assert sum(row["hadm_id"] == "" for row in labs) > 100
    assert sum(row["value"].startswith("<") and row["valuenum"] == "" for row in labs) > 20
    assert sum("CANCELLED" in row["comments"] for row in labs) > 20
    observations = (pair.fhir / "all.ndjson").read_text(encoding="utf-8").count('"resourceType": "Observation"')
    assert observations == len(charts) + len(labs)


def test_p1_every_feature_of_every_stay_is_equal_bit_for_bit(pair: Pair, sides: Sides, schema: Schema) -> None:
    assert len(sides.mimic.rows) == sum(len(patient.stays) for patient in pair.patients) > SIZE
    for name in schema.feature_names:
        left, right = (side.rows[name].to_numpy("float64") for side in sides)
        if name == "age":
            other = sides.mimic.rows["patient_id"].isin(shifted(pair)).to_numpy()
            assert other.sum() > 10
            assert np.array_equal(left[other] - 1, right[other])  # older by the year that the anchor lies before
            left, right = left[~other], right[~other]
        assert np.array_equal(np.isnan(left), np.isnan(right)), name
        assert left[~np.isnan(left)].tobytes() == right[~np.isnan(right)].tobytes(), name
        assert np.isfinite(left).sum() > 100, name
    lactate = sides.mimic.rows["lactate"]
    assert 50 < lactate.isna().sum() < len(lactate) - 50
    counted = [side.cells.sort_values(["patient_id", "feature"])[["patient_id", "feature", "count"]] for side in sides]
    assert counted[0].to_numpy().tolist() == counted[1].to_numpy().tolist()


def test_p1_a_day_ends_with_its_last_second_and_begins_after_its_first(pair: Pair, sides: Sides) -> None:
    edges = [one for one in pair.patients if len(one.events) == 8]
    assert len(edges) >= 5
    for side in sides:
        rows = side.rows.set_index("patient_id")
        for patient in edges:
            row = rows.loc[str(patient.stays[-1].stay_id)]
            assert {name: row[name] for name in EDGE_MEANS} == EDGE_MEANS


def test_p1_the_model_answers_the_same(pair: Pair, sides: Sides, schema: Schema, model: ModelBundle) -> None:
    other = shifted(pair)
    alike = ~sides.mimic.rows["patient_id"].isin(other).to_numpy()
    left, right = (
        model.predict(model.impute(side.rows.loc[alike, list(model.feature_names)].to_numpy("float64"))[0])
        for side in sides
    )
    assert left.tobytes() == right.tobytes()
    assert len(np.unique(left)) > 100
    results = [
        {
            one.patient_id: (one.outcome, one.detail, one.probability, one.risk_level)
            for one in score(side, schema, model)
        }
        for side in sides
    ]
    same = [who for who in results[0] if who not in other]
    assert [results[0][who] for who in same] == [results[1][who] for who in same]
    assert sum(results[0][who][2] is not None for who in same) > 100


def test_p1_the_command_lists_the_ages_with_their_cause(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", "--mimic", str(pair.mimic), "--fhir", str(pair.fhir)]) == 0
    stays, other = sum(len(patient.stays) for patient in pair.patients), len(shifted(pair))
    assert capsys.readouterr().out == (
        f"{stays - other} of {stays} stays are equal bit for bit\n{other} differ in age: {ANCHOR}\n"
    )
