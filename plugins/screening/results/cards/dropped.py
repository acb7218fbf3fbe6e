"""What was found and did not count, in words for a card: where a value cannot be used, "no value" must not stand."""

from collections import Counter
from collections.abc import Collection, Mapping

from screening.observations import Drop

WORDS = {
    "status": "cancelled, entered in error or not final",
    "no_time": "without a time",
    "bad_time": "with a time that cannot be read",
    "time_without_zone": "with a time without a zone",
    "no_value": "without a value",
    "not_a_quantity": "not a number",
    "comparator": "a bound such as <5, and no value",
    "no_unit": "without a unit",
    "unknown_unit": "in an unknown unit",
    "unit_contradiction": "with two units that contradict each other",
    "incompatible_unit": "in a unit that cannot be converted",
    "out_of_range": "outside the possible range",
    "modifier_extension": "with an extension that may change the meaning",
    "no_subject": "of nobody: no subject",
    "foreign_subject": "of another patient",
    "foreign_focus": "about somebody or something else",
    "no_id": "a Patient without an id",
    "not_a_resource": "no FHIR resource",
    "conflicting_versions": "in two versions that contradict each other",
    "medication_by_reference": "a medication by reference",
    "after_prediction_time": "of a later time, or of a day that is not over",
    "not_yet_available": "issued later",
    "lone_value": "the only one, and a change needs two",
}
"""By the reason of the drop, as docs/observations.md tells them."""
DAILY = frozenset({"before_window", "duplicate", "ended", "not_active"})
"""Reasons that need no word: what is too old is told as stale, what is twice counts once, and what is over is over."""
UNREADABLE = frozenset({
    "no_time", "bad_time", "time_without_zone", "not_a_quantity", "comparator", "no_unit", "unknown_unit",
    "unit_contradiction", "incompatible_unit", "conflicting_versions", "modifier_extension", "medication_by_reference",
    "after_prediction_time", "not_yet_available",
})  # fmt: skip
"""Reasons by which a value of the patient's does not count that may well tell of the patient's state."""
UNLIKELY = frozenset({"out_of_range", "foreign_subject", "no_subject"})
"""Reasons that seldom tell of it, and matter where there is nothing else: a unit or a patient may be named amiss."""
HALF = "a value of a day without a time, which lies in the window only in part"
ANY = "Data"
"""What a remark stands beside that concerns no one feature."""


def dropped(drops: Mapping[Drop, int], patient_id: str, half_within: Collection[str] = ()) -> dict[str, str]:
    """Say for each feature what of a patient's data did not count; what belongs to nobody is told, too.

    Parameters
    ----------
    half_within
        See `window.Outside`.

    Returns
    -------
    dict
        Feature, or `ANY`, → words; empty where all counted.
    """
    found: dict[str, Counter[str]] = {}
    for (who, feature, reason), count in drops.items():
        if who in (patient_id, "") and reason not in DAILY:
            found.setdefault(feature or ANY, Counter())[reason] += count
    return {
        feature: _told(found.get(feature, Counter()), half=feature in half_within)
        for feature in [*found, *(name for name in sorted(half_within) if name not in found)]
    }


def not_usable(drops: Mapping[Drop, int], patient_id: str, observed: Collection[str]) -> frozenset[str]:
    """Return the features of which something was found that may tell of the patient's state and could not be used.

    Parameters
    ----------
    observed
        Features of which a value counts.
    """
    return frozenset(
        feature
        for who, feature, reason in drops
        if who in (patient_id, "") and (reason in UNREADABLE or (reason in UNLIKELY and feature not in observed))
    )


def _told(reasons: Counter[str], *, half: bool) -> str:
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    parts = [f"{count} {WORDS.get(reason, reason.replace('_', ' '))}" for reason, count in ordered]
    parts += [HALF] if half else []
    return f"not used: {', '.join(parts)}"
