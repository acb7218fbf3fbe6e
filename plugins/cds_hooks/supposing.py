"""Might a patient without enough data have had enough, had the keys been there that could not be obtained?

If so the call lacks what it needs, which is a 412; if not, what was obtained is too little whatever else there is, and the
chart should show that. The library itself answers, of the data with a value supposed for each such key: no second opinion
on what a score needs can then come to differ from the first.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta, tzinfo

from cds_hooks.absences import without_invented_zeros
from screening.columns import NOT_A_TIME
from screening.features import featurize
from screening.model.bundle import ModelBundle
from screening.observations import Observations, Reading, Row
from screening.outcome import Outcome
from screening.schema import PRESENCE, Feature, Schema
from screening.scoring import score
from screening.times import micros


def could_be_scored(
    reading: Reading,
    schema: Schema,
    bundle: ModelBundle,
    patient_id: str,
    unobtained: Collection[str],
    lacking: Collection[str],
    at: datetime,
    *,
    unknown: Collection[str] = (),
    latest: bool = False,
    zone: tzinfo | None = None,
) -> bool:
    """Tell whether a patient could be scored if there were a value for each key that was not obtained.

    Parameters
    ----------
    reading
        What was obtained.
    lacking
        Features that keep the patient from being scored, as the result names them.
    at
        The prediction time; in mode `latest` that of the data, or any moment where they have none.
    unknown
        All keys of which it is not known whether there is more, those that were sent unreadable among them.
    latest, zone
        As the patient was scored.
    """
    if schema.missing == "insufficient" and any(
        schema.features[name].required for name in lacking if name not in unobtained
    ):
        return False  # whatever is supposed for the others; most charts that lack data end here
    supposed = [
        row for key in unobtained if key in schema.features for row in _rows(schema.features[key], patient_id, at)
    ]
    whole = Reading(Observations.of_rows([*reading.values.rows(), *supposed]), reading.records)
    matrix = featurize(whole, schema, "latest" if latest else at, patient_ids=[patient_id], zone=zone)
    matrix = without_invented_zeros(matrix, schema, unknown)
    return score(matrix, schema, bundle)[0].outcome is Outcome.SCORED


def _rows(feature: Feature, patient_id: str, at: datetime) -> Iterator[Row]:
    """Yield what makes a feature observed: two values, for a change is between two."""
    for moment in (at - timedelta(microseconds=1), at):
        t = micros(moment)
        yield patient_id, feature.name, t, t, NOT_A_TIME, _value(feature), feature.unit or "", "", ""


def _value(feature: Feature) -> float:
    if feature.fhir_resource == "Encounter":
        return float("nan")  # a stay that is not over
    if feature.fhir_resource in PRESENCE or feature.range is None:
        return 1.0
    return sum(feature.range) / 2
