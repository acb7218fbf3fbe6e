"""Shares and how sure they are."""

import math
from dataclasses import dataclass

FEW = 20
"""Below so many answers a share is called one of few: its 95 % interval is some 40 points wide."""
_Z = 1.959963984540054  # the normal distribution's 97.5th percentile


@dataclass(frozen=True, slots=True)
class Share:
    """Some of a number, and Wilson's 95 % interval of the share, 0 to 1 (E. B. Wilson, JASA 22, 1927).

    The interval is right for independent answers. Answers of one clinician, or on one patient, are less than that: the truth
    is less sure than it says.
    """

    count: int
    of: int
    share: float
    low: float
    high: float


def share(count: int, of: int) -> Share | None:
    """Return a share with its interval; None of nothing.

    Raises
    ------
    ValueError
        Unless 0 <= count <= of.
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    if of == 0:
        return None
    found, spread = count / of, _Z * _Z / of
    middle = found + spread / 2
    half = _Z * math.sqrt(found * (1 - found) / of + spread / (4 * of))
    # At the ends the interval closes exactly; floating point alone would miss it by a hair.
    low = 0.0 if count == 0 else max(0.0, (middle - half) / (1 + spread))
    high = 1.0 if count == of else min(1.0, (middle + half) / (1 + spread))
    return Share(count, of, found, low, high)
