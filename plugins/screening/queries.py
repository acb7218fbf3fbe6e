"""What is asked of a FHIR server for one patient: the Patient, and searches for just the codes and days that a schema needs.

The answer may hold more than was asked; what counts is decided by the reader and the feature engine alone. So the days are
asked with a margin for dates without a zone, and a server that ignores a parameter costs time and no score.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from screening.schema import Feature, Schema

MARGIN = timedelta(hours=38)
"""A day without a zone begins up to 14 hours early and ends up to 12 hours late, and lasts 24."""
DATE_PARAM = {"Observation": "date", "MedicationRequest": "authoredon", "MedicationAdministration": "effective-time"}
"""Resource type → the search parameter of the time by which the window counts it."""
PATIENT_KEY = "patient"
"""The prefetch key of the Patient; every other key is named like its feature."""


def queries(schema: Schema, patient_id: str, prediction_time: datetime | None) -> list[str]:
    """Return the relative URLs to GET for one patient, the Patient first; the client adds its page size.

    Parameters
    ----------
    prediction_time
        None asks for all times (mode `latest`).
    """
    urls = [f"Patient/{patient_id}"]
    urls += [
        _search(kind, patient_id, features, schema.lookback, prediction_time)
        for kind in ("Observation", "Condition", "MedicationRequest", "MedicationAdministration")
        if (features := schema.of(kind))
    ]
    if schema.of("Encounter"):
        urls.append(_encounters(patient_id))
    return urls


def query_of_patient(patient_id: str) -> str:
    """Return the relative URL of a Patient."""
    return f"Patient/{patient_id}"


def query_of_key(schema: Schema, key: str, patient_id: str, prediction_time: datetime | None) -> str:
    """Return the relative URL to GET for one prefetch key: `patient`, or a feature that is no field of the Patient.

    Together the keys ask for what `queries` asks for.

    Raises
    ------
    KeyError
        The schema has no such feature.
    """
    if key == PATIENT_KEY:
        return query_of_patient(patient_id)
    feature = schema.features[key]
    if feature.fhir_resource == "Encounter":
        return _encounters(patient_id)
    return _search(feature.fhir_resource, patient_id, (feature,), schema.lookback, prediction_time)


def _encounters(patient_id: str) -> str:
    return f"Encounter?{urlencode([('patient', patient_id)])}"


def _search(
    kind: str, patient_id: str, features: tuple[Feature, ...], lookback: timedelta | None, at: datetime | None
) -> str:
    tokens = sorted({f"{escaped(c.system)}|{escaped(c.code)}" for feature in features for c in feature.codes})
    params = [("patient", patient_id), ("code", ",".join(tokens))]
    if at is not None and kind in DATE_PARAM:
        if lookback is not None:
            params.append((DATE_PARAM[kind], f"ge{_instant(at - lookback - MARGIN)}"))
        params.append((DATE_PARAM[kind], f"le{_instant(at + MARGIN)}"))
    return f"{kind}?{urlencode(params)}"


def escaped(text: str) -> str:
    """Escape what separates values in a search (https://hl7.org/fhir/R4/search.html#escaping)."""
    for sign in "\\,|$":
        text = text.replace(sign, f"\\{sign}")
    return text


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
