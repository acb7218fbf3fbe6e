"""The figures of a report: groups of cards, reasons, comments."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from screening.feedback.rates import Share


@dataclass(frozen=True, slots=True)
class Group:
    """Cards of one kind.

    Attributes
    ----------
    name
        Of the service, the model or the level.
    issued, answered
        Cards that were given; those of them that feedback came for.
    accepted
        Of the answered that had a suggestion: there is nothing to accept on others. None where none was.
    overridden
        Of the answered; None where none was.
    median_seconds
        From the card to what was done with it; None where nothing was, or only before the card by the client's clock.
    few
        Whether the answered are too few to compare with other groups.
    """

    name: str
    issued: int
    answered: int
    accepted: Share | None
    overridden: Share | None
    median_seconds: float | None
    few: bool


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """Cards of one model that were overridden for one reason; `share` is of all overridden cards of that model.

    `code` and `system` are None for no reason, and for a comment without one.
    """

    model: str
    name: str
    code: str | None
    system: str | None
    share: Share


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment in a user's own words, which may tell of a patient."""

    card: str
    model: str
    outcome: str
    outcome_at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the cards.

    Attributes
    ----------
    service, since
        What was chosen; None for all. `since` is of the card's time, and of unknown cards the arrival of the feedback.
    total
        All cards.
    services, models, levels
        The same cards in groups.
    reasons
        Why cards were overridden, by model.
    changed
        Cards with different outcomes, one after the other: the last one counts.
    before_card
        Cards whose outcome is earlier than the card: a clock is wrong. They are in the rates and not in the median.
    unknown
        Feedback entries on cards that nobody remembers, by outcome.
    elsewhere
        Feedback entries at an endpoint of another service than the card's.
    pruned
        Cards without feedback that were removed; of all services, and of cards that may be older than `since`.
    comments
        With `--comments`; None without.
    """

    service: str | None
    since: datetime | None
    total: Group
    services: tuple[Group, ...]
    models: tuple[Group, ...]
    levels: tuple[Group, ...]
    reasons: tuple[ReasonCount, ...]
    changed: int
    before_card: int
    unknown: Mapping[str, int]
    elsewhere: int
    pruned: int
    comments: tuple[Comment, ...] | None
