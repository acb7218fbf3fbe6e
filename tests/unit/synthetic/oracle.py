"""What a reader must make of the three outputs, written anew from the rules and not from the generator."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
CHART = "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-chartevents-d-items"
LAB = "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-d-labitems"
MIMIC_UNITS = "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-units"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"

CODES = {
    (LOINC, "8867-4"): "heart_rate",
    (LOINC, "9279-1"): "respiratory_rate",
    (LOINC, "8310-5"): "temperature",
    (LOINC, "8331-1"): "temperature",
    (LOINC, "6690-2"): "wbc",
    (LOINC, "2524-7"): "lactate",
    (LOINC, "32693-4"): "lactate",
    (LOINC, "2160-0"): "creatinine",
    (LOINC, "38483-4"): "creatinine",
    (CHART, "220045"): "heart_rate",
    (CHART, "220210"): "respiratory_rate",
    (CHART, "223761"): "temperature",
    (CHART, "223762"): "temperature",
    (LAB, "51301"): "wbc",
    (LAB, "50813"): "lactate",
    (LAB, "50912"): "creatinine",
}
UNITS = {
    "heart_rate": {"/min": 1, "bpm": 1},
    "respiratory_rate": {"/min": 1, "insp/min": 1},
    "wbc": {"10*3/uL": 1, "10*9/L": 1, "/uL": 1 / 1000, "K/uL": 1},
    "lactate": {"mmol/L": 1, "mg/dL": 1 / 9.008},
    "creatinine": {"mg/dL": 1, "umol/L": 1 / 88.4017},
}
RANGES = {
    "heart_rate": (10, 300),
    "temperature": (25, 45),
    "respiratory_rate": (1, 70),
    "wbc": (0.01, 500),
    "lactate": (0.1, 50),
    "creatinine": (0.1, 150),
}

Found = tuple[str, str, datetime, float]
"""(patient, feature, time, canonical value)"""


def canonical(feature: str, number: float, unit: str) -> float:
    """Return the canonical value; KeyError where the unit is unknown."""
    if feature == "temperature":
        return {"Cel": number, "°C": number, "[degF]": (number - 32) / 1.8, "°F": (number - 32) / 1.8}[unit]
    return number * UNITS[feature][unit]


def in_range(feature: str, value: float) -> bool:
    low, high = RANGES[feature]
    return low <= value <= high


def read_fhir(resources: Iterable[dict[str, Any]]) -> tuple[list[Found], Counter[tuple[str, str]]]:
    """Return the values that count, duplicates gone, and (feature, reason) → number of drops."""
    found: list[Found] = []
    drops: Counter[tuple[str, str]] = Counter()
    for resource in resources:
        if resource["resourceType"] != "Observation":
            continue
        for coding in resource["code"]["coding"]:
            feature = CODES.get((coding["system"], coding["code"]))
            if feature:
                answer = _judge(resource, feature)
                if isinstance(answer, str):
                    drops[(feature, answer)] += 1
                else:
                    patient = resource["subject"]["reference"].removeprefix("Patient/")
                    found.append((patient, feature, *answer))
    return _once(found, drops)


def _judge(resource: dict[str, Any], feature: str) -> tuple[datetime, float] | str:
    quantity = resource.get("valueQuantity")
    for reason, holds in (
        ("status", resource["status"] not in ("final", "amended", "corrected", "preliminary")),
        ("foreign_focus", "focus" in resource),
        ("no_time", "effectiveDateTime" not in resource),
        ("not_a_quantity", quantity is None),
        ("comparator", bool(quantity) and "comparator" in quantity),
        ("no_unit", bool(quantity) and "code" not in quantity),
    ):
        if holds:
            return reason
    assert quantity["system"] in (UCUM, MIMIC_UNITS)
    assert quantity["unit"] == quantity["code"]
    value = canonical(feature, quantity["value"], quantity["code"])
    if not in_range(feature, value):
        return "out_of_range"
    return utc(datetime.fromisoformat(resource["effectiveDateTime"])), value


def _once(found: list[Found], drops: Counter[tuple[str, str]]) -> tuple[list[Found], Counter[tuple[str, str]]]:
    kept: dict[Found, None] = {}
    for item in found:
        if item in kept:
            drops[(item[1], "duplicate")] += 1
        kept[item] = None
    return list(kept), drops


def rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    path = folder / f"{name}.csv"
    if path.exists():
        with path.open(encoding="utf-8", newline="") as sheet:
            yield from csv.DictReader(sheet)
    else:
        with gzip.open(f"{path}.gz", "rt", encoding="utf-8", newline="") as sheet:
            yield from csv.DictReader(sheet)


def instant(text: str) -> datetime:
    """Return the instant of a naive local time, as zoneinfo and PostgreSQL read it."""
    return utc(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=NEW_YORK))


def utc(moment: datetime) -> datetime:
    """Return the moment in UTC: Python never calls two zones' times equal in the hours of a clock change (PEP 495)."""
    return moment.astimezone(UTC)


def read_csv(folder: Path) -> tuple[list[Found], Counter[tuple[str, str]]]:
    """Return the same as `read_fhir` of the same hospital; the patient is the subject_id."""
    found: list[Found] = []
    drops: Counter[tuple[str, str]] = Counter()
    for name, system in (("icu/chartevents", CHART), ("hosp/labevents", LAB)):
        for row in rows(folder, name):
            feature = CODES.get((system, row["itemid"]))
            if feature:
                answer = _judge_row(row, feature)
                if isinstance(answer, str):
                    drops[(feature, answer)] += 1
                else:
                    found.append((row["subject_id"], feature, *answer))
    return _once(found, drops)


def _judge_row(row: dict[str, str], feature: str) -> tuple[datetime, float] | str:
    comments = row.get("comments", "").lower()
    if "error" in comments or ("cancel" in comments and "corrected" not in comments):
        return "status"
    if not row["valuenum"]:
        return "comparator" if row["value"].startswith(("<", ">")) else "not_a_quantity"
    if not row["valueuom"]:
        return "no_unit"
    value = canonical(feature, float(row["valuenum"]), row["valueuom"])
    return (instant(row["charttime"]), value) if in_range(feature, value) else "out_of_range"
