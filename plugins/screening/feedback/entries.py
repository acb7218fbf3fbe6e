"""A card as it is remembered, and what a user did with one."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Outcome = Literal["accepted", "overridden"]
Kind = Literal["risk", "not_computed", "earlier"]
Indicator = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCard:
    """What is remembered of a card that was given: enough to say later which model's advice was taken.

    Attributes
    ----------
    card
        The card's `uuid`, in lower case.
    service
        Id of the service that gave it.
    hook_instance
        The call's `hookInstance`.
    patient
        `Patient/<logical id>`; nothing else of the patient is kept.
    kind
        `risk`: a live score. `not_computed`: too little data. `earlier`: the result of an earlier screening.
    indicator
        The card's `indicator`.
    issued_at
        When, with its zone.
    model_name, model_version, model_sha256
        Which model; None where none was asked.
    level, probability
        The answer, low, moderate or high and 0 to 1; None where there was none.
    suggestions
        `uuid` of each suggestion, in the card's order.
    """

    card: str
    service: str
    hook_instance: str
    patient: str
    kind: Kind
    indicator: Indicator
    issued_at: datetime
    model_name: str | None = None
    model_version: str | None = None
    model_sha256: str | None = None
    level: str | None = None
    probability: float | None = None
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """An override reason: a Coding. `display` is None where the client sent none, as the CDS Hooks Sandbox does."""

    code: str
    system: str
    display: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEntry:
    """What a user did with one card (CDS Hooks 2.0.1, Feedback).

    Attributes
    ----------
    card
        The card's `uuid`, in lower case.
    outcome
        `accepted` or `overridden`.
    outcome_at
        `outcomeTimestamp`: when the user did it, by the client's clock.
    accepted_suggestions
        `uuid` of each suggestion that was accepted; never empty with `accepted`.
    reason
        Why, if the user chose a reason.
    comment
        Why, in the user's own words: it may tell of the patient, so it is in no repr and belongs into no log.
    """

    card: str
    outcome: Outcome
    outcome_at: datetime
    accepted_suggestions: tuple[str, ...] = ()
    reason: Reason | None = None
    comment: str | None = field(default=None, repr=False)

    def key(self, service: str) -> str:
        """Return what two entries share only if one repeats the other: the sha256 of all that was said, in hex."""
        said = [
            service,
            self.card,
            self.outcome,
            self.outcome_at.astimezone(UTC).isoformat(),
            sorted(self.accepted_suggestions),
            [self.reason.system, self.reason.code, self.reason.display] if self.reason else None,
            self.comment,
        ]
        return hashlib.sha256(json.dumps(said, ensure_ascii=True).encode()).hexdigest()
