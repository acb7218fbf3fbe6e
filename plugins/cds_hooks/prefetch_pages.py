"""Whether one page of a search holds all that can count.

An EHR may send a page where there is more, cut at its own size or at the template's `_count`. Newest first, that page still
holds all that counts if it reaches back beyond the window; whoever cannot be sure of that has a part.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from cds_hooks.prefetch_values import Json, Value
from screening.queries import DATE_PARAM, MARGIN
from screening.readers.fhir_fields import Dropped, effective, when
from screening.schema import Schema
from screening.times import micros

_TELLING = 8
"""Of so many times in descending order, one in 40,000 stands so by chance: the EHR has heeded `_sort`."""


def is_cut(value: Value, size: int) -> bool:
    """Tell whether there is, or may be, more: a next page, a count of more, or as many as the template lets through."""
    return value.link is not None or value.short or len(value.matches) >= size


def window_begins(schema: Schema, prediction_time: datetime | None) -> int | None:
    """Return the UTC microsecond before which nothing counts, by the margin of `queries` for days without a zone.

    None where everything counts, or where the prediction time is not known before the data are (mode `latest`).
    """
    if prediction_time is None or schema.lookback is None:
        return None
    try:
        return micros(prediction_time - schema.lookback - MARGIN)
    except OverflowError:  # before the year 1: nothing is
        return None


def holds_window(matches: Sequence[Json], kind: str, begins: int | None) -> bool:
    """Tell whether a cut page holds the whole window all the same.

    Every entry must be of the type asked for, at an instant with a zone (a day, a period or a local time can be sorted in
    more than one way), newest first, in enough different instants to believe in the order, and the last before the window.
    """
    if begins is None or kind not in DATE_PARAM:
        return False
    moments = [_instant(one, kind) for one in matches]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments) or len(set(known)) < _TELLING:
        return False
    return all(newer >= older for newer, older in pairwise(known)) and known[-1] <= begins


def _instant(resource: Json, kind: str) -> int | None:
    if resource.get("resourceType") != kind or "effectivePeriod" in resource:
        return None
    try:
        ordered = kind == "MedicationRequest"
        time = when(resource.get("authoredOn"), None, None) if ordered else effective(resource, None)
    except Dropped:
        return None
    return time.end if time.start == time.end else None
