"""The tables: which cards were given, and what users did with them. Rows are added and never changed; only
`pruning` removes cards that nobody answered.

`cds_issued` is written behind the answer and may lack a card whose worker was killed; `cds_feedback` lacks nothing that was
acknowledged. They are therefore not tied by a foreign key: whether a card is known is asked when the report is made.
"""

from datetime import UTC, datetime

from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, Float, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

SCHEMA_VERSION = 1
"""Of the tables below. A change that older code cannot read raises it."""


class UtcTime(TypeDecorator[datetime]):
    """A moment: goes in with any zone, comes out in UTC. SQLite and MySQL keep no zone, so UTC is what they are given."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into UTC; ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone is no moment")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_UUID, _ID = String(36), String(255)
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself in SQLite

metadata = MetaData()

version: Table = Table(
    "cds_feedback_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)
"""One row: the version of the tables."""

issued: Table = Table(
    "cds_issued",
    metadata,
    Column("card", _UUID, primary_key=True),
    Column("service", _ID, nullable=False),
    Column("hook_instance", _ID, nullable=False),
    Column("patient", _ID, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("indicator", String(16), nullable=False),
    Column("issued_at", UtcTime, nullable=False),
    Column("model_name", _ID),
    Column("model_version", _ID),
    Column("model_sha256", String(64)),
    Column("level", String(16)),
    Column("probability", Float(53)),
    Column("suggestions", JSON, nullable=False),
)
"""A row a card: the columns are those of `IssuedCard`."""

feedback: Table = Table(
    "cds_feedback",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("service", _ID, nullable=False),
    Column("card", _UUID, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("outcome_at", UtcTime, nullable=False),
    Column("suggestions", JSON, nullable=False),
    Column("reason_code", _ID),
    Column("reason_system", String(1024)),
    Column("reason_display", String(1024)),
    Column("user_comment", Text),
    Column("received_at", UtcTime, nullable=False),
    Index("cds_feedback_card", "card"),
)
"""A row a thing done with a card: those of `FeedbackEntry`, `service` the one whose endpoint was called, `key` what tells
a repeat from news, `user_comment` the one column that may tell of a patient, so that rights can be granted without it."""

pruned: Table = Table(
    "cds_pruned",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("before", UtcTime, nullable=False),
    Column("cards", Integer, nullable=False),
)
"""A row a pruning: so many cards given before a time were removed. Databases of earlier releases lack it until the first."""
