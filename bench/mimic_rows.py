"""A MIMIC-IV folder of any size for benchmarks: seeded, and written as a stream, so that memory does not grow with it.

    .venv/bin/python bench/mimic_rows.py var/mimic --million-rows 20

Rows are as in MIMIC-IV: stays one after the other, each hour of a stay a block of charted items, of which heart rate,
respiratory rate and temperature make 6 %; three rows of five hold text. What the rows say is of no interest here; a
hospital with a truth behind it is `screening.synthetic`.
"""

import argparse
import gzip
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

from screening.synthetic.mimic_csv import HEADERS

STAYS_A_BLOCK = 100
ITEMS_AN_HOUR = 48
MEAN_HOURS = 95.5  # so that a stay has 4,584 rows, as in MIMIC-IV 3.1 (432,997,491 rows, 94,458 stays)
VITALS = ((220045, "bpm", 85.0), (220210, "insp/min", 19.0), (223761, "°F", 98.4))
UNITS = ("mmHg", "%", "cmH2O", "L/min", "mL/hour", "")
TEXTS = (
    "Normal",
    "Clear",
    "Lying in bed",
    "SR (Sinus Rhythm)",
    '"1 Person Assist, Turn"',
    "Obeys Commands",
    "None",
    "Yes",
)
UNIT = "Medical Intensive Care Unit (MICU)"
_HOUR, _DAY = np.timedelta64(3600, "s"), np.timedelta64(86_400, "s")


class Stays(NamedTuple):
    """A block of ICU stays, arrays of one length; times as datetime64[s]."""

    number: Any
    subject: Any
    into: Any
    hours: Any


def write(folder: Path, rows: int, seed: int = 7, *, gz: bool = True) -> None:
    """Write chartevents of exactly `rows` rows, and the tables that go with it, as .csv and, if asked, as .csv.gz too."""
    with ExitStack() as stack:
        sinks = {name: _sinks(stack, folder / f"{name}.csv", gz=gz) for name in HEADERS}
        for name, header in HEADERS.items():
            _put(sinks[name], header.encode() + b"\n")
        for name, columns in _tables(rows, seed):
            _put(sinks[name], _text(columns))


def _sinks(stack: ExitStack, path: Path, *, gz: bool) -> list[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    sinks: list[Any] = [stack.enter_context(path.open("wb"))]
    if gz:
        raw = stack.enter_context(path.with_name(f"{path.name}.gz").open("wb"))
        sinks.append(stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0, compresslevel=6)))
    return sinks


def _put(sinks: list[IO[bytes]], text: Any) -> None:
    for sink in sinks:
        sink.write(text)


def _text(columns: list[Any]) -> bytes:
    """Return rows as CSV; what needs quotes brings them."""
    count = max(len(column) for column in columns if not isinstance(column, str))
    cells = [pa.repeat(column, count) if isinstance(column, str) else _cells(column) for column in columns]
    lines = pc.binary_join_element_wise(*cells, ",").to_pylist()
    return ("\n".join(lines) + "\n").encode()


def _cells(column: Any) -> pa.Array:
    array = column if isinstance(column, pa.Array) else pa.array(column)
    return pc.fill_null(array.cast(pa.string()), "")


