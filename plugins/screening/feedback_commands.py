"""What `python -m screening feedback …` does: tell what users did with the cards, and remove old ones without feedback."""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from screening.commands import say
from screening.errors import FatalError

if TYPE_CHECKING:
    from screening.feedback.figures import Report

DEFAULT = Path(__file__).resolve().parents[2] / "var" / "cds" / "feedback.db"
"""Where the sidecar keeps feedback unless it is told otherwise."""


def add_feedback(verbs: Any) -> None:
    """Add the command to the verbs of `python -m screening`."""
    kinds = verbs.add_parser("feedback", help="look at what users did with the cards").add_subparsers(
        dest="what", required=True
    )
    text = "Accept and override rates of the cards, by service, model version, level and reason."
    made = kinds.add_parser("report", help=text, description=text)
    made.set_defaults(run=feedback_report)
    _add_url(made)
    made.add_argument("--service", help="only this one, such as sepsis-risk")
    made.add_argument("--since", type=_since, metavar="TIME", help="only cards from then on: an ISO time with its zone")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--picture", type=_svg, metavar="FILE.svg", help="draw the rates by model version, too")
    made.add_argument("--comments", action="store_true", help="print users' own words, too: they may tell of patients")

    text = "Remove cards given before a time that have no feedback. Feedback and its cards stay."
    made = kinds.add_parser("prune", help=text, description=text)
    made.set_defaults(run=feedback_prune)
    _add_url(made)
    made.add_argument(
        "--before", type=_past, required=True, metavar="TIME", help="only cards given before: an ISO time with its zone"
    )
    made.add_argument("--dry-run", action="store_true", help="only count them")


def _add_url(made: ArgumentParser) -> None:
    made.add_argument(
        "--url",
        default=f"sqlite:///{DEFAULT}",
        help="the sidecar's CDS_FEEDBACK_URL (default: its own); a password belongs into PGPASSWORD or ~/.pgpass",
    )


def _svg(text: str) -> Path:
    if not text.lower().endswith(".svg"):
        raise ArgumentTypeError("the picture is SVG: name a file that ends in .svg")
    return Path(text)


def _past(text: str) -> datetime:
    found = _since(text)
    if found > datetime.now(UTC):  # a mistyped year would take every card that may still be answered
        raise ArgumentTypeError("this time is still to come")
    return found


def _since(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min  # noqa: DTZ901 - refused below
    if found.tzinfo is None:
        raise ArgumentTypeError("write an ISO time with its zone, such as 2026-03-01T00:00:00+00:00")
    return found


def feedback_report(chosen: Namespace) -> int:
    """Print what users did with the cards."""
    from screening.feedback.report import as_json, as_text, make_report

    report = make_report(chosen.url, service=chosen.service, since=chosen.since, comments=chosen.comments)
    if chosen.picture:
        _draw(report, chosen.picture)
    say(json.dumps(as_json(report), indent=1, ensure_ascii=False) if chosen.json else as_text(report))
    return 0


def _draw(report: "Report", file: Path) -> None:
    from screening.feedback.picture import as_svg

    try:
        file.write_text(as_svg(report), encoding="utf-8")
    except OSError as error:
        raise FatalError(f"{file}: the picture cannot be written: {error.strerror}") from None


def feedback_prune(chosen: Namespace) -> int:
    """Remove old cards without feedback, and print how many."""
    from screening.feedback.pruning import prune

    gone, kept = prune(chosen.url, chosen.before, dry_run=chosen.dry_run)
    done = "would be removed" if chosen.dry_run else "removed"
    say(f"cards given before {chosen.before.isoformat()}: {gone} without feedback {done}, {kept} with feedback stay")
    return 0
