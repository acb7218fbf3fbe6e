"""The words that a RiskAssessment and a card have in common: numbers, percentages, reasons, and what must be said beside."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from screening.outcome import RiskLevel
from screening.schema import RiskLevels
from screening.scoring import level

LIMITS = "Output of a screening model, not a diagnosis. Research software, not a medical device."
SYNTHETIC = "The model was trained on synthetic patients and must not be used for real ones."
TINY = "The model was fitted on very few patients and its figures are no evidence of its performance."
UNKNOWN = "Whether the model was trained on real patients is not known."
STRONGEST = 3
_PRINTED = {
    "a": "years", "Cel": "°C", "[degF]": "°F", "10*3/uL": "10³/µL", "10*9/L": "10⁹/L", "10*6/L": "10⁶/L",
    "10*6/mL": "10⁶/mL",
    "10*6/uL": "10⁶/µL", "10*12/L": "10¹²/L", "/uL": "/µL", "/mm3": "/mm³", "ug/L": "µg/L", "ug/mL": "µg/mL",
    "ug/dL": "µg/dL",
    "umol/L": "µmol/L", "[iU]/L": "IU/L", "[iU]/mL": "IU/mL", "mm[Hg]": "mmHg", "cm[H2O]": "cmH₂O", "[in_i]": "in",
    "[lb_av]": "lb", "[oz_av]": "oz", "kg/m2": "kg/m²", "{score}": "",
}  # fmt: skip


def provenance(synthetic: bool | None, tiny: bool) -> list[str]:
    """Say what must be known of the patients that a model learned from; nothing where they were real and enough."""
    told = [] if synthetic is False else [SYNTHETIC if synthetic else UNKNOWN]
    return [*told, TINY] if tiny else told


def number(value: float) -> str:
    """Write six digits, never an exponent: 0.004 is no 0, and 28500 is no 2.85e+04."""
    text = f"{value:.6g}"
    return f"{Decimal(text):f}" if "e" in text else text


def printed(unit: str) -> str:
    """Return a UCUM code as it is printed for people to read; most codes are so already."""
    return _PRINTED.get(unit, unit)


def percentage(probability: float) -> str:
    """Return a probability of four decimals in percent, exactly and without its sign: 0.85 is `85`, 0.6999 is `69.99`."""
    return f"{probability * 100:.2f}".rstrip("0").rstrip(".")


def short_percentage(probability: float, bounds: RiskLevels) -> str:
    """Return as few decimals as do not contradict the level: 0.8512 is `85`, 0.6999 below a bound of 0.7 is `69.99`.

    Nor does anything but 0 read as 0, or anything but 1 as 100.
    """
    whole = round(probability * 10_000)
    said: RiskLevel = level(probability, bounds)
    for step in (100, 10):
        shown = (whole + step // 2) // step * step
        if level(shown / 10_000, bounds) is said and (shown == whole or 0 < shown < 10_000):
            return percentage(shown / 10_000)
    return percentage(probability)


def bound(value: float) -> str:
    """Return a bound of the schema in percent, with all its digits: 0.7 is `70`, 0.69995 is `69.995`."""
    return f"{(Decimal(str(value)) * 100).normalize():f}"


def strongest(contributions: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the features that moved the score most, with what each added to the log-odds."""
    return sorted(contributions.items(), key=lambda item: (-abs(item[1]), item[0]))[:STRONGEST]


def minute(moment: datetime) -> str:
    """Return a moment in UTC to the minute: `2026-03-10T11:00Z`."""
    at = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{at.isoformat()[:16]}Z"
