"""Requests as an EHR sends them, for the tests of the sidecar."""

from typing import Any

HOOKS = ("patient-view", "encounter-start")
TOKEN = "some-opaque-access-token"

Json = dict[str, Any]


def authorization(**more: Any) -> Json:
    """Make a `fhirAuthorization`; a member given as None is left out."""
    whole = {
        "access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "subject": "cds-service",
        "scope": "patient/Patient.read patient/Observation.read", "patient": "p",
    } | more  # fmt: skip
    return {key: value for key, value in whole.items() if value is not None}


def hook_request(prefetch: Json | None = None, *, context: Json | None = None, **more: Any) -> Json:
    """Make a request about patient `p`; a member given as None is left out."""
    whole = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/dr-1", "patientId": "p"} | (context or {}),
        "prefetch": prefetch,
    } | more
    return {key: value for key, value in whole.items() if value is not None}


def granted(**more: Any) -> Json:
    """Make a request with access to the EHR's FHIR server; `more` goes into its `fhirAuthorization`."""
    return hook_request(fhirServer="https://ehr.example.org/fhir", fhirAuthorization=authorization(**more))
