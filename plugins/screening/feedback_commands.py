"""What `python -m screening feedback …` does: tell what users did with the cards."""

import json
from argparse import ArgumentTypeError, Namespace
from datetime import datetime
from pathlib import Path
from typing import Any

from screening.commands import say

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
    made.add_argument("--url", default=f"sqlite:///{DEFAULT}", help="the sidecar's CDS_FEEDBACK_URL (default: its own)")
    made.add_argument("--service", help="only this one, such as sepsis-risk")
    made.add_argument("--since", type=_since, metavar="TIME", help="only cards from then on: an ISO time with its zone")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--comments", action="store_true", help="print users' own words, too: they may tell of patients")


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
    say(json.dumps(as_json(report), indent=1, ensure_ascii=False) if chosen.json else as_text(report))
    return 0
