"""Who a RiskAssessment is: an identifier that is a function of the question asked, so that asking twice writes once."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

from screening.errors import ResultError

IDENTIFIER_SYSTEM = "urn:airflow-risk-screening:risk-assessment"
MODEL_SYSTEM = "urn:airflow-risk-screening:model"
SCHEMA_SYSTEM = "urn:airflow-risk-screening:schema"
_NAMESPACE = UUID("6f1f7a3e-9a3c-5d0b-8f57-2c1d3b9a4e10")


def identifier(
    schema_name: str,
    schema_version: str,
    model_version: str,
    model_sha256: str,
    patient_id: str,
    prediction_time: datetime,
) -> str:
    """Return the identifier's value: a uuid of what is asked of whom, as of when, by which model (RA-01).

    Equal arguments give equal values whatever zone the prediction time is written in.

    Raises
    ------
    ResultError
        For a prediction time without a zone.
    """
    if prediction_time.tzinfo is None:
        raise ResultError("a RiskAssessment's prediction time has no zone: a defect of the caller")
    at = prediction_time.astimezone(UTC).isoformat()
    parts = (schema_name, schema_version, model_version, model_sha256, patient_id, at)
    return str(uuid5(_NAMESPACE, "\x1f".join(parts)))


def search_by_identifier(resource: dict[str, Any]) -> str:
    """Return the search that finds a resource of ours: `identifier=SYSTEM|VALUE`, percent-encoded."""
    own = next(item for item in resource["identifier"] if item["system"] == IDENTIFIER_SYSTEM)
    token = f"{own['system']}|{own['value']}"
    return f"identifier={quote(token, safe='')}"
