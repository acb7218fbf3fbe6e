"""What is known of a training run beside its evaluation: what the report and the model card are made from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from screening.errors import FatalError


@dataclass(frozen=True)
class Facts:
    """One run and the model it made.

    Attributes
    ----------
    model
        The model's name in the registry.
    version
        Under which it is, or will be, published; None for one that is not.
    sha256
        Of model.pkl.
    created
        When it was trained; with a zone. Nothing else in report and card depends on the time.
    data
        What data it was trained on, in a few words: "MIMIC-IV demo 2.2", "synthetic hospital, seed 7".
    sources
        Table → `rows`, and `sha256` of a file, as `MimicTables.fingerprint` returns.
    dropped
        Values that do not count: feature, reason, how many.
    metadata
        Of the model file, as `screening.training.learning.artifact.model_content` makes it.
    gate
        `rules`: one mapping a rule with `rule`, `verdict` (`passed`, `refused`, `waived`, `not asked`) and `words`;
        `promoted`: whether the model may become champion; `reasons`: sentences that say why, or why not.
    """

    model: str
    version: str | None
    sha256: str
    created: datetime
    data: str
    sources: Mapping[str, Mapping[str, Any]]
    dropped: Sequence[tuple[str, str, int]]
    metadata: Mapping[str, Any]
    gate: Mapping[str, Any]

    @property
    def named(self) -> str:
        """Name and version, as a heading has them."""
        return f"{self.model} {self.version}" if self.version else f"{self.model}, not published"


def as_json(content: Any, what: str) -> str:
    """Return JSON for people to read.

    Raises
    ------
    FatalError
        It holds NaN, infinity or something that JSON does not know.
    """
    try:
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise FatalError(f"{what}: cannot be written as JSON: {error}: an undefined figure must be null") from None
