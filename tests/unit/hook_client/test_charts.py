"""Which files are charts, and what the invented patients' charts hold."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.charts import ROOT
from tests.unit.hook_client.conftest import prefetch

from screening.errors import DataFileError
from screening.features import featurize
from screening.hook_client.charts import from_files, invented
from screening.model.registry import champion
from screening.outcome import RiskLevel
from screening.readers.fhir import read
from screening.schema import load_schema
from screening.scoring import score

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


def test_a_folder_gives_its_prefetch_files_in_the_order_of_their_names(folder: Path) -> None:
    (folder / "high-1.prefetch.json").write_text(json.dumps(prefetch("ours")))
    found = from_files(folder)
    assert [one.name for one in found] == [
        "high-1.prefetch.json", "high_risk_patient.json", "low_risk_patient.json", "moderate_risk_patient.json",
    ]  # fmt: skip
    assert [one.patient_id for one in found] == ["ours", "high", "low", "moderate"]


def test_one_file_is_enough_and_a_pattern_chooses(folder: Path) -> None:
    assert [one.patient_id for one in from_files(folder / "low_risk_patient.json")] == ["low"]
    assert [one.patient_id for one in from_files(folder, ["high_*_patient.json"])] == ["high"]


def test_a_saved_request_is_a_chart_again(tmp_path: Path) -> None:
    file = tmp_path / "a.request.json"
    file.write_text(json.dumps({"hook": "patient-view", "prefetch": prefetch("a")}))
    (chart,) = from_files(file)
    assert (chart.patient_id, chart.prefetch) == ("a", prefetch("a"))


@pytest.mark.parametrize("content", [
    {"resourceType": "Bundle", "type": "transaction"},
    {"patient": None},
    {"patient": {"resourceType": "Patient"}},
    {"patient": {"resourceType": "Patient", "id": "../x"}},
    {"patient": {"resourceType": "Practitioner", "id": "a"}},
    [prefetch("a")],
    {"hook": "patient-view"},
])  # fmt: skip
def test_a_file_without_a_patient_stops_the_run(folder: Path, content: object) -> None:
    (folder / "none_patient.json").write_text(json.dumps(content))
    with pytest.raises(DataFileError, match=r"none_patient.json: is no prefetch file.*under `patient`"):
        from_files(folder)


def test_a_folder_without_such_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"no file named like \*_patient.json or \*.prefetch.json"):
        from_files(tmp_path)


def test_the_content_of_a_chart_is_in_no_repr(folder: Path) -> None:
    assert "Markerfamily" not in repr(from_files(folder))


def test_the_invented_patients_are_one_of_each_level() -> None:
    schema = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")
    charts = invented(schema, NOW)
    model = champion(ROOT / "include" / "models", "sepsis")
    results = [score(featurize(read([chart.prefetch], schema), schema, NOW), schema, model)[0] for chart in charts]
    assert [one.risk_level for one in results] == [RiskLevel.HIGH, RiskLevel.MODERATE, RiskLevel.LOW]
    assert [one.patient_id for one in results] == [chart.patient_id for chart in charts]
    assert not any(one.imputed for one in results)
