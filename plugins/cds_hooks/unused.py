"""What was charted of late and could not be used: a low score beside it is not to look like "all clear".

A lactate of ">15", in a unit that nobody knows or charted by a clock that is ahead of ours leaves the score as if there were
none. On a card that is told beside the input; with a low risk there is no card to tell it, unless it is known here.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from screening.features import PredictionTime, featurize
from screening.queries import DATE_PARAM
from screening.readers.fhir import FhirReader
from screening.readers.fhir_fields import Dropped, effective, when
from screening.results.cards.dropped import not_usable
from screening.schema import Schema
from screening.times import micros

AHEAD = timedelta(minutes=5)
"""As far as a clock by which values are charted may be ahead of ours. What is of later yet is none of a chart opened now: it
is known where records of the past are looked at as of a moment within them.
"""


def unused(
    contents: Sequence[Any],
    schema: Schema,
    patient_id: str,
    at: datetime,
    *,
    observed: Collection[str],
    bases: tuple[str, ...],
    zone: tzinfo | None,
    latest: bool,
) -> frozenset[str]:
    """Return the features of which something of the window, or later by a clock's error, was found and did not count.

    Parameters
    ----------
    contents
        As they were read.
    at
        The prediction time.
    observed
        Features with a value that counts: see `dropped.not_usable`.
    bases, zone, latest
        As they were read and scored.
    """
    reader = FhirReader(schema, [patient_id], bases, zone)
    first = None if schema.lookback is None else micros(at - schema.lookback)
    last = micros(at + AHEAD)
    for content in contents:
        reader.add(_of_late(content, first, last, zone))
    t: PredictionTime = "latest" if latest else at
    matrix = featurize(reader.reading(), schema, t, patient_ids=[patient_id], zone=zone)
    return not_usable(matrix.drops, patient_id, observed)


def _of_late(content: Any, first: int | None, last: int, zone: tzinfo | None) -> Any:
    """Return the content, in the same wrapping, without what was surely measured before, or is of later."""
    if isinstance(content, list):
        return [one for one in content if _is_of_late(one, first, last, zone)]
    if isinstance(content, dict) and isinstance(content.get("entry"), list):
        kept = [entry for entry in content["entry"] if _is_of_late(entry.get("resource"), first, last, zone)]
        return {**content, "entry": kept}
    return content if _is_of_late(content, first, last, zone) else []


def _is_of_late(resource: Any, first: int | None, last: int, zone: tzinfo | None) -> bool:
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind not in DATE_PARAM:
        return True
    try:
        ordered = kind == "MedicationRequest"
        time = when(resource.get("authoredOn"), None, zone) if ordered else effective(resource, zone)
    except Dropped:
        return True
    # An unknown availability is before every time.
    return (first is None or time.end > first) and time.start <= last and time.available <= last
