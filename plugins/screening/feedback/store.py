"""The store of feedback: cards are remembered behind the answer, feedback is on the disk before it is acknowledged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from screening.feedback.database import Database
from screening.feedback.entries import FeedbackEntry, IssuedCard
from screening.feedback.remembering import Notice, Remembering
from screening.feedback.tables import feedback, issued

_COLUMNS = tuple(one.name for one in fields(IssuedCard))
_AT_ONCE = 400  # keys in one question: every database takes so many


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the entries of one call.

    Attributes
    ----------
    stored
        Entries that are new.
    repeated
        Entries that repeat one already kept, word for word; kept once.
    unknown
        Cards that nobody remembers giving, as yet: another worker writes its cards a moment later, so only the report
        has the last word.
    elsewhere
        Cards that another service gave.
    """

    stored: int
    repeated: int
    unknown: tuple[str, ...]
    elsewhere: tuple[str, ...]


class FeedbackStore:
    """Which cards were given, and what users did with them.

    May be made before a server forks its workers, and used by all threads of each. Nothing is connected to, and no thread
    is started, before the first call.

    Parameters
    ----------
    url
        SQLAlchemy URL of the database.
    wait_seconds
        How long a call waits for a lock or a server.
    limit
        Cards that may wait to be written.
    notice
        Is told, from whatever thread, how many cards wait and how many more were lost; see `Notice`.

    Raises
    ------
    FatalError
        The URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        wait_seconds: float = 5.0,
        limit: int = 10_000,
        notice: Notice | None = None,
    ) -> None:
        self._database = Database(url, wait_seconds=wait_seconds)
        self._prepared = False
        self._remembering = Remembering(self._write_issued, limit=limit, notice=notice)

    @property
    def name(self) -> str:
        """The database's URL without user, password and options."""
        return self._database.name

    @property
    def failing(self) -> bool:
        """Whether the last call of the database by this process failed."""
        return self._database.failing

    @property
    def lost(self) -> int:
        """Cards of this process that were not remembered."""
        return self._remembering.lost

    @property
    def waiting(self) -> int:
        """Cards of this process that are not written yet."""
        return self._remembering.waiting

    def start(self) -> None:
        """Make the tables where there are none. Without it the first call does so.

        Raises
        ------
        FatalError
            The tables are of a newer release, or the database cannot be used.
        TemporaryError
            It cannot be reached or is locked: feedback will be refused until it is back, and cards can be given.
        """
        self._database.prepare()
        self._prepared = True

    def remember(self, card: IssuedCard) -> None:
        """Remember a card that is being given; costs the request nothing, and never fails it."""
        self._remembering.remember(card)

    def add(self, service_id: str, entries: Sequence[FeedbackEntry], received_at: datetime) -> Added:
        """Keep what users did with cards: all entries are on the disk when this returns, or none is kept.

        Parameters
        ----------
        service_id
            The service whose endpoint was called. An entry on another service's card is kept, and told apart.
        entries
            A repeat of an entry counts once. Another outcome for the same card is kept beside the first.
        received_at
            When they arrived, with a zone.

        Raises
        ------
        TemporaryError
            Locked, full or out of reach: the client should try again.
        FatalError
            The database cannot be used.
        """
        if not self._prepared:
            self.start()
        rows = {entry.key(service_id): entry for entry in entries}
        about = sorted({entry.card for entry in entries})

        def work(connection: Connection) -> Added:
            stored = _insert_new(
                connection, feedback, "key",
                [_row(key, service_id, entry, received_at) for key, entry in rows.items()],
            )  # fmt: skip
            givers = _services(connection, about)
            return Added(
                stored,
                len(entries) - stored,
                tuple(card for card in about if card not in givers),
                tuple(card for card in about if givers.get(card, service_id) != service_id),
            )

        return self._database.write(work)

    def close(self) -> None:
        """Write what waits and close the connections: to be called when a worker ends."""
        self._remembering.close()
        self._database.close()

    def _write_issued(self, cards: list[IssuedCard]) -> None:
        if not self._prepared:
            self.start()
        rows = [{name: getattr(card, name) for name in _COLUMNS} for card in cards]
        tries = iter((False, True))

        def work(connection: Connection) -> None:
            # UUIDs are new but where a commit succeeded and its acknowledgement was lost: so look only the second time.
            if next(tries, True):
                _insert_new(connection, issued, "card", rows)
            else:
                connection.execute(insert(issued), rows)

        self._database.write(work)


def _row(key: str, service: str, entry: FeedbackEntry, received_at: datetime) -> dict[str, Any]:
    reason = entry.reason
    return {
        "key": key,
        "service": service,
        "card": entry.card,
        "outcome": entry.outcome,
        "outcome_at": entry.outcome_at,
        "suggestions": list(entry.accepted_suggestions),
        "reason_code": reason.code if reason else None,
        "reason_system": reason.system if reason else None,
        "reason_display": reason.display if reason else None,
        "user_comment": entry.comment,
        "received_at": received_at,
    }


def _insert_new(connection: Connection, table: Table, key: str, rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows whose key is not there yet; return how many.

    A row that another transaction inserts in between is an IntegrityError here, and the whole work is done again.
    """
    column = table.c[key]
    there: set[str] = set()
    for some in _parts([row[key] for row in rows]):
        there.update(connection.scalars(select(column).where(column.in_(some))))
    new = list({row[key]: row for row in rows if row[key] not in there}.values())
    if new:
        connection.execute(insert(table), new)
    return len(new)


def _services(connection: Connection, cards: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _parts(cards):
        for row in connection.execute(select(issued.c.card, issued.c.service).where(issued.c.card.in_(some))):
            found[row.card] = row.service
    return found


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE))
