"""Codes and units of the synthetic hospital, in LOINC/UCUM style and in MIMIC style.

MIMIC's item ids are those of MIT-LCP mimic-code; the LOINC codes are FHIR's vital signs and common laboratory codes.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

Style = Literal["loinc", "mimic"]

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
LOCAL_CODES = "https://synthetic-hospital.example.org/codes"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
MIMIC = "http://mimic.mit.edu/fhir/mimic"
CHART_ITEMS = f"{MIMIC}/CodeSystem/mimic-chartevents-d-items"
LAB_ITEMS = f"{MIMIC}/CodeSystem/mimic-d-labitems"
MIMIC_UNITS = f"{MIMIC}/CodeSystem/mimic-units"
MIMIC_CATEGORY = f"{MIMIC}/CodeSystem/mimic-observation-category"

VITALS = ("heart_rate", "temperature", "respiratory_rate")
LABS = ("wbc", "lactate", "creatinine")
FEATURES = VITALS + LABS


class Term(NamedTuple):
    """What one feature is called.

    Attributes
    ----------
    unit
        Canonical UCUM unit of `Event.value`.
    loinc
        (code, display); the first is the usual one, the second a variant that a site may send instead.
    local
        A code of the hospital's own, which means nothing to anybody else.
    """

    unit: str
    loinc: tuple[tuple[str, str], ...]
    local: str


TERMS: dict[str, Term] = {
    "heart_rate": Term("/min", (("8867-4", "Heart rate"),), "HR"),
    "temperature": Term("Cel", (("8310-5", "Body temperature"), ("8331-1", "Oral temperature")), "TEMP"),
    "respiratory_rate": Term("/min", (("9279-1", "Respiratory rate"),), "RR"),
    "wbc": Term("10*3/uL", (("6690-2", "Leukocytes [#/volume] in Blood by Automated count"),), "WBC"),
    "lactate": Term(
        "mmol/L",
        (("2524-7", "Lactate [Moles/volume] in Serum or Plasma"), ("32693-4", "Lactate [Moles/volume] in Blood")),
        "LACT",
    ),
    "creatinine": Term(
        "mg/dL",
        (
            ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
            ("38483-4", "Creatinine [Mass/volume] in Blood"),
        ),
        "CREA",
    ),
}


class Item(NamedTuple):
    """A MIMIC item as charted: its id, label and unit of measure."""

    itemid: int
    label: str
    uom: str


MIMIC_ITEMS: dict[tuple[str, str], Item] = {
    ("heart_rate", "/min"): Item(220045, "Heart Rate", "bpm"),
    ("respiratory_rate", "/min"): Item(220210, "Respiratory Rate", "insp/min"),
    ("temperature", "[degF]"): Item(223761, "Temperature Fahrenheit", "°F"),
    ("temperature", "Cel"): Item(223762, "Temperature Celsius", "°C"),
    ("wbc", "10*3/uL"): Item(51301, "White Blood Cells", "K/uL"),
    ("lactate", "mmol/L"): Item(50813, "Lactate", "mmol/L"),
    ("creatinine", "mg/dL"): Item(50912, "Creatinine", "mg/dL"),
}
"""(feature, UCUM unit) → item. MIMIC's laboratory has one unit an item: no other lab unit stands here."""

SYSTOLIC = Item(220179, "Non Invasive Blood Pressure systolic", "mmHg")
DIASTOLIC = Item(220180, "Non Invasive Blood Pressure diastolic", "mmHg")
SATURATION = Item(220277, "O2 saturation pulseoxymetry", "%")

OTHER_UNITS: dict[str, tuple[str, ...]] = {"wbc": ("/uL", "10*9/L"), "lactate": ("mg/dL",), "creatinine": ("umol/L",)}
"""Units that a laboratory may report instead of the canonical one."""

_LACTATE_MOLAR_MASS = 90.08  # g/mol
_CREATININE_MOLAR_MASS = 113.12

_FROM_CANONICAL: dict[tuple[str, str], Callable[[float], float]] = {
    ("temperature", "[degF]"): lambda value: round(value * 9 / 5 + 32, 1),
    ("wbc", "/uL"): lambda value: round(value * 1000),
    ("wbc", "10*9/L"): lambda value: value,
    ("lactate", "mg/dL"): lambda value: round(value * _LACTATE_MOLAR_MASS / 10, 6),
    ("creatinine", "umol/L"): lambda value: round(value * 10_000 / _CREATININE_MOLAR_MASS, 6),
}


def charted_as(feature: str, value: float, unit: str) -> float:
    """Return a canonical value as the chart shows it in `unit`: Fahrenheit to 0.1, laboratory units to 6 decimals."""
    if unit == TERMS[feature].unit:
        return value
    return _FROM_CANONICAL[(feature, unit)](value)


def fahrenheit_to_celsius(value: float) -> float:
    """Return Celsius of a charted Fahrenheit value, unrounded."""
    return (value - 32) * 5 / 9
