"""The DAG screens the 100 real MIMIC-on-FHIR patients, each as of the newest value."""

from pathlib import Path

from tests.dags.conftest import Screening

from fhir_sandbox.server import SandboxServer
from screening.data_files import contents


def test_a_hundred_real_patients(screening: Screening, server: SandboxServer, real_data: Path) -> None:
    folder = real_data / "mimic-iv-fhir-demo"
    names = ("MimicPatient", "MimicObservationChartevents.vitals", "MimicObservationLabevents.sepsis_labs")
    loaded = server.load(contents([folder / f"{name}.ndjson.gz" for name in names]))
    assert loaded == 93_416
    state = screening.run(prediction_time="latest", cohort="Patient?_sort=_id", batch_size=25)
    assert state == "success"
    summary = screening.summary
    assert summary["outcomes"] == {
        "scored": 25, "insufficient_data": 75, "excluded": 0, "not_found": 0, "failed": 0,
    }  # fmt: skip
    assert summary["missing"]["heart_rate"] == 75
    assert summary["writes"] == {"created": 25}
    assert sum(len(found) for found in screening.assessments().values()) == 25
