"""A chart opened with one result of each kind, to vary, and what a renderer of Markdown makes of a card."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from itertools import count
from types import MappingProxyType
from typing import Any

from markdown_it import MarkdownIt
from tests.charts import SICK, T, rule_bundle, sepsis

from screening.outcome import Input, Outcome, PatientResult, RiskLevel
from screening.results.cards.context import CardContext, card_context
from screening.results.earlier import EarlierScreening
from screening.schema import Schema

BASE = "https://cds.example.org"
SHA = "0123456789abcdef" * 4
MODEL = replace(
    rule_bundle(),
    name="sepsis",
    version="2.1.0",
    sha256=SHA,
    threshold=0.3059,
    manifest=MappingProxyType({"synthetic": True, "tiny": True}),
)
CONTEXT = card_context(sepsis(), MODEL, BASE)
OBSERVED = tuple(
    Input(f.name, f.display, f.unit, SICK[f.name], T - timedelta(hours=1 + n), 1 + n)
    for n, f in enumerate(sepsis().of("Observation"))
)
PERSON = (
    Input("age", "Age", "a", 60.0, note="age from a birth date of year precision"),
    Input("gender_encoded", "Sex (male 1, female 0)", None, 1.0),
)
HIGH = PatientResult(
    "p-1",
    Outcome.SCORED,
    prediction_time=T,
    probability=0.85,
    risk_level=RiskLevel.HIGH,
    inputs=OBSERVED + PERSON,
    contributions={"heart_rate": 0.912, "lactate": 1.4, "creatinine": -0.35, "age": 0.001},
    basis=("Observation/a", "Patient/p-1/_history/2"),
    encounter="Encounter/e-1",
)
LACTATE = Input("lactate", "Lactate", "mmol/L", 1.5, imputed=True)
MODERATE = replace(
    HIGH,
    probability=0.5842,
    risk_level=RiskLevel.MODERATE,
    inputs=tuple(LACTATE if item.feature == "lactate" else item for item in HIGH.inputs),
)
TOO_FEW = PatientResult("p-1", Outcome.INSUFFICIENT_DATA, ("heart_rate", "respiratory_rate", "wbc", "lactate"), T)
EARLIER = EarlierScreening(
    "p-1", 0.8512, RiskLevel.HIGH, T - timedelta(hours=9, minutes=20), "sepsis", "2.1.0", SHA, "RiskAssessment/r-1", 7
)


def ids() -> Callable[[], str]:
    """Return a maker of UUID4s that are the same in every run."""
    numbers = count(1)
    return lambda: str(uuid.UUID(int=next(numbers), version=4))


def opened(**changed: Any) -> dict[str, Any]:
    """Return the arguments that every kind of card takes."""
    return {"new_id": ids(), "shown_at": T, **changed}


def scored(probability: float, level: RiskLevel, **changed: Any) -> PatientResult:
    return replace(HIGH, probability=probability, risk_level=level, **changed)


def context_of(schema: Schema | None = None, model: Any = None, **more: Any) -> CardContext:
    return card_context(schema or sepsis(), model or MODEL, BASE, **more)


def ago(**span: float) -> datetime:
    return T - timedelta(**span)


class Rendered(HTMLParser):
    """What GFM makes of a Markdown text: the elements, their attributes, the cells of the tables, and the text."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(MarkdownIt("gfm-like", {"html": True, "linkify": True}).enable("linkify").render(markdown))
        self.close()
        self.rows = [[cell.strip() for cell in row] for row in self.rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and self.elements[-1] in ("td", "th", "strong"):
            self.rows[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.elements.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.elements.append("declaration")

    def handle_pi(self, data: str) -> None:
        self.elements.append("processing instruction")

    def unknown_decl(self, data: str) -> None:
        self.elements.append("unknown declaration")


def texts_in(node: Any) -> Iterator[str]:
    """Yield every text of a card."""
    if isinstance(node, str):
        yield node
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from texts_in(item)
