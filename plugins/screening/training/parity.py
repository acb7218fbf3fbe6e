"""Parity: MIMIC's tables and the same patients as FHIR, held against each other feature by feature, bit for bit.

Both sides are asked for the same stays at the same times. What differs is listed by stay and feature, with the cause where
it lies in the data and not in our code. No value is ever told.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from screening.errors import DataFileError
from screening.feature_matrix import FeatureMatrix
from screening.patient_records import PATIENT_COLUMNS
from screening.readers.fhir import FhirReader
from screening.readers.fhir_content import unwrap
from screening.readers.mimic import VALUES, MimicReader
from screening.readers.mimic_tables import MimicTables
from screening.schema import Schema
from screening.training.matrix import matrix_of, stay_matrix
from screening.training.plan import TrainingPlan
from screening.training.stays import Stays, all_stays

IDENTIFIER = "http://mimic.mit.edu/fhir/mimic/identifier/patient"
ANCHOR = "MIMIC-IV-on-FHIR counts the age from the first transfer, which is not in the anchor year"


@dataclass
class Parity:
    """What the comparison found.

    Attributes
    ----------
    stays, absent
        How many stays were compared, and those whose patient the FHIR data lack.
    differences
        (stay_id, feature) → cause in the data, or "" for none known.
    """

    stays: int
    absent: list[int] = field(default_factory=list)
    differences: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every stay was compared, and every difference has its cause in the data."""
        return self.stays > 0 and not self.absent and all(self.differences.values())

    def summary(self) -> str:
        """Say it in a few lines."""
        whole = self.stays - len({stay for stay, _ in self.differences})
        lines = [f"{whole} of {self.stays} stays are equal bit for bit"]
        causes = Counter((feature, cause or "no known cause") for (_, feature), cause in self.differences.items())
        lines += [f"{count} differ in {feature}: {cause}" for (feature, cause), count in sorted(causes.items())]
        open_ = [f"{stay} ({feature})" for (stay, feature), cause in sorted(self.differences.items()) if not cause]
        if open_:
            lines.append(f"without a cause: {', '.join(open_[:20])}{' …' if len(open_) > 20 else ''}")
        if self.absent:
            lines.append(f"not in the FHIR data: {len(self.absent)} stays, such as {self.absent[0]}")
        return "\n".join(lines)


def parity(tables: MimicTables, contents: Iterable[Any], schema: Schema, plan: TrainingPlan) -> Parity:
    """Compare the feature matrices of MIMIC's tables and of FHIR content.

    Parameters
    ----------
    tables, contents
        The same patients twice; `contents` are resources or Bundles of MIMIC-IV-on-FHIR, with the Patients' identifiers.

    Raises
    ------
    DataFileError
        As the tables do; and where no Patient carries MIMIC's identifier.
    """
    stays = all_stays(tables, schema, plan)
    ours = mimic_matrix(tables, stays, schema, plan)
    theirs, absent = fhir_matrix(contents, stays, schema, plan)
    found = Parity(len(stays.frame) - len(absent), absent)
    cause = _anchor_shift(tables, stays)
    mine = ours.rows.set_index("patient_id").loc[theirs.rows["patient_id"]]
    for name, feature in schema.features.items():
        left, right = mine[name].to_numpy("float64"), theirs.rows[name].to_numpy("float64")
        differs = ~((left == right) | (np.isnan(left) & np.isnan(right)))
        for stay in theirs.rows["patient_id"][differs].astype("int64").tolist():
            shifted = feature.transform == "calculate_age" and stay in cause
            found.differences[(stay, name)] = ANCHOR if shifted else ""
    return found


def mimic_matrix(tables: MimicTables, stays: Stays, schema: Schema, plan: TrainingPlan) -> FeatureMatrix:
    """Compute the feature matrix of stays as training does, from MIMIC's tables; `patient_id` is the stay_id."""
    values = list(MimicReader(tables, schema, plan.clock()).values(stays.windows()))
    whole = pa.concat_tables(values) if values else VALUES.empty_table()
    return stay_matrix(whole, stays.frame, schema, plan.clock())


def fhir_matrix(
    contents: Iterable[Any], stays: Stays, schema: Schema, plan: TrainingPlan
) -> tuple[FeatureMatrix, list[int]]:
    """Compute the feature matrix of the same stays from FHIR content, and name the stays whose patient is not in it."""
    reader = FhirReader(schema, zone=plan.clock())
    whose: dict[int, str] = {}
    for content in contents:
        for _, resource in unwrap(content, Counter()):
            whose.update(_subjects(resource))
        reader.add(content)
    if not whose:
        raise DataFileError(f"no Patient has an identifier of the system {IDENTIFIER}: is this MIMIC-IV on FHIR?")
    reading = reader.reading()
    frame = stays.frame.assign(whose=stays.frame["subject_id"].map(whose))
    there = frame["whose"].isin(reading.patients["patient_id"])
    rows = frame.loc[there, ["patient_id", "whose", "first", "last"]].reset_index(drop=True)
    people = reading.patients.set_index("patient_id").loc[rows["whose"]].reset_index(drop=True)
    rows = pd.concat([rows, people[[name for name in PATIENT_COLUMNS if name != "patient_id"]]], axis=1)
    absent = frame.loc[~there, "stay_id"].tolist()
    return matrix_of(reading.observations, rows, schema, plan.clock()), absent


def _subjects(resource: dict[str, Any]) -> Iterator[tuple[int, str]]:
    if resource.get("resourceType") == "Patient":
        for identifier in resource.get("identifier") or []:
            number = str(identifier.get("value"))
            if identifier.get("system") == IDENTIFIER and number.isdecimal():
                yield int(number), str(resource["id"])


def _anchor_shift(tables: MimicTables, stays: Stays) -> set[int]:
    """Return the stays of patients whose first transfer is not in the year in which MIMIC tells their age."""
    patients, transfers = (
        pa.Table.from_batches(list(tables.batches(table, columns))).to_pandas()
        for table, columns in (("patients", ["subject_id", "anchor_year"]), ("transfers", ["subject_id", "intime"]))
    )
    first = transfers.groupby("subject_id")["intime"].min().dt.year
    anchor = patients.set_index("subject_id")["anchor_year"]
    shifted = set(anchor.index[(first.reindex(anchor.index) != anchor).to_numpy()])
    return set(stays.frame.loc[stays.frame["subject_id"].isin(shifted), "stay_id"].tolist())
