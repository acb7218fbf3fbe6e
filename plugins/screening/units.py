"""Units of measure: what a Quantity says, and its value in the schema's canonical unit.

A closed table, not a UCUM grammar: a unit that is not in it is unknown, and an unknown unit is dropped and counted, never
guessed (a peer that ignores units scores 141 µmol/L creatinine as 141 mg/dL). UCUM codes are case-sensitive
(http://unitsofmeasure.org); the free texts that EHRs and MIMIC write are matched without regard to case and spacing.
Mass and molar concentration convert into each other only where the schema gives the analyte's molar mass.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

UCUM_SYSTEM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Unit:
    """A known unit: value in the dimension's base unit = (value + offset) * factor."""

    code: str
    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Conversion:
    """An affine change of unit with exact integer ratio, so that 98.6 °F becomes 37.0 Cel and not 36.99999."""

    before: float
    numerator: float
    denominator: float
    after: float

    def __call__(self, value: float) -> float:
        return (value + self.before) * self.numerator / self.denominator - self.after


_TABLE: dict[str, tuple[tuple[str, str | int], ...]] = {
    # dimension: (UCUM code, factor to the dimension's base unit), ...
    "rate": (("/min", 1), ("/s", 60), ("/h", "1/60")),
    "number concentration": (
        ("10*3/uL", 1), ("10*9/L", 1), ("10*6/mL", 1), ("/uL", "1/1000"), ("/mm3", "1/1000"), ("10*6/L", "1/1000"),
        ("10*6/uL", 1000), ("10*12/L", 1000), ("/L", "1/1000000000"),
    ),
    "mass concentration": (
        ("g/L", 1), ("g/dL", 10), ("mg/dL", "1/100"), ("mg/L", "1/1000"), ("ug/L", "1/1000000"), ("ug/mL", "1/1000"),
        ("ng/mL", "1/1000000"), ("mg/mL", 1), ("ug/dL", "1/100000"), ("pg/mL", "1/1000000000"),
    ),
    "molar concentration": (
        ("mol/L", 1), ("mmol/L", "1/1000"), ("umol/L", "1/1000000"), ("nmol/L", "1/1000000000"), ("mmol/dL", "1/100"),
    ),
    "charge concentration": (("meq/L", 1),),
    "catalytic concentration": (("U/L", 1), ("[iU]/L", 1), ("kU/L", 1000), ("U/mL", 1000), ("[iU]/mL", 1000)),
    "pressure": (("mm[Hg]", 1), ("kPa", "750062/100000"), ("cm[H2O]", "735559/1000000")),
    "fraction": (("%", 1), ("1", 100)),
    "length": (("cm", 1), ("m", 100), ("mm", "1/10"), ("[in_i]", "254/100")),
    "mass": (("kg", 1), ("g", "1/1000"), ("[lb_av]", "45359237/100000000"), ("[oz_av]", "45359237/1600000000")),
    "time": (("h", 1), ("min", "1/60"), ("s", "1/3600"), ("d", 24), ("a", 8766)),
    "body mass index": (("kg/m2", 1),),
    "volume": (("mL", 1), ("L", 1000)),
    "volume rate": (("mL/h", 1), ("L/h", 1000), ("L/min", 60000)),
    "score": (("{score}", 1),),
}  # fmt: skip

KNOWN: dict[str, Unit] = {
    code: Unit(code, dimension, Fraction(factor)) for dimension, rows in _TABLE.items() for code, factor in rows
} | {
    "Cel": Unit("Cel", "temperature", Fraction(1)),
    "[degF]": Unit("[degF]", "temperature", Fraction(5, 9), Fraction(-32)),
    "K": Unit("K", "temperature", Fraction(1), Fraction("-273.15")),
}

# UCUM writes one unit in several ways: braces hold an annotation that means nothing, 10^ is 10*, and 1/x is x-1 is /x.
_SAME_CODE = {
    "{beats}/min": "/min", "{beat}/min": "/min", "{heartbeats}/min": "/min", "{breaths}/min": "/min", "{breath}/min": "/min",
    "{resp}/min": "/min", "{counts}/min": "/min", "1/min": "/min", "min-1": "/min", "10^3/uL": "10*3/uL",
    "10*3/mm3": "10*3/uL", "10^3/mm3": "10*3/uL", "10*3{cells}/uL": "10*3/uL", "10*3.{cells}/uL": "10*3/uL",
    "10^9/L": "10*9/L", "10^6/uL": "10*6/uL", "10^12/L": "10*12/L", "{cells}/uL": "/uL", "mg/(100.mL)": "mg/dL",
}  # fmt: skip

