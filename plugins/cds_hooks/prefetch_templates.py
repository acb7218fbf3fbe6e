"""Which data the EHR is asked to send along, made from the schema: a key for the Patient, and one a feature, named like it.

A template uses only what CDS Hooks 2.0.1 allows ("Prefetch query restrictions"): a read, and searches by reference, by token
equality, by date, with `_sort` and `_count`. Of the context only `{{context.patientId}}` is used, and only the codes of the
schema are asked for.
"""

import math
from datetime import timedelta
from functools import lru_cache
from urllib.parse import quote

from screening.errors import SchemaError
from screening.queries import DATE_PARAM, MARGIN, escaped
from screening.schema import Feature, Schema

PATIENT = "patient"
_OF_THE_PATIENT = "patient={{context.patientId}}"
_PER_HOUR = 3
"""None of the 100 patients of MIMIC-IV's demo, in intensive care, has more of a vital sign: 176 in 62 hours (186 fit)."""
_STEP, _MOST = 50, 1000
_UNDATED = 100
"""Conditions of the codes asked for, or Encounters: more are seldom, and then the page says that it is not all."""


def keys(schema: Schema) -> tuple[str, ...]:
    """Return the prefetch keys of a screen, the Patient's first; a feature that is a Patient field has none of its own."""
    return (PATIENT, *(name for name, feature in schema.features.items() if feature.fhir_resource != "Patient"))


def page_size(schema: Schema, feature: Feature) -> int:
    """Return the `_count` of a feature's template: so many entries that a page seldom leaves out a value that counts.

    Not 1, although the newest value would often do: the shipped schema takes the mean of a day, and even where `last`
    counts, the newest may be entered in error, out of range or not yet available. The score must be the batch's, which reads
    all values of the window. So `_count` is three values an hour, of the window and of the margin beyond it
    (`queries.MARGIN`) by which `prefetch` tells that a cut page held the whole window; 1000 where the schema has no window,
    for then every value ever recorded counts. It only bounds: a page that was cut is noticed, and is not taken for all.
    """
    return _size_of_window(schema.lookback) if feature.fhir_resource in DATE_PARAM else _UNDATED


@lru_cache(maxsize=64)
def _size_of_window(lookback: timedelta | None) -> int:
    if lookback is None:
        return _MOST
    wanted = _PER_HOUR * ((lookback + MARGIN) / timedelta(hours=1))
    return min(_MOST, math.ceil(wanted / _STEP) * _STEP)


def templates(schema: Schema, *, today: bool = False) -> dict[str, str]:
    """Return prefetch key → template, the Patient's first and then in the schema's order.

    Parameters
    ----------
    today
        Bound the days by `{{today() - N days}}` of CDS Hooks 3.0, for an EHR that can fill it: it then sends days and not
        up to `page_size` values of all time. A client of 2.0 leaves the token as it is, and the key out.

    Raises
    ------
    SchemaError
        A feature's name stands in the way of the key `patient`, or looks like a token.
    """
    problems = [
        f"features.{name}: as a prefetch key of a CDS Hooks service it would be taken for another: rename it"
        for name, feature in schema.features.items()
        if feature.fhir_resource != "Patient" and (name.casefold() == PATIENT or "{{" in name or "}}" in name)
    ]
    if problems:
        raise SchemaError(schema.name, problems)
    found = {PATIENT: "Patient/{{context.patientId}}"}
    for key in keys(schema)[1:]:
        found[key] = _search(schema, schema.features[key], today=today)
    return found


def _search(schema: Schema, feature: Feature, *, today: bool) -> str:
    kind = feature.fhir_resource
    params = [_OF_THE_PATIENT]
    if feature.codes:
        tokens = sorted({f"{escaped(one.system)}|{escaped(one.code)}" for one in feature.codes})
        # What separates stays as it is, for people read this; all else that a URL could take amiss is encoded, { and } too.
        params.append(f"code={quote(','.join(tokens), safe=':/|,')}")
    date = DATE_PARAM.get(kind)
    if date and today and schema.lookback is not None:
        params.append(f"{date}=ge{{{{today() - {_days(schema.lookback)} days}}}}")
    if date or kind == "Encounter":
        params.append(f"_sort=-{date or 'date'}")
    return f"{kind}?{'&'.join([*params, f'_count={page_size(schema, feature)}'])}"


def _days(lookback: timedelta) -> int:
    """Return how many days ago a window and its margin began, a day more: it is not ours to know where it is today."""
    return math.ceil((lookback + MARGIN) / timedelta(days=1)) + 1
