"""P3: the four ways in which a peer's training and serving part, each put into one side here, must break P1.

The schema refuses two of them when it is read; they are put in below that guard, to show that parity would see them too.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.charts import ROOT
from tests.parity.pairs import Pair, write

from screening.data_files import contents
from screening.errors import SchemaError
from screening.readers import mimic
from screening.readers.mimic_tables import CsvTables
from screening.schema import Schema, parse_schema
from screening.training import parity as both_sides
from screening.training.parity import Parity, parity
from screening.training.plan import TrainingPlan
from screening.training.stays import all_stays
from screening.units import Conversion, resolve

SEPSIS = (ROOT / "include" / "schemas" / "sepsis.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Forty patients, whose chart has an arterial pressure under the item that is taken for a heart rate."""
    made = write(tmp_path_factory.mktemp("few"), size=40)
    charts = made.mimic / "icu" / "chartevents.csv"
    charts.write_text(charts.read_text(encoding="utf-8").replace(",220179,", ",220050,"), encoding="utf-8")
    return made


def compared(few: Pair, schema: Schema, plan: TrainingPlan) -> Parity:
    return parity(CsvTables(few.mimic), contents([few.fhir]), schema, plan)


def broken(found: Parity) -> set[str]:
    """Return the features that differ without a cause in the data."""
    assert ("without a cause" in found.summary()) == (not found.holds)
    return {feature for (_, feature), cause in found.differences.items() if not cause}


def with_item(schema: Schema, feature: str, item: int) -> Schema:
    """Return the schema with another item for training alone, past the check that refuses it."""
    old = schema.features[feature]
    assert old.mimic is not None
    new = old.model_copy(update={"mimic": old.mimic.model_copy(update={"itemid": (item,)})})
    return schema.model_copy(update={"features": {**schema.features, feature: new}})


def test_p3_unchanged_it_holds(few: Pair, schema: Schema, plan: TrainingPlan) -> None:
    assert broken(compared(few, schema, plan)) == set()


def test_p3_arterial_pressure_taken_for_the_heart_rate(few: Pair, schema: Schema, plan: TrainingPlan) -> None:
    found = compared(few, with_item(schema, "heart_rate", 220050), plan)
    assert broken(found) == {"heart_rate"}
    assert len(found.differences) > 30


def test_p3_another_analyte_taken_for_lactate(few: Pair, schema: Schema, plan: TrainingPlan) -> None:
    found = compared(few, with_item(schema, "lactate", 50843), plan)
    assert broken(found) == {"lactate"}
    assert len(found.differences) > 15


@pytest.mark.parametrize(("old", "new"), [("220045", "220050"), ("50813", "50843")])
def test_p3_the_schema_refuses_an_item_that_screening_does_not_match(old: str, new: str) -> None:
    assert SEPSIS.count(f"itemid: [{old}]") == 1
    with pytest.raises(SchemaError, match=f"training would read .* {new}, screening matches {old}"):
        parse_schema(SEPSIS.replace(f"itemid: [{old}]", f"itemid: [{new}]"))


@pytest.mark.parametrize("bounds", [(25.0, 45.0), (0.0, 200.0)], ids=["the range drops it", "no range catches it"])
def test_p3_fahrenheit_that_is_not_converted(
    few: Pair, schema: Schema, plan: TrainingPlan, bounds: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unconverted(system: Any, code: Any, text: Any, *rest: Any) -> Conversion | str:
        return Conversion(0.0, 1.0, 1.0, 0.0) if text == "°F" else resolve(system, code, text, *rest)

    wide = schema.features["temperature"].model_copy(update={"range": bounds})
    lenient = schema.model_copy(update={"features": {**schema.features, "temperature": wide}})
    assert broken(compared(few, lenient, plan)) == set()
    monkeypatch.setattr(mimic, "resolve", unconverted)
    assert broken(compared(few, lenient, plan)) == {"temperature"}


def test_p3_no_window(few: Pair, schema: Schema, plan: TrainingPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = schema.model_copy(update={"window": None})
    stays = all_stays(CsvTables(few.mimic), endless, plan)
    served = partial(both_sides.fhir_matrix, stays=stays, schema=endless, plan=plan)
    monkeypatch.setattr(both_sides, "fhir_matrix", lambda resources, *_: served(resources))
    assert broken(compared(few, schema, plan)) >= {"wbc", "creatinine"}  # the laboratory speaks before the ICU does


def test_p3_a_patient_who_is_missing_is_no_parity(
    few: Pair, schema: Schema, plan: TrainingPlan, tmp_path: Path
) -> None:
    lines = (few.fhir / "all.ndjson").read_text(encoding="utf-8").splitlines(keepends=True)
    gone = few.patients[0]
    (tmp_path / "all.ndjson").write_text("".join(line for line in lines if gone.patient_id not in line))
    found = parity(CsvTables(few.mimic), contents([tmp_path]), schema, plan)
    assert found.absent == [stay.stay_id for stay in gone.stays]
    assert not found.holds
