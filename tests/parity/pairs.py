"""Two hundred synthetic patients, each written twice: as MIMIC-IV's tables, and as MIMIC-IV on FHIR has them.

Half of them lie around the leap of the clock in spring, half around its repeated hour in autumn; every twentieth has nothing
but values on the edges of the first day. The years are as shifted as MIMIC's.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from screening.synthetic import Dirt, Event, Hospital, Stay, SyntheticPatient, fhir_resources, write_mimic_csv

SPRING = datetime(2150, 3, 11, 12, tzinfo=UTC)  # the clock leapt at 07:00 UTC of the 8th
AUTUMN = datetime(2150, 11, 4, 12, tzinfo=UTC)  # it repeated an hour at 06:00 UTC of the 1st
DIRT = Dirt(
    anchor_shift=0.1, missing_lactate=0.4, comparator=0.03, string_value=0.02, cancelled=0.03, entered_in_error=0.02,
    unleapt_clock=0.6,
)  # fmt: skip
SIZE = 200
DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)
EDGES = {timedelta(0): (90.0, 1.5), SECOND: (110.0, 2.0), DAY: (120.0, 3.0), DAY + SECOND: (170.0, 9.0)}
"""Time after the stay's begin → heart rate and lactate; the two in the middle are within the 24 hours before its end."""
EDGE_MEANS = {"heart_rate": 115.0, "lactate": 2.5}


class Pairs(Hospital):
    """A hospital whose patients lie around both changes of the clock."""

    def patient(self, index: int) -> SyntheticPatient:
        """Make one patient; see the module."""
        now = AUTUMN if index % 2 else SPRING
        made = Hospital(self.size, self.seed, now, self.dirt, self.vitals_per_day).patient(index)
        stay = made.stays[-1]
        if index % 20 or stay.icu_out - stay.icu_in <= DAY:
            return made
        return replace(made, events=tuple(_edges(stay, len(made.stays) - 1)))


def _edges(stay: Stay, number: int) -> Iterator[Event]:
    for place, (after, values) in enumerate(EDGES.items()):
        time = stay.icu_in + after
        for step, (feature, unit) in enumerate((("heart_rate", "/min"), ("lactate", "mmol/L"))):
            value = values[step]
            yield Event(4 * place + 2 * step, feature, number, time, time, value, value, unit)


class Pair(NamedTuple):
    """The patients, and where they were written: a folder with `hosp` and `icu`, and a folder of ndjson."""

    patients: list[SyntheticPatient]
    mimic: Path
    fhir: Path

    def rows(self, table: str) -> list[dict[str, str]]:
        """Return a table's rows as they stand in the file."""
        with (self.mimic / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def write(folder: Path, size: int = SIZE) -> Pair:
    """Write the pairs."""
    hospital = Pairs(size, 20, SPRING, DIRT, vitals_per_day=12)
    patients = list(hospital.patients())
    write_mimic_csv(hospital, folder / "mimic")
    (folder / "fhir").mkdir()
    with (folder / "fhir" / "all.ndjson").open("w", encoding="utf-8") as file:
        for patient in patients:
            file.writelines(json.dumps(resource) + "\n" for resource in fhir_resources(patient, "mimic"))
    return Pair(patients, folder / "mimic", folder / "fhir")
