"""Cards and answers that no patient was ever given, and processes that keep them."""

import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from screening.feedback.entries import FeedbackEntry, IssuedCard

ROOT = Path(__file__).resolve().parents[3]
GIVEN = datetime(2026, 3, 1, 10, tzinfo=UTC)
SERVICE = "sepsis-risk"


def named(number: int) -> str:
    """The UUID of a number."""
    return str(uuid.UUID(int=number, version=4))


def issued(number: int = 1, **more: Any) -> IssuedCard:
    """A card as it is remembered."""
    told: dict[str, Any] = {
        "card": named(number),
        "service": SERVICE,
        "hook_instance": named(900_000 + number),
        "patient": "Patient/p1",
        "kind": "risk",
        "indicator": "critical",
        "issued_at": GIVEN,
        "model_name": "sepsis",
        "model_version": "1.0.0",
        "model_sha256": "ab" * 32,
        "level": "high",
        "probability": 0.1 + 0.2,
        "suggestions": (named(800_000 + number),),
    }
    return IssuedCard(**(told | more))


def answer(number: int = 1, outcome: Any = "overridden", seconds: float = 60, **more: Any) -> FeedbackEntry:
    """An answer to a card, so many seconds after it was given."""
    if outcome == "accepted":
        more = {"accepted_suggestions": (named(800_000 + number),)} | more
    return FeedbackEntry(card=named(number), outcome=outcome, outcome_at=GIVEN + timedelta(seconds=seconds), **more)


def rows(file: Path, question: str = "SELECT card, outcome FROM cds_feedback ORDER BY id") -> list[tuple[Any, ...]]:
    """Ask the file itself, past the store."""
    connection = sqlite3.connect(file)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()