# Texts as EHRs, MIMIC (system mimic-units) and Synthea write them; keys are folded by `_fold`.
_TEXTS = {
    "/min": "bpm beats/min beats/minute beatsperminute {beats}/min {beat}/min {heartbeats}/min 1/min /minute min-1 insp/min "
    "breaths/min breaths/minute breathsperminute {breaths}/min {breath}/min resp/min br/min permin perminute",
    "Cel": "°c degc cel celsius degreescelsius degreec c deg.c",
    "[degF]": "°f degf fahrenheit degreesfahrenheit degreef f deg.f [degf]",
    "10*3/uL": "k/ul 10^3/ul 10*3/ul x10^3/ul x10*3/ul x10e3/ul 10e3/ul 10(3)/ul x10(3)/ul thou/ul thousand/ul k/mm3 "
    "k/cumm 10^3/mm3 10*3/mm3 th/ul",
    "10*9/L": "10^9/l 10*9/l x10^9/l x10*9/l x10e9/l 10e9/l 10(9)/l x10(9)/l bil/l gpt/l",
    "/uL": "/ul cells/ul {cells}/ul #/ul",
    "/mm3": "/mm3 cells/mm3 /cumm cells/cumm",
    "mg/dL": "mg/dl mg% mg/100ml",
    "g/L": "g/l", "g/dL": "g/dl", "mg/L": "mg/l", "ng/mL": "ng/ml", "ug/mL": "ug/ml",
    "mmol/L": "mmol/l", "umol/L": "umol/l micromol/l", "mol/L": "mol/l", "meq/L": "meq/l",
    "U/L": "u/l", "[iU]/L": "iu/l [iu]/l", "mm[Hg]": "mmhg mm[hg]", "%": "% percent", "kPa": "kpa",
    "cm": "cm", "kg": "kg", "[lb_av]": "lb lbs pound pounds [lb_av]", "[in_i]": "in inch inches [in_i]",
    "kg/m2": "kg/m2 kg/m^2", "a": "a year years yr yrs", "h": "h hr hour hours", "d": "d day days", "min": "min minutes",
    "{score}": "{score}",
}  # fmt: skip


def _fold(text: str) -> str:
    return "".join(text.split()).casefold().replace("μ", "u").replace("µ", "u").replace("º", "°")


_BY_TEXT = {word: code for code, words in _TEXTS.items() for word in words.split()}


def by_code(code: str) -> Unit | None:
    """Return the unit of a UCUM code (case-sensitive), or None when the table does not know it."""
    code = code.strip()
    return KNOWN.get(_SAME_CODE.get(code, code))


def by_text(text: str) -> Unit | None:
    """Return the unit of a code or a free text such as `bpm`, `K/uL` or `°F`, or None when unknown."""
    return KNOWN.get(text.strip()) or KNOWN.get(_BY_TEXT.get(_fold(text), ""))


def conversion(source: Unit, target: Unit, molar_mass: float | None = None) -> Conversion | None:
    """Return the conversion from one unit to another, or None where the dimensions do not meet.

    Parameters
    ----------
    source, target
        Known units.
    molar_mass
        Of the analyte, in g/mol; lets mass and molar concentration meet.
    """
    ratio = source.factor / target.factor
    pair = (source.dimension, target.dimension)
    if pair == ("mass concentration", "molar concentration") and molar_mass:
        ratio /= Fraction(str(molar_mass))
    elif pair == ("molar concentration", "mass concentration") and molar_mass:
        ratio *= Fraction(str(molar_mass))
    elif source.dimension != target.dimension:
        return None
    return Conversion(float(source.offset), float(ratio.numerator), float(ratio.denominator), float(target.offset))


_LONGEST_KEPT = 256
"""Characters of what is kept with its meaning; whoever sends long texts must not fill the memory with them."""


def resolve(
    system: str | None, code: str | None, text: str | None, target: str, molar_mass: float | None, assume: bool
) -> Conversion | str:
    """Decide what a Quantity's unit means for a canonical unit.

    The coded unit decides; where code and text both name a known unit and differ, nothing is believed.

    Parameters
    ----------
    system, code, text
        Quantity.system, .code and .unit as sent, each possibly None.
    target
        The feature's canonical UCUM code, one of `KNOWN`.
    molar_mass
        See `conversion`.
    assume
        Whether a Quantity without any unit is taken to be in the canonical unit.

    Returns
    -------
    Conversion or str
        The conversion, or the reason for a drop: `no_unit`, `unknown_unit`, `unit_contradiction`, `incompatible_unit`.
    """
    how = _resolve if sum(map(len, filter(None, (system, code, text)))) <= _LONGEST_KEPT else _resolve.__wrapped__
    return how(system, code, text, target, molar_mass, assume)


@lru_cache(maxsize=4096)
def _resolve(
    system: str | None, code: str | None, text: str | None, target: str, molar_mass: float | None, assume: bool
) -> Conversion | str:
    coded = (by_code(code) if system == UCUM_SYSTEM else by_text(code)) if code and code.strip() else None
    written = by_text(text) if text and text.strip() else None
    if code and code.strip():
        if coded is None:
            return "unknown_unit"
        if written is not None and not _same_measure(written, coded):
            return "unit_contradiction"
        source = coded
    elif text and text.strip():
        if written is None:
            return "unknown_unit"
        source = written
    elif assume:
        source = KNOWN[target]
    else:
        return "no_unit"
    return conversion(source, KNOWN[target], molar_mass) or "incompatible_unit"


def _same_measure(one: Unit, other: Unit) -> bool:
    return (one.dimension, one.factor, one.offset) == (other.dimension, other.factor, other.offset)
