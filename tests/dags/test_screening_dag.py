"""The screening DAG by `dag.test()`: written once whatever happens, and everybody accounted for."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.dags.conftest import NOW, Screening

from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer

AT = {"prediction_time": NOW.isoformat()}


def bare(resource: dict[str, Any]) -> str:
    """Canonical text without what the server sets."""
    return json.dumps({key: value for key, value in resource.items() if key not in ("id", "meta")}, sort_keys=True)


def test_a_run_writes_one_assessment_for_each_scored_patient(screening: Screening, hospital: list[str]) -> None:
    assert screening.run(**AT) == "success"
    summary, written = screening.summary, screening.assessments()
    scored = {line["patient_id"] for line in summary["lines"] if line["outcome"] == "scored"}
    assert {"demo-high", "demo-moderate", "demo-low"} <= scored
    assert set(written) == scored
    assert all(len(resources) == 1 for resources in written.values())
    assert sum(summary["outcomes"].values()) == summary["cohort"] == len(summary["lines"])
    levels = {line["patient_id"]: line["risk_level"] for line in summary["lines"]}
    assert (levels["demo-high"], levels["demo-moderate"], levels["demo-low"]) == ("high", "moderate", "low")
    assert not list((screening.folder / "staging").rglob("*.parquet"))  # patient data is gone at the end


def test_the_same_run_twice_changes_nothing(screening: Screening, hospital: list[str], server: SandboxServer) -> None:
    screening.run(**AT)
    first, versions = screening.assessments(), server.store.versions()
    assert screening.run(**AT) == "success"
    assert server.store.versions() == versions
    assert screening.assessments() == first
    assert list(screening.summary["writes"]) == ["unchanged"]


def test_scores_do_not_depend_on_the_batch_size(screening: Screening, hospital: list[str]) -> None:
    screening.run(**AT)
    whole = screening.summary["lines"]
    assert screening.run(**AT, batch_size=1) == "success"
    for one, other in zip(whole, screening.summary["lines"], strict=True):
        assert one | {"write": ""} == other | {"write": ""}


def test_a_run_whose_patients_the_server_does_not_know_is_no_success(screening: Screening, hospital: list[str]) -> None:
    assert screening.run(**AT, patient_ids=["nobody", "demo-hihg"]) == "failed"
    assert screening.summary["outcomes"]["not_found"] == 2
    assert screening.run(**AT, patient_ids=["nobody", "demo-high"]) == "success"  # one is known: the other is named
    assert screening.summary["outcomes"] | {"scored": 1, "not_found": 1} == screening.summary["outcomes"]


def test_a_dry_run_writes_nothing(screening: Screening, hospital: list[str], server: SandboxServer) -> None:
    versions = server.store.versions()
    assert screening.run(**AT, dry_run=True) == "success"
    assert server.store.versions() == versions
    assert screening.summary["writes"] == {"dry_run": screening.summary["outcomes"]["scored"]}


def test_a_manual_run_without_a_time_screens_as_of_run_after(screening: Screening, hospital: list[str]) -> None:
    assert screening.run() == "success"
    assert screening.summary["prediction_time"] == NOW.isoformat()


def test_a_dated_run_ignores_later_values_and_repeats_to_the_byte(
    screening: Screening, hospital: list[str], server: SandboxServer
) -> None:
    """F9, F16: a backfill of a past day sees that day."""
    day = NOW - timedelta(days=1)
    screening.run(prediction_time=day.isoformat())
    first = {who: [bare(one) for one in found] for who, found in screening.assessments().items()}
    late = {
        "resourceType": "Observation", "id": "late", "status": "final", "subject": {"reference": "Patient/demo-low"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": (day + timedelta(hours=1)).isoformat(),
        "valueQuantity": {"value": 190, "system": "http://unitsofmeasure.org", "code": "/min"},
    }  # fmt: skip
    known_late = late | {
        "id": "known-late", "effectiveDateTime": (day - timedelta(hours=1)).isoformat(), "issued": NOW.isoformat(),
    }  # fmt: skip
    server.load([late, known_late])
    versions = server.store.versions()
    screening.run(prediction_time=day.isoformat())
    assert server.store.versions() == versions
    assert {who: [bare(one) for one in found] for who, found in screening.assessments().items()} == first


def test_data_that_changed_since_amends_the_one_assessment(
    screening: Screening, hospital: list[str], server: SandboxServer
) -> None:
    screening.run(**AT)
    server.load([{
        "resourceType": "Observation", "id": "more", "status": "final", "subject": {"reference": "Patient/demo-low"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": (NOW - timedelta(hours=1)).isoformat(),
        "valueQuantity": {"value": 120, "system": "http://unitsofmeasure.org", "code": "/min"},
    }])  # fmt: skip
    screening.run(**AT)
    assert screening.summary["writes"]["amended"] == 1
    (only,) = screening.assessments()["demo-low"]
    assert only["status"] == "amended"
    screening.run(**AT)
    assert list(screening.summary["writes"]) == ["unchanged"]


def test_an_answer_lost_after_the_write_is_not_written_twice(
    screening: Screening, hospital: list[str], server: SandboxServer
) -> None:
    """F16: the server stored the batch of RiskAssessments, and its answer never came."""
    server.faults = Faults(rules=(Rule(Match(method="POST", path_regex="^/?$"), action="drop", times=3, commit=True),))
    assert screening.run(**AT) == "success"
    assert server.stats.to_json()["faults"]  # it did strike
    assert all(len(found) == 1 for found in screening.assessments().values())
    assert len(screening.assessments()) == screening.summary["outcomes"]["scored"]


@pytest.fixture
def troubled(server: SandboxServer, hospital: list[str]) -> dict[str, str]:
    """One patient that is unknown, one deleted, one whose Patient is read as something else; the others are well."""
    import requests

    deleted, garbage = hospital[5], hospital[6]
    assert requests.delete(f"{server.base_url}/Patient/{deleted}", timeout=10).ok
    server.load(
        [{"resourceType": "Patient", "id": garbage, "modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}]
    )
    return {"no-such-patient": "not_found", deleted: "failed", garbage: "failed"}


def test_three_in_trouble_cost_nobody_else_and_are_named(
    screening: Screening, hospital: list[str], troubled: dict[str, str]
) -> None:
    """F19, F23: the others are written; the three are named with reasons; the counts add up to the cohort."""
    ids = [*hospital, "no-such-patient"]
    assert screening.run(**AT, patient_ids=ids, max_failed_fraction=0.5) == "success"
    summary = screening.summary
    named = {line["patient_id"]: line for line in summary["lines"]}
    assert {who: named[who]["outcome"] for who in troubled} == troubled
    assert all(named[who]["detail"] for who in troubled)
    assert sum(summary["outcomes"].values()) == summary["cohort"] == len(ids)
    assert summary["outcomes"]["scored"] == len(screening.assessments())
    assert set(troubled) & set(screening.assessments()) == set()
    assert all(who in (screening.reports / "summary.md").read_text() for who in troubled)


def test_more_failures_than_tolerated_fail_the_run_after_the_others_are_written(
    screening: Screening, hospital: list[str], troubled: dict[str, str]
) -> None:
    assert screening.run(**AT, patient_ids=hospital, max_failed_fraction=0.05) == "failed"
    assert screening.summary["outcomes"]["failed"] == 2
    assert len(screening.assessments()) == screening.summary["outcomes"]["scored"] > 0


def test_nothing_that_airflow_stored_holds_phi(
    screening: Screening, hospital: list[str], server: SandboxServer, airflow_home: Any, capfd: Any
) -> None:
    """Marker names, identifiers and values, in a run with trouble, are nowhere in database, logs, output and reports."""
    birth, value = "1931-07-19", 151.625
    server.load([
        {"resourceType": "Patient", "id": "marked", "birthDate": birth, "gender": "male",
         "name": [{"family": "Markerfamily", "given": ["Markergiven"]}],
         "identifier": [{"system": "urn:mrn", "value": "MRN-MARKER-77"}]},
        *({"resourceType": "Observation", "id": f"marked-{n}", "status": status, "subject": {"reference": "Patient/marked"},
           "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": "Markertext"},
           "effectiveDateTime": (NOW - timedelta(hours=n + 1)).isoformat(),
           "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": unit}}
          for n, (code, unit, status) in enumerate(
              [("8867-4", "/min", "final"), ("8310-5", "Cel", "final"), ("9279-1", "/min", "final"), ("2160-0", "x", "")])),
    ])  # fmt: skip
    server.faults = Faults(rules=(Rule(Match(method="POST", path_regex="^/?$"), action="truncate", times=1),))
    screening.run(**AT, patient_ids=["marked", "demo-high"], max_failed_fraction=1)
    assert server.stats.to_json()["faults"]  # it did strike
    markers = [b"Markerfamily", b"Markergiven", b"MRN-MARKER-77", birth.encode(), b"Markertext", b"151.625"]
    stored = [path for folder in (airflow_home, screening.folder) for path in folder.rglob("*") if path.is_file()]
    assert len(stored) > 5
    told = "".join(capfd.readouterr())
    assert "batch.write" in told  # what the tasks log is in it
    found = [(path.name, marker) for path in stored for marker in markers if marker in path.read_bytes()]
    found += [("output", marker) for marker in markers if marker in told.encode()]
    assert found == []
