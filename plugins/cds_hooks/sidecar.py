"""What one process of the sidecar holds; made once by the app factory, asked for by every call."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from cds_hooks.bearer import Verifier
from cds_hooks.metrics import Metrics
from cds_hooks.screens import Screens
from cds_hooks.service import Answers
from cds_hooks.settings import Settings
from screening.feedback.store import FeedbackStore

EXTENSION = "cds_hooks"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The parts of a process.

    Attributes
    ----------
    verifier
        None where calls need no token.
    """

    settings: Settings
    screens: Screens
    answers: Answers
    verifier: Verifier | None
    feedback: FeedbackStore
    metrics: Metrics


def sidecar() -> Sidecar:
    """Return the parts of the process that answers the present call."""
    return cast("Sidecar", current_app.extensions[EXTENSION])
