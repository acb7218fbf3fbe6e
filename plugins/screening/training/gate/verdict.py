"""What the gate said of a new model: every rule, with its figure, its limit and what follows, for people to read.

It travels as JSON, from the gate to whoever approves, and into the manifest of what is published.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Too little or not good enough data or model, or a fault that no wish for a model can excuse."""

    EVIDENCE = "evidence"
    INTEGRITY = "integrity"


class Ruling(StrEnum):
    """What a rule came to; only `refused` keeps a model from being published."""

    PASSED = "passed"
    REFUSED = "refused"
    WAIVED = "waived"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Rule:
    """One rule of the gate and what it came to; `words` has figure, limit and consequence."""

    rule: str
    kind: Kind
    verdict: Ruling
    words: str


def ruled(rule: str, kind: Kind, holds: bool, words: str, *, otherwise: str) -> Rule:
    """Return a rule as passed, or as refused with what follows from it added to the words."""
    return (
        Rule(rule, kind, Ruling.PASSED, words) if holds else Rule(rule, kind, Ruling.REFUSED, f"{words}: {otherwise}")
    )


def not_asked(rule: str, kind: Kind, words: str) -> Rule:
    """Return a rule that has nothing to judge."""
    return Rule(rule, kind, Ruling.NOT_ASKED, words)


def told(value: float) -> str:
    """Return a figure as the rules tell it."""
    return f"{value:.4g}"


@dataclass(frozen=True)
class Verdict:
    """The gate's answer.

    Attributes
    ----------
    rules
        In the order in which they are told.
    tiny
        Whether there are fewer positive stays than it takes to judge a model; if it passed all the same, because it was
        asked for.
    champion
        Version and sha256 of the model that it was held against; None where there was none.
    """

    rules: tuple[Rule, ...]
    tiny: bool
    champion: tuple[str, str] | None = None

    @property
    def passed(self) -> bool:
        """Whether the model may be published; one without rules was not judged."""
        return bool(self.rules) and not self.of(Ruling.REFUSED)

    def of(self, verdict: Ruling) -> tuple[Rule, ...]:
        """Return the rules that came to this."""
        return tuple(rule for rule in self.rules if rule.verdict is verdict)

    def summary(self) -> str:
        """Say it in lines: the whole, then what was refused or waived and why."""
        told = [*self.of(Ruling.REFUSED), *self.of(Ruling.WAIVED)]
        whole = "passed" if self.passed else "refused"
        if self.passed and self.tiny:
            whole += ", though there are too few positive stays to judge it: its card and its results say so"
        return "\n".join([f"the gate: {whole}", *(f"  {one.verdict} {one.rule}: {one.words}" for one in told)])

    def to_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "passed": self.passed}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Verdict":
        """Read what `to_json` returned."""
        rules = tuple(
            Rule(one["rule"], Kind(one["kind"]), Ruling(one["verdict"]), one["words"]) for one in content["rules"]
        )
        champion = content["champion"]
        return cls(rules, content["tiny"], None if champion is None else (champion[0], champion[1]))
