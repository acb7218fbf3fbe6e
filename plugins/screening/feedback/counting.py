"""Counts what became of the cards.

A card counts once, with the last thing that was done with it by `outcomeTimestamp`. Rates are of the cards that were
answered: CDS Hooks does not tell a card that was ignored from one whose EHR sends no feedback, so nothing is inferred from
silence, and how many were silent stands beside. Feedback on cards that nobody remembers giving, or that came to another
service's endpoint, is counted apart and in no rate.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, select

from screening.feedback.figures import Comment, Group, ReasonCount
from screening.feedback.rates import FEW, share
from screening.feedback.tables import feedback, issued

_AT_ONCE = 1_000  # rows from the database
NO_REASON, COMMENT_ONLY = "no reason given", "a comment only"


@dataclass(slots=True)
class _Tally:
    issued: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    acceptable: int = 0
    seconds: list[float] = field(default_factory=list)

    def group(self, name: str) -> Group:
        """Return what was counted."""
        answered = self.outcomes.total()
        return Group(
            name,
            # A card may be answered before it is remembered, and so be missing among the issued for a moment.
            max(self.issued, answered),
            answered,
            share(self.outcomes["accepted"], self.acceptable),
            share(self.outcomes["overridden"], answered),
            median(self.seconds) if self.seconds else None,
            answered < FEW,
        )


class Counting:
    """Counts cards, each in all its groups."""

    def __init__(self) -> None:
        self.groups: dict[str, defaultdict[str, _Tally]] = {
            kind: defaultdict(_Tally) for kind in ("total", "service", "model", "level")
        }
        self.reasons: Counter[tuple[str, str | None, str | None]] = Counter()
        self.displays: dict[tuple[str | None, str | None], str] = {}
        self.unknown: Counter[str] = Counter()
        self.elsewhere = self.changed = self.before_card = 0
        self.comments: list[Comment] = []

    def tallies(self, row: Row[Any]) -> Iterator[_Tally]:
        """Return the tally of each group that a card is in."""
        names = {"total": "all", "service": row.of_service, "model": _model(row), "level": _level(row)}
        return (self.groups[kind][name] for kind, name in names.items())

    def card(self, rows: list[Row[Any]]) -> None:
        """Count a card's entries, which stand in the order of their outcomes."""
        if rows[0].of_service is None:
            self.unknown.update(row.outcome for row in rows)
            return
        here = [row for row in rows if row.service == row.of_service]
        self.elsewhere += len(rows) - len(here)
        if not here:
            return
        last = here[-1]
        self.changed += len({row.outcome for row in here}) > 1
        # Many clients give whole seconds: what then lies within the second of the card does not lie before it.
        given = last.issued_at if last.outcome_at.microsecond else last.issued_at.replace(microsecond=0)
        seconds = (last.outcome_at - given).total_seconds()
        self.before_card += seconds < 0
        for tally in self.tallies(last):
            tally.outcomes[last.outcome] += 1
            tally.acceptable += bool(last.suggestions) or last.outcome == "accepted"
            if seconds >= 0:
                tally.seconds.append(seconds)
        if last.outcome == "overridden":
            self._reason(last)
        self.comments += [
            Comment(row.card, _model(row), row.outcome, row.outcome_at, row.user_comment)
            for row in here
            if row.user_comment is not None
        ]

    def _reason(self, row: Row[Any]) -> None:
        name = (row.reason_system, row.reason_code)
        if row.reason_code is None:
            name = (None, COMMENT_ONLY if row.user_comment else NO_REASON)
        elif row.reason_display:
            self.displays[name] = row.reason_display
        self.reasons[(_model(row), *name)] += 1

    def in_groups(self, kind: str) -> tuple[Group, ...]:
        """Return the groups of one kind, the largest first."""
        found = (tally.group(name) for name, tally in self.groups[kind].items())
        return tuple(sorted(found, key=lambda group: (-group.issued, group.name)))

    def in_reasons(self) -> tuple[ReasonCount, ...]:
        """Return the reasons of each model, the most frequent first."""
        overridden: Counter[str] = Counter()
        for (model, _, _), count in self.reasons.items():
            overridden[model] += count
        found = []
        for (model, system, code), count in self.reasons.items():
            part = share(count, overridden[model])
            if part is not None:
                name = self.displays.get((system, code)) or str(code)
                found.append(ReasonCount(model, name, code if system else None, system, part))
        return tuple(sorted(found, key=lambda one: (one.model, -one.share.count, one.name, one.system or "")))


def count(connection: Connection, service: str | None, since: datetime | None) -> Counting:
    """Count the cards of one service, or of all, that were given at a time or later, or ever."""
    counting = Counting()
    # Feedback first: a card that is given meanwhile is then at worst one without an answer.
    answers = connection.execution_options(yield_per=_AT_ONCE).execute(_answers(service, since))
    for _, rows in groupby(answers, key=lambda row: str(row.card)):
        counting.card(list(rows))
    for row in connection.execute(_given(service, since)):
        for tally in counting.tallies(row):
            tally.issued += row.cards
    return counting


_GROUPED = (
    issued.c.service.label("of_service"), issued.c.model_name, issued.c.model_version, issued.c.model_sha256,
    issued.c.kind, issued.c.level,
)  # fmt: skip


def _given(service: str | None, since: datetime | None) -> Select[Any]:
    question = select(*_GROUPED, func.count().label("cards")).group_by(*_GROUPED)
    if service is not None:
        question = question.where(issued.c.service == service)
    return question if since is None else question.where(issued.c.issued_at >= since)


def _answers(service: str | None, since: datetime | None) -> Select[Any]:
    own = (
        feedback.c.card, feedback.c.service, feedback.c.outcome, feedback.c.outcome_at, feedback.c.reason_code,
        feedback.c.reason_system, feedback.c.reason_display, feedback.c.user_comment, issued.c.issued_at,
        issued.c.suggestions,
    )  # fmt: skip
    question = select(*own, *_GROUPED).outerjoin_from(feedback, issued, feedback.c.card == issued.c.card)
    if service is not None:
        question = question.where(func.coalesce(issued.c.service, feedback.c.service) == service)
    if since is not None:
        question = question.where(
            (issued.c.issued_at >= since) | and_(issued.c.card.is_(None), feedback.c.received_at >= since)
        )
    return question.order_by(feedback.c.card, feedback.c.outcome_at, feedback.c.id)


def _model(row: Row[Any]) -> str:
    if row.model_name is None:
        return "no model"
    return f"{row.model_name} {row.model_version} ({str(row.model_sha256)[:12]})"


def _level(row: Row[Any]) -> str:
    words = {"risk": str(row.level), "earlier": f"earlier {row.level}", "not_computed": "not computed"}
    return words[row.kind]
