"""The strict stub service, and prefetch files of three invented patients."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.hook_client.stub import StubService

LEVELS = ("high", "moderate", "low")


def prefetch(patient_id: str) -> dict[str, Any]:
    """Return a prefetch with a key that the service asks for, and one that is not its business."""
    subject = {"reference": f"Patient/{patient_id}"}
    heart_rate = {
        "resourceType": "Observation", "id": f"{patient_id}-hr", "status": "final", "subject": subject,
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "2026-03-10T11:00:00+00:00", "valueQuantity": {"value": 113, "unit": "/min"},
    }  # fmt: skip
    found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": heart_rate}]}
    patient = {
        "resourceType": "Patient",
        "id": patient_id,
        "name": [{"family": "Markerfamily"}],
        "birthDate": "1950-01-01",
    }
    return {"patient": patient, "heart_rate": found, "notes": {"resourceType": "Bundle", "type": "searchset"}}


@pytest.fixture
def stub() -> Iterator[StubService]:
    """Run the stub without authentication."""
    with StubService() as service:
        yield service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the three patients' files, named as the tutorial names them, beside files that are none."""
    made = tmp_path / "patients"
    made.mkdir()
    for level in LEVELS:
        (made / f"{level}_risk_patient.json").write_text(json.dumps(prefetch(level)))
    (made / "high_risk_bundle.json").write_text(json.dumps({"resourceType": "Bundle", "type": "transaction"}))
    (made / "schema.yaml").write_text("name: sepsis")
    return made
