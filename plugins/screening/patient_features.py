"""What a Patient resource itself gives: age and sex as features, and who is not scored whatever the data."""

from collections.abc import Iterable, Sequence
from datetime import date, tzinfo

import numpy as np

from screening.columns import NOT_A_TIME, Floats, Ints
from screening.outcome import Outcome
from screening.patient_records import PatientRecord
from screening.schema import Schema
from screening.times import moment

GENDER = {"male": 1.0, "m": 1.0, "female": 0.0, "f": 0.0}
"""The tutorial's `encode_gender`: M=1, F=0; every other gender is missing, never a third number."""
OLDEST = 130
"""Nobody has lived so long: such a birth date stands for none (0001-01-01, 1800-01-01), or the time does."""
NAN = float("nan")


def patient_features(
    matrix: Floats, schema: Schema, patients: Sequence[PatientRecord | None], t: Ints, zone: tzinfo
) -> dict[tuple[int, int], str]:
    """Fill the Patient columns in place; return (row, column) → note for what needs a remark."""
    notes: dict[tuple[int, int], str] = {}
    for column, feature in enumerate(schema.features.values()):
        if feature.transform == "encode_gender":
            matrix[:, column] = [GENDER.get(one.gender, NAN) if one else NAN for one in patients]
        elif feature.transform == "calculate_age":
            found = ages((one.birth_date if one else "" for one in patients), t, zone)
            matrix[:, column] = found
            for row, (one, age) in enumerate(zip(patients, found.tolist(), strict=True)):
                if one and one.birth_precision in ("month", "year") and age == age:
                    notes[(row, column)] = f"age from a birth date of {one.birth_precision} precision"
    return notes


def ages(birth_dates: Iterable[str], t: Ints, zone: tzinfo) -> Floats:
    """Return completed years at t, float64 (n,).

    NaN without a t, and for a birth date that is missing, to come or beyond `OLDEST`.

    Parameters
    ----------
    birth_dates
        ISO dates, "" where missing.
    t
        int64 (n,): UTC microseconds, or `NOT_A_TIME`.
    zone
        Where it is "today".
    """
    days: dict[int, date | None] = {}  # a batch is scored at one moment, and a zone is slow to ask
    found = []
    for birth_date, now in zip(birth_dates, t.tolist(), strict=True):
        if now not in days:
            days[now] = _day(now, zone)
        found.append(_age(birth_date, days[now]))
    return np.array(found, dtype="float64")


def _day(t: int, zone: tzinfo) -> date | None:
    """Return the local day of a moment; None for none, and for one that no calendar holds."""
    if t == NOT_A_TIME:
        return None
    try:
        return moment(t).astimezone(zone).date()
    except OverflowError:
        return None


def _age(birth_date: str, day: date | None) -> float:
    born = _date(birth_date)
    if born is None or day is None:
        return NAN
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return float(years) if 0 <= years <= OLDEST else NAN


def _date(text: str) -> date | None:
    if len(text) != len("YYYY-MM-DD") or text[4] != "-" or text[7] != "-":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def standing(patients: Sequence[PatientRecord | None], t: Ints) -> tuple[list[str], list[str]]:
    """Settle who is not scored whatever the data: unknown, unreadable, merged or dead before the prediction time.

    Returns
    -------
    (standing, reason)
        The `Outcome` settled before any score and why; "" and "" for who may be scored.
    """
    found = [_standing(one, now) for one, now in zip(patients, t.tolist(), strict=True)]
    return [outcome for outcome, _ in found], [reason for _, reason in found]


def _standing(one: PatientRecord | None, t: int) -> tuple[str, str]:
    if one is None:
        return Outcome.NOT_FOUND.value, "no Patient resource of this id"
    if one.problem:
        return Outcome.FAILED.value, one.problem
    if one.merged:
        return Outcome.EXCLUDED.value, "merged into another Patient"
    if one.deceased and (one.deceased_time == NOT_A_TIME or one.deceased_time <= t):
        return Outcome.EXCLUDED.value, "deceased before the prediction time"
    return "", ""
