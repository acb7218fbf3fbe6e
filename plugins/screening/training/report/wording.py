"""Figures in words: what pictures, report and model card say alike, and what they warn of."""

from collections.abc import Mapping
from typing import Any

UNDEFINED = "undefined"
RESEARCH = "Research software, not a medical device. Not for clinical use."
SYNTHETIC = (
    "Synthetic data: the patients are invented. The figures show that the machinery works; they are no evidence of "
    "performance on any patient."
)
TINY = (
    "Tiny data: there are too few positive stays to judge by, as in a demo extract. The figures are no evidence of "
    "performance."
)
INTERNAL = (
    "All figures are of patients from the same source as those learned from. Nothing here shows that they hold elsewhere: "
    "the model was not validated externally."
)


def warnings(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the sentences that stand above every figure, by what the data are."""
    told = [RESEARCH]
    if evaluation["synthetic"]:
        told.append(SYNTHETIC)
    if evaluation["tiny"]:
        told.append(TINY)
    return [*told, INTERNAL]


def mark(evaluation: Mapping[str, Any]) -> str:
    """Return the few words that go with a picture wherever it is taken; empty for real data of some size."""
    kinds = [kind for kind, there in (("synthetic", evaluation["synthetic"]), ("tiny", evaluation["tiny"])) if there]
    return f"{' and '.join(kinds).capitalize()} data: no evidence of performance." if kinds else ""


def number(value: float | None, digits: int = 2) -> str:
    """Return a figure with so many decimals; None is "undefined"."""
    if value is None:
        return UNDEFINED
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # + 0.0: never "-0.00"


def interval(figure: Mapping[str, float | None], digits: int = 2) -> str:
    """Return a figure with its 95 % interval, where it has one: `0.78 (0.76 to 0.80)`."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return number(value, digits)
    return f"{number(value, digits)} ({number(low, digits)} to {number(high, digits)})"


def percent(share: float | None) -> str:
    """Return a share, 0 to 1, in whole percent."""
    return UNDEFINED if share is None else f"{100 * share:.0f} %"


def counted(n: int, noun: str) -> str:
    """Return a number of things, with the noun in the plural but for one."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def people(part: Mapping[str, Any], label: str) -> str:
    """Return who a part of the evaluation is: stays, patients, and how many stays have the label."""
    return f"{counted(part['stays'], 'stay')} of {counted(part['patients'], 'patient')}, {part['positives']:,} with {label}"


def unit(code: str | None) -> str:
    """Return a UCUM code as it is read aloud; None is no unit."""
    return {"Cel": "°C", "10*3/uL": "10³/µL", "a": "years", None: ""}.get(code, str(code))


def candidate(name: str) -> str:
    """Return a candidate's or a baseline's name as it is read: `logistic_regression` is "logistic regression"."""
    return "XGBoost" if name == "xgboost" else name.replace("_", " ")