def _tables(rows: int, seed: int) -> Iterator[tuple[str, list[Any]]]:
    done = block = 0
    while done < rows:
        rng = np.random.default_rng([seed, block])
        number = np.arange(STAYS_A_BLOCK) + block * STAYS_A_BLOCK
        into = np.datetime64("2150-01-01", "s") + rng.integers(0, 50 * 365 * 86_400, STAYS_A_BLOCK).astype("m8[s]")
        second = number % 4 == 1  # of four stays the first two are one patient's
        into = np.where(second, np.roll(into, 1) + 400 * _DAY, into)
        hours = np.clip(rng.exponential(MEAN_HOURS, STAYS_A_BLOCK), 6, 900).astype(np.int64)
        stays = Stays(number, 10_000_000 + number * 3 // 4 * 7, into, hours)
        yield from _small(rng, stays, ~second)
        yield "hosp/labevents", _labs(rng, stays)
        charted = [column[: rows - done] for column in _charted(rng, stays)]
        yield "icu/chartevents", charted
        done += len(charted[0])
        block += 1


def _small(rng: np.random.Generator, stays: Stays, first: Any) -> Iterator[tuple[str, list[Any]]]:
    hadm, icu, out = 20_000_000 + stays.number, 30_000_000 + stays.number, stays.into + stays.hours * _HOUR
    key, count = [stays.subject, hadm], len(hadm)
    gender, age = rng.choice(["F", "M"], count), rng.integers(18, 91, count)
    year = stays.into.astype("M8[Y]").astype(np.int64) + 1970
    yield "hosp/patients", [column[first] for column in (stays.subject, gender, age, year)] + ["", ""]
    yield "hosp/admissions", [*key, stays.into - 2 * _HOUR, out + _DAY, *[""] * 11, "0"]
    codes = np.where(rng.random(count) < 0.2, "A419", "I10")
    yield "hosp/diagnoses_icd", [*key, "1", codes, "10"]
    yield "hosp/transfers", [*key, icu, "transfer", UNIT, stays.into, out]
    yield "icu/icustays", [*key, icu, UNIT, UNIT, stays.into, out, (out - stays.into) / _DAY]


def _labs(rng: np.random.Generator, stays: Stays) -> list[Any]:
    """Leucocytes, creatinine and lactate every twelve hours."""
    stay, number = _repeated((stays.hours // 12 + 1) * 3)
    item, time = number % 3, stays.into[stay] + (number // 3 * 12 + 1) * _HOUR
    value = np.round(np.array([9.0, 1.1, 1.8])[item] * rng.lognormal(0, 0.4, len(stay)), 1)
    key = stays.number[stay] * 1000 + number
    itemid, unit = np.array([51301, 50912, 50813])[item], np.array(["K/uL", "mg/dL", "mmol/L"])[item]
    whose = [stays.subject[stay], 20_000_000 + stays.number[stay]]
    return [key, *whose, key, itemid, "", time, time + _HOUR, value, value, unit, "", "", "", "STAT", ""]


def _charted(rng: np.random.Generator, stays: Stays) -> list[Any]:
    stay, number = _repeated(stays.hours * ITEMS_AN_HOUR)
    hour, slot = number // ITEMS_AN_HOUR, number % ITEMS_AN_HOUR
    others = ITEMS_AN_HOUR - len(VITALS)
    items = 220_100 + np.arange(others) * 167 + rng.integers(0, 20, (len(stays.number), others))  # each stay its own
    itemid = np.hstack([np.tile([vital[0] for vital in VITALS], (len(items), 1)), items])[stay, slot]
    itemid[(slot == 2) & (rng.random(len(slot)) > 0.88)] = 220_046  # an alarm's limit: 6 % of all rows are wanted
    minute = np.where(slot % 5 == 3, rng.integers(0, 60, len(slot)), 0)
    late = (slot % 3 == 0) * rng.integers(0, 9, len(slot))
    stored = rng.integers(1, 40, len(stays.number) * 1000)[stay * 1000 + hour] + late
    time = stays.into.astype("M8[h]").astype("M8[s]")[stay] + hour * _HOUR + minute * np.timedelta64(60, "s")
    level = np.array([*(vital[2] for vital in VITALS), *np.linspace(5, 120, others)])[slot]
    drawn = level + rng.normal(0, 1, len(slot)) * np.where(slot == 2, 0.7, level * 0.08)
    text = (slot >= len(VITALS)) & (slot % 5 < 3)
    shown = pa.array(np.where(slot % 4 == 2, np.round(drawn, 1), np.round(drawn))).cast(pa.string())
    word = pa.array(np.array(TEXTS)[(slot + (rng.random(len(slot)) < 0.1)) % len(TEXTS)])
    unit = np.array([*(vital[1] for vital in VITALS), *(UNITS[k % len(UNITS)] for k in range(others))])
    return [
        stays.subject[stay], 20_000_000 + stays.number[stay], 30_000_000 + stays.number[stay],
        10_000 + (stays.number[stay] * 7 + hour // 12) % 9000, time, time + stored * np.timedelta64(60, "s"), itemid,
        pc.if_else(pa.array(text), word, shown), pc.if_else(pa.array(text), None, shown),
        np.where(text, "", unit[slot]), (rng.random(len(slot)) < 0.02).astype(np.int64),
    ]  # fmt: skip


def _repeated(counts: Any) -> tuple[Any, Any]:
    """Return for each of sum(counts) rows the place it belongs to, and its number within that."""
    place = np.repeat(np.arange(len(counts)), counts)
    return place, np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--million-rows", type=float, default=20)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    write(chosen.folder, round(chosen.million_rows * 1e6), chosen.seed)


if __name__ == "__main__":
    main()
