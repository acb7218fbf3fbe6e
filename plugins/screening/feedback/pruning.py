"""Remove cards that nobody answered: a row a card is kept, and after months most of them serve nobody.

What users did is never removed, nor are the cards that they did it with: accept and override rates stay what they were. What
changes is how many cards count as issued, and a report says how many were removed; feedback that comes for a removed card
counts as on an unknown one.
"""

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, inspect, select, update

from screening.feedback.database import Database
from screening.feedback.tables import feedback, issued, pruned

_AT_ONCE = 400  # cards in one transaction: the sidecar's own writes wait no longer than for these


def prune(url: str, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
    """Remove the cards that were given before a time and have no feedback.

    Parameters
    ----------
    url
        SQLAlchemy URL of the database; the sidecar may run meanwhile.
    before
        With a zone.
    dry_run
        Only count them.

    Returns
    -------
    int, int
        Cards that were removed; cards from before that time that stay, for they have feedback.

    Raises
    ------
    DataFileError
        There is no such database, or no table of ours in it.
    FatalError, TemporaryError
        It cannot be used; cards that were removed until then are removed, and a repeat goes on.
    """
    database = Database(url)
    try:
        database.check()
        old, answered = database.read(partial(_counted, before=before))
        if dry_run or old == answered:
            return old - answered if dry_run else 0, answered
        run = database.write(partial(_begin, before=before))
        removed, last = 0, ""
        while True:
            gone, last = database.write(partial(_remove, before=before, after=last, run=run))
            removed += gone
            if not last:
                return removed, answered
    finally:
        database.close()


_ANSWERED = exists().where(feedback.c.card == issued.c.card)


def _counted(connection: Connection, before: datetime) -> tuple[int, int]:
    old = select(func.count()).select_from(issued).where(issued.c.issued_at < before)
    whole, answered = connection.scalar(old), connection.scalar(old.where(_ANSWERED))
    return whole or 0, answered or 0


def _begin(connection: Connection, before: datetime) -> int:
    pruned.create(connection, checkfirst=True)
    key: Any = connection.execute(insert(pruned).values(before=before, cards=0)).inserted_primary_key
    return int(key[0])


def _remove(connection: Connection, before: datetime, after: str, run: int) -> tuple[int, str]:
    """Remove the next cards in the order of their ids; return how many, and the last one's id, "" where there is none."""
    wanted = select(issued.c.card).where(issued.c.issued_at < before, ~_ANSWERED, issued.c.card > after)
    cards = list(connection.scalars(wanted.order_by(issued.c.card).limit(_AT_ONCE)))
    if not cards:
        return 0, ""
    gone = connection.execute(delete(issued).where(issued.c.card.in_(cards), ~_ANSWERED)).rowcount
    connection.execute(update(pruned).where(pruned.c.id == run).values(cards=pruned.c.cards + gone))
    return gone, cards[-1]


def removed(connection: Connection, since: datetime | None) -> int:
    """Return how many cards were removed that a report might have counted as issued; `since` as in `make_report`."""
    if not inspect(connection).has_table(pruned.name):
        return 0
    question = select(func.coalesce(func.sum(pruned.c.cards), 0))
    return int(connection.scalar(question if since is None else question.where(pruned.c.before > since)) or 0)
