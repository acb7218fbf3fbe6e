"""What users did with the cards, as a report: made from the database, told as JSON or as a table to read."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from screening.feedback.counting import count
from screening.feedback.database import Database
from screening.feedback.figures import Group, Report
from screening.feedback.pruning import removed
from screening.feedback.rates import FEW, Share

_HEAD = ("", "issued", "answered", "accepted", "95 % interval", "overridden", "95 % interval", "median time")


def make_report(
    url: str, *, service: str | None = None, since: datetime | None = None, comments: bool = False
) -> Report:
    """Count what became of the cards.

    Parameters
    ----------
    url
        SQLAlchemy URL of the database; nothing is made or changed there.
    service
        One service's cards; None for all.
    since
        Cards given at that time or later, with a zone; None for all.
    comments
        Whether users' own words are in it: they may tell of patients.

    Raises
    ------
    DataFileError
        There is no such database, or no table of ours in it.
    FatalError, TemporaryError
        It cannot be read.
    """
    database = Database(url)
    try:
        database.check()
        counting, gone = database.read(
            lambda connection: (count(connection, service, since), removed(connection, since))
        )
    finally:
        database.close()
    return Report(
        service=service,
        since=since,
        total=counting.groups["total"]["all"].group("all"),
        services=counting.in_groups("service"),
        models=counting.in_groups("model"),
        levels=counting.in_groups("level"),
        reasons=counting.in_reasons(),
        changed=counting.changed,
        before_card=counting.before_card,
        unknown=dict(sorted(counting.unknown.items())),
        elsewhere=counting.elsewhere,
        pruned=gone,
        comments=tuple(sorted(counting.comments, key=lambda one: (one.outcome_at, one.card))) if comments else None,
    )


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as what JSON can hold: times as ISO text, shares from 0 to 1, None where there is nothing to tell."""
    told = asdict(report)
    told["since"] = report.since.isoformat() if report.since else None
    if report.comments is not None:
        told["comments"] = [asdict(one) | {"outcome_at": one.outcome_at.isoformat()} for one in report.comments]
    return told


def as_text(report: Report) -> str:
    """Return a report to read. What clients wrote is in it without its control characters."""
    return "\n".join(_printable(line).rstrip() for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    total = report.total
    whose = f" of {report.service}" if report.service else ""
    when = f" since {report.since.isoformat()}" if report.since else ""
    yield (
        f"Cards{whose}{when}: {total.issued} issued, {total.answered} answered, {total.issued - total.answered} without "
        f"feedback{f', {report.pruned} more removed' if report.pruned else ''}"
    )
    yield ""
    parts = [("", [total]), ("service", report.services), ("model", report.models), ("level", report.levels)]
    yield from _table(parts)
    yield from _reasons(report)
    yield from _notes(report)
    if report.comments is not None:
        yield ""
        yield f"Comments ({len(report.comments)}); they may tell of patients:"
        for one in report.comments:
            yield f"  {one.outcome_at.isoformat()} card {one.card}, {one.model}, {one.outcome}: {one.text}"


def _table(parts: Sequence[tuple[str, Sequence[Group]]]) -> Iterator[str]:
    lines: list[tuple[str, ...]] = [_HEAD]
    for title, groups in parts:
        lines += [(title,)] if title and groups else []
        lines += [_cells(group, indented=bool(title)) for group in groups]
    whole = [line for line in lines if len(line) == len(_HEAD)]
    first, *others = (max(len(line[column]) for line in whole) for column in range(len(_HEAD)))
    for name, *cells in lines:
        yield name.ljust(first) + "".join(f"  {cell.rjust(width)}" for cell, width in zip(cells, others, strict=False))


def _cells(group: Group, *, indented: bool) -> tuple[str, ...]:
    mark = " *" if group.few else ""
    return (
        f"{'  ' if indented else ''}{_printable(group.name)}",
        str(group.issued),
        f"{group.answered}{mark}",
        *_share(group.accepted),
        *_share(group.overridden),
        _time(group.median_seconds),
    )


def _share(found: Share | None) -> tuple[str, str]:
    if found is None:
        return "-", "-"
    return f"{found.count} of {found.of} ({found.share:.0%})", f"{found.low * 100:.0f}-{found.high:.0%}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))


def _reasons(report: Report) -> Iterator[str]:
    if report.reasons:
        yield ""
        yield "Overridden because (share of the model's overridden cards, 95 % interval)"
    for one in report.reasons:
        counted, interval = _share(one.share)
        few = " *" if one.share.of < FEW else ""
        code = f" [{one.system}|{one.code}]" if one.system else ""
        yield f"  {one.model}: {one.name}{code}: {counted}{few}, {interval}"


def _notes(report: Report) -> Iterator[str]:
    total = report.total
    groups = (total, *report.services, *report.models, *report.levels)
    few = any(group.few for group in groups) or any(one.share.of < FEW for one in report.reasons)
    unknown = sum(report.unknown.values())
    notes = {
        f"* fewer than {FEW} cards: too few to compare; read the interval, not the percentage": few,
        "Rates are of the answered cards. Silence is no answer: the card was ignored, or its EHR sends no feedback": True,
        "Only a card with a suggestion can be accepted (CDS Hooks): accepted is of those, overridden of all answered": True,
        "The intervals (Wilson) take answers as independent; those of one clinician or patient are not": total.answered
        > 0,
        f"{report.pruned} cards without feedback were removed (feedback prune): what counts as issued is without them": (
            report.pruned
        ),
        f"{report.changed} cards were answered differently one time and another: the last answer counts": report.changed,
        f"{report.before_card} cards were answered before they were given: a clock is wrong": report.before_card,
        f"{unknown} entries are on cards that nobody remembers giving, and in no rate: "
        + ", ".join(f"{number} {outcome}" for outcome, number in report.unknown.items()): unknown,
        f"{report.elsewhere} entries came to an endpoint of another service than the card's, and are in no rate": (
            report.elsewhere
        ),
    }
    yield ""
    yield from (note for note, holds in notes.items() if holds)


def _printable(text: str) -> str:
    """Return a text that cannot steer a terminal."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
