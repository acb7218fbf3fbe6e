"""MIMIC-IV's tables held in memory, for the tests: a few invented stays, with whatever is odd about them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from screening.readers.mimic_tables import COLUMN_TYPES, TABLES
from screening.schema import load_schema
from screening.training.plan import load_plan

ROOT = Path(__file__).parent.parent
SCHEMA = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
PLAN = load_plan(ROOT / "include" / "training" / "sepsis.yaml")
CLOCK = PLAN.clock()
ITEMS = {
    "heart_rate": (220045, "bpm"), "temperature": (223762, "°C"), "respiratory_rate": (220210, "insp/min"),
    "wbc": (51301, "K/uL"), "lactate": (50813, "mmol/L"), "creatinine": (50912, "mg/dL"),
}  # fmt: skip

Row = dict[str, Any]


def time(text: str) -> datetime | None:
    """Return a time of the hospital's clock: `2150-06-01 12:00`; "" is none."""
    return datetime.fromisoformat(text) if text else None


def chart(feature: str, when: str, number: float | None, *, subject: int = 1, **more: Any) -> Row:
    """Return a row of chartevents or labevents, whichever the feature is in."""
    itemid, unit = ITEMS[feature]
    row = {
        "subject_id": subject,
        "itemid": itemid,
        "charttime": time(when),
        "storetime": time(when),
        "valuenum": number,
    }
    return {**row, "valueuom": unit, "value": None if number is None else f"{number}", "comments": None} | more


def stay(number: int = 1, *, subject: int | None = None, intime: str = "2150-06-01 12:00", **more: Any) -> Row:
    """Return a stay of five days with its patient and admission; `more` is what shall be otherwise."""
    outtime = f"{datetime.fromisoformat(intime) + timedelta(days=5):%Y-%m-%d %H:%M}" if intime else "2150-06-06 12:00"
    usual = {
        "outtime": outtime, "deathtime": "", "codes": [("I10", 10)], "gender": "M", "anchor_age": 60,
        "anchor_year": 2150, "anchor_year_group": "2008 - 2010", "dod": "", "hadm_id": number * 10, "transfers": [intime],
    }  # fmt: skip
    return {"stay_id": number * 100, "subject_id": subject or number, "intime": intime} | usual | more


class Held:
    """`MimicTables` out of memory.

    Parameters
    ----------
    stays
        As `stay` makes them.
    events
        As `chart` makes them; those of laboratory items are in labevents.
    size
        Rows a batch.
    """

    def __init__(self, stays: Sequence[Row], events: Sequence[Row] = (), *, size: int = 1000) -> None:
        self.size = size
        self.rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        for one in stays:
            self._add(one)
        for event in events:
            self.rows["labevents" if event["itemid"] < 100_000 else "chartevents"].append(event)

    def _add(self, one: Row) -> None:
        keys = {name: one[name] for name in ("subject_id", "hadm_id", "stay_id")}
        self.rows["icustays"].append(keys | {name: time(one[name]) for name in ("intime", "outtime")})
        self.rows["admissions"].append(keys | {"deathtime": time(one["deathtime"])})
        self.rows["transfers"] += [keys | {"intime": time(when)} for when in one["transfers"]]
        self.rows["diagnoses_icd"] += [keys | {"icd_code": code, "icd_version": kind} for code, kind in one["codes"]]
        if one["subject_id"] not in {row["subject_id"] for row in self.rows["patients"]}:
            dod = date.fromisoformat(one["dod"]) if one["dod"] else None
            person = {name: one[name] for name in ("gender", "anchor_age", "anchor_year", "anchor_year_group")}
            self.rows["patients"].append(keys | person | {"dod": dod})

    def check(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """All is there."""

    def batches(self, table: str, columns: Sequence[str], *, itemids: Collection[int] = ()) -> Iterator[pa.RecordBatch]:
        """Stream a table."""
        schema = pa.schema([(name, COLUMN_TYPES[name]) for name in columns])
        rows = [row for row in self.rows[table] if not itemids or row["itemid"] in itemids]
        for start in range(0, max(len(rows), 1), self.size):
            piece = [{name: row[name] for name in columns} for row in rows[start : start + self.size]]
            yield pa.RecordBatch.from_pylist(piece, schema=schema)

    def fingerprint(self) -> dict[str, dict[str, Any]]:
        """Return how many rows there are."""
        return {table: {"rows": len(rows)} for table, rows in self.rows.items()}
