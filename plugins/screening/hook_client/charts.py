"""Charts to open: prefetch objects in files, or the invented patients that everybody can tell apart."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from screening.data_files import contents
from screening.demo_bundles import prefetch
from screening.errors import DataFileError
from screening.readers.fhir import read
from screening.readers.fhir_fields import reference
from screening.schema import Schema
from screening.synthetic import fhir_resources
from screening.synthetic.named import named_patients

Resource = dict[str, Any]

PATTERNS = ("*_patient.json", "*.prefetch.json")
"""Names of prefetch files: the tutorial's, and those that `demo-patients` writes."""
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # https://hl7.org/fhir/R4/datatypes.html#id


@dataclass(frozen=True, slots=True)
class Chart:
    """One patient's data as an EHR has them at hand.

    Attributes
    ----------
    name
        The file's name, or what else to call the chart by.
    patient_id
        The id of the Patient in it: what `context.patientId` will be.
    prefetch
        Prefetch key → resource or Bundle; `patient` is among the keys.
    """

    name: str
    patient_id: str
    prefetch: Mapping[str, Any] = field(repr=False)


def from_files(path: Path, patterns: Iterable[str] = PATTERNS) -> list[Chart]:
    """Read prefetch files: one, or those of a folder whose names fit a pattern, in the order of their names.

    Raises
    ------
    DataFileError
        Where there is none, and where one cannot be read or holds no Patient with an id: nobody is left out silently.
    """
    if not path.is_dir():
        return [_chart(path)]
    wanted = list(patterns)
    found = sorted({one for pattern in wanted for one in path.glob(pattern)})
    if not found:
        raise DataFileError(f"{path}: the folder holds no file named like {' or '.join(wanted)}")
    return [_chart(one) for one in found]


def _chart(path: Path) -> Chart:
    inside = list(contents([path]))
    content = inside[0] if len(inside) == 1 else None
    if isinstance(content, dict) and "hook" in content:  # a request as this client saves it
        content = content.get("prefetch")
    patient = content.get("patient") if isinstance(content, dict) else None
    known = patient.get("id") if isinstance(patient, dict) and patient.get("resourceType") == "Patient" else None
    if not isinstance(content, dict) or not isinstance(known, str) or not _ID.fullmatch(known):
        raise DataFileError(
            f"{path}: is no prefetch file: it must be a JSON object with a Patient, and its id, under `patient`"
        )
    return Chart(path.name, known, content)


def invented(schema: Schema, now: datetime) -> list[Chart]:
    """Return the invented patients of high, moderate and low risk as of `now` (timezone-aware), with LOINC codes.

    A chart has a key for each of the schema's features that has values.
    """
    return [_invented(person.patient_id, fhir_resources(person, "loinc"), schema) for person in named_patients(now)]


def _invented(name: str, resources: Sequence[Resource], schema: Schema) -> Chart:
    held = {reference(one): one for one in resources}
    (patient,) = (one for one in resources if one["resourceType"] == "Patient")
    by_feature: dict[str, list[Resource]] = defaultdict(list)
    rows = read([list(resources)], schema).observations[["feature", "source"]].drop_duplicates()
    for feature, source in rows.itertuples(index=False):
        if held[source] is not patient:
            by_feature[feature].append(held[source])
    return Chart(name, str(patient["id"]), prefetch(patient, by_feature))
