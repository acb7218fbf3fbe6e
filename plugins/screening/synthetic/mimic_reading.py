"""An event as MIMIC holds it: the one source of both MIMIC styles, so that their dirt is the same."""

from typing import NamedTuple

from screening.synthetic.dirt import DirtKind
from screening.synthetic.people import Event
from screening.synthetic.terms import MIMIC_ITEMS, TERMS

_COMMENTS = {
    "cancelled": "SPECIMEN CANCELLED, HEMOLYZED.",
    "entered-in-error": "ENTERED IN ERROR.",
    "corrected": "CORRECTED RESULT.",
}
"""Status → comment. kind-lab's conversion looks for the words error, corrected and cancel, in this order."""


class MimicReading(NamedTuple):
    """One row of chartevents or labevents, as far as the value goes.

    Attributes
    ----------
    value
        As text: `98.7`, `<0.5` or `12 (H)`.
    number
        The number in the text; it is `valuenum` only where `is_numeric`.
    uom
        Unit of measure, "" where it is missing.
    status, comments
        The FHIR status of MIMIC style, and the comment that tells it in labevents ("" for `final`).
    """

    itemid: int
    label: str
    value: str
    number: float
    is_numeric: bool
    comparator: str
    uom: str
    status: str
    comments: str


def mimic_reading(event: Event) -> MimicReading:
    """Return an event as MIMIC holds it; in the canonical unit where MIMIC has no item for the charted one."""
    item = MIMIC_ITEMS.get((event.feature, event.unit))
    number = event.charted
    if item is None:
        item, number = MIMIC_ITEMS[(event.feature, TERMS[event.feature].unit)], event.value
    comparator = "<" if DirtKind.COMPARATOR in event.dirt else ""
    is_string = DirtKind.STRING_VALUE in event.dirt
    text = number_text(number)
    uom = "" if DirtKind.NO_UNIT in event.dirt else item.uom
    status = event.status if event.is_lab and event.status in _COMMENTS else "final"
    return MimicReading(
        itemid=item.itemid,
        label=item.label,
        value=flagged_text(text) if is_string else comparator + text,
        number=number,
        is_numeric=not is_string and not comparator,
        comparator=comparator,
        uom=uom,
        status=status,
        comments=_COMMENTS.get(status, ""),
    )


def number_text(number: float) -> str:
    """Return the shortest text that reads back as the same float, without `.0`."""
    return f"{int(number)}" if number == int(number) else repr(float(number))


def flagged_text(text: str) -> str:
    """Return a number as a laboratory's free text."""
    return f"{text} (H)"
