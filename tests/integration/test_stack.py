"""A real Airflow: API server, scheduler, LocalExecutor; screening scheduled, by hand and backfilled, and a training run."""

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml

from local_stack.environment import ROOT, Ports
from local_stack.processes import of_sessions
from local_stack.stack import LocalStack
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.registry import champion
from screening.seeding import seed
from screening.synthetic import Hospital, write_mimic_csv

DAG_ID, TRAINING = "screening_sepsis", "training_sepsis"
pytestmark = pytest.mark.stack


def last_tick() -> datetime:
    """The end of the last whole data interval of `0 2 * * *`."""
    now = datetime.now(UTC)
    today = now.replace(hour=2, minute=0, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


MARKERS = (b"Markerfamily", b"MRN-MARKER-77", b"1931-07-19", b"Markertext", b"151.625")


def marked(tick: datetime) -> dict[str, Any]:
    """A patient in hospital whose name, identifier, birth date and values would be known anywhere."""
    codes = (("8867-4", "/min"), ("9279-1", "/min"), ("6690-2", "10*3/uL"), ("2160-0", "mg/dL"))
    subject = {"reference": "Patient/marked"}
    resources: list[dict[str, Any]] = [
        {
            "resourceType": "Patient", "id": "marked", "birthDate": "1931-07-19", "gender": "male",
            "name": [{"family": "Markerfamily"}], "identifier": [{"system": "urn:mrn", "value": "MRN-MARKER-77"}],
        },
        {
            "resourceType": "Encounter", "id": "marked", "status": "in-progress", "subject": subject,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "period": {"start": (tick - timedelta(days=5)).isoformat()},
        },
        *(
            {
                "resourceType": "Observation", "id": f"marked-{code}", "status": "final", "subject": subject,
                "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": "Markertext"},
                "effectiveDateTime": (tick - timedelta(hours=1)).isoformat(),
                "valueQuantity": {"value": 151.625, "system": "http://unitsofmeasure.org", "code": unit},
            }
            for code, unit in codes
        ),
    ]  # fmt: skip
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


IDS = {"subject_id": "91827364", "hadm_id": "81726354", "stay_id": "71625344"}


def write_marked_mimic(folder: Path) -> None:
    """Write MIMIC's tables of a hospital with one stay whose numbers, and a heart rate, would be known anywhere."""
    write_mimic_csv(Hospital(size=500, seed=5, now=datetime(2026, 1, 1, tzinfo=UTC)), folder)
    header, first = (folder / "icu" / "icustays.csv").read_text().splitlines()[:2]
    known = dict(zip(header.split(","), first.split(","), strict=True))
    marks = {known[name]: mark for name, mark in IDS.items()}
    numbers = re.compile(rf"\b({'|'.join(marks)})\b")
    for path in folder.rglob("*.csv"):
        path.write_text(numbers.sub(lambda found: marks[found[1]], path.read_text()))
    path = folder / "icu" / "chartevents.csv"
    names, *rows = (line.split(",") for line in path.read_text().splitlines())
    (rate, *_) = (row for row in rows if IDS["stay_id"] in row and "220045" in row)
    rate[names.index("value")] = rate[names.index("valuenum")] = "151.625"
    path.write_text("".join(",".join(row) + "\n" for row in (names, *rows)))


def choose_training(stack: LocalStack) -> None:
    """Give the stack a registry of its own, and a plan that is quick and easily pleased."""
    models, plans = stack.home / "models", stack.home / "plans"
    shutil.copytree(ROOT / "include" / "models", models)
    plan = yaml.safe_load((ROOT / "include" / "training" / "sepsis.yaml").read_text())
    gate = {
        "min_positives": 5, "calibration_slope": [0.1, 9.0], "max_calibration_intercept": 5.0, "max_ece": 0.9,
        "max_auroc": 1.0, "max_auprc_loss": 1.0, "max_f1_loss": 1.0, "max_subgroup_loss": 1.0, "max_latency_ms": 10_000.0,
    }  # fmt: skip
    plan |= {"folds": 2, "bootstrap": 100, "candidates": {"logistic_regression": {}}, "gate": gate}
    plans.mkdir()
    (plans / "sepsis.yaml").write_text(yaml.safe_dump(plan))
    stack.environment |= {"SCREENING_MODELS": str(models), "SCREENING_PLANS": str(plans)}


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def tick() -> datetime:
    """When the scheduled run screens as of; the hospital's present."""
    return last_tick()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, tick: datetime) -> Iterator[LocalStack]:
    """Everything running, with a small hospital; and nothing running afterwards."""
    home: Path = tmp_path_factory.mktemp("stack")
    with LocalStack(home, Ports(), scheduled=True, say=quiet) as running:
        choose_training(running)
        running.start_sandbox()
        with FhirClient(ClientSettings(base_url=running.fhir_base_url)) as client:
            seed(client, Hospital(size=12, seed=5, now=tick), named=True)
            client.transact(marked(tick))
        running.migrate()
        running.start_airflow(triggerer=False)
        running.api.wait_for_dag(DAG_ID, running.processes.check)
        sessions = {process.pid for _, process in running.processes.started}
        yield running
    assert of_sessions(sessions) == []
    assert not [
        one for one in psutil.Process(os.getpid()).children(recursive=True) if "airflow" in " ".join(one.cmdline())
    ]


def runs(stack: LocalStack, kind: str) -> list[dict[str, Any]]:
    """The runs of one type."""
    found = stack.api.call("GET", f"dags/{DAG_ID}/dagRuns", limit=100)["dag_runs"]
    return [run for run in found if run["run_type"] == kind]


def ended(stack: LocalStack, kind: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many runs of a type have ended."""
    end = time.monotonic() + 300
    while True:
        stack.processes.check()
        done = [run for run in runs(stack, kind) if run["state"] in ("success", "failed")]
        if len(done) >= count:
            return done
        assert time.monotonic() < end, f"{kind}: {[(run['state'], run['dag_run_id']) for run in runs(stack, kind)]}"
        time.sleep(1)


def written(stack: LocalStack) -> Counter[tuple[str, datetime]]:
    """How many RiskAssessments there are of each patient and prediction time."""
    page = requests.get(f"{stack.fhir_base_url}/RiskAssessment", params={"_count": "1000"}, timeout=30).json()
    assert all(link["relation"] != "next" for link in page["link"])
    found = [entry["resource"] for entry in page["entry"]]
    return Counter((one["subject"]["reference"], datetime.fromisoformat(one["occurrenceDateTime"])) for one in found)


def versions(stack: LocalStack) -> int:
    """How many versions the sandbox has ever stored."""
    stats = requests.get(f"{stack.fhir_base_url.removesuffix('/fhir')}/_sandbox/stats", timeout=30).json()
    return int(stats["versions"])


def test_the_scheduled_run_screens_as_of_the_end_of_its_interval(stack: LocalStack, tick: datetime) -> None:
    (run,) = ended(stack, "scheduled", 1)
    assert run["state"] == "success"
    assert datetime.fromisoformat(run["data_interval_end"]) == tick
    assert {time for _, time in written(stack)} == {tick}
    assert written(stack)[("Patient/demo-high", tick)] == 1


def test_a_manual_run_of_the_same_time_changes_nothing(stack: LocalStack, tick: datetime) -> None:
    ended(stack, "scheduled", 1)
    before = versions(stack)
    stack.api.trigger(DAG_ID, {"prediction_time": tick.isoformat()})
    (run,) = ended(stack, "manual", 1)
    assert run["state"] == "success"
    assert versions(stack) == before


def test_a_cleared_batch_runs_again_and_changes_nothing(stack: LocalStack, tick: datetime) -> None:
    (run,) = ended(stack, "scheduled", 1)
    before, run_id = versions(stack), run["dag_run_id"]
    body = {
        "dry_run": False, "dag_run_id": run_id, "task_ids": ["batch.fetch"], "include_downstream": True,
        "only_failed": False, "reset_dag_runs": True,
    }  # fmt: skip
    stack.api.call("POST", f"dags/{DAG_ID}/clearTaskInstances", json=body)
    state = stack.api.wait_for_run(DAG_ID, run_id, stack.processes.check, quiet, patience=240)
    assert state == "success"
    tasks = stack.api.call("GET", f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
    assert {task["task_id"]: task["try_number"] for task in tasks}["batch.write"] == 2
    assert versions(stack) == before


def test_a_backfill_screens_each_past_day_as_of_that_day_and_once(stack: LocalStack, tick: datetime) -> None:
    ended(stack, "scheduled", 1)
    days = [tick - timedelta(days=2), tick - timedelta(days=1)]
    first, last = (day - timedelta(days=1) for day in days)  # dates of a backfill are the starts of its intervals
    body = {
        "dag_id": DAG_ID, "from_date": first.isoformat(), "to_date": last.isoformat(),
        "max_active_runs": 1, "reprocess_behavior": "completed", "dag_run_conf": {},
    }  # fmt: skip
    stack.api.call("POST", "backfills", json=body)
    done = ended(stack, "backfill", 2)
    assert {run["state"] for run in done} == {"success"}
    assert {time for _, time in written(stack)} == {tick, *days}
    assert set(written(stack).values()) == {1}
    before = versions(stack)
    finished = {run["dag_run_id"]: run["end_date"] for run in done}
    end = time.monotonic() + 60
    while stack.api.call("GET", "backfills", dag_id=DAG_ID)["backfills"][0]["completed_at"] is None:
        assert time.monotonic() < end
        time.sleep(1)
    stack.api.call("POST", "backfills", json=body)
    end = time.monotonic() + 240
    while any(
        finished.get(run["dag_run_id"]) == run["end_date"] or run["state"] not in ("success", "failed")
        for run in runs(stack, "backfill")
    ):
        assert time.monotonic() < end
        time.sleep(1)
    assert versions(stack) == before


def asked(stack: LocalStack, run_id: str) -> dict[str, Any]:
    """Wait until a person is asked for approval; return the question as the page Required Actions shows it."""
    end = time.monotonic() + 180
    while True:
        stack.processes.check()
        run = stack.api.call("GET", f"dags/{TRAINING}/dagRuns/{run_id}")
        found: list[dict[str, Any]] = stack.api.call("GET", f"dags/{TRAINING}/dagRuns/{run_id}/hitlDetails")[
            "hitl_details"
        ]
        if found and found[0]["task_instance"]["state"] == "awaiting_input":
            return found[0]
        assert run["state"] not in ("success", "failed"), run["state"]
        assert time.monotonic() < end
        time.sleep(0.5)


def test_a_model_that_a_person_approves_screens_the_next_run(stack: LocalStack, tick: datetime, tmp_path: Path) -> None:
    ended(stack, "scheduled", 1)
    models = stack.home / "models"
    before = champion(models, "sepsis")
    write_marked_mimic(tmp_path)
    run_id = stack.api.trigger(TRAINING, {"mimic_folder": str(tmp_path), "approval": True})
    question = asked(stack, run_id)
    assert "## The gate" in question["body"]
    assert champion(models, "sepsis").sha256 == before.sha256
    pools = stack.api.call("GET", "pools")["pools"]
    assert sum(pool["occupied_slots"] for pool in pools) == 0  # whoever waits keeps nobody from working

    time.sleep(3)  # a person reads first; an answer before the scheduler knows that the task waits is asked for again
    path = f"dags/{TRAINING}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    answer = stack.api.call("PATCH", path, json={"chosen_options": ["Approve"], "params_input": {}})
    assert stack.api.wait_for_run(TRAINING, run_id, stack.processes.check, quiet, patience=120) == "success"
    made = champion(models, "sepsis")
    assert (before.version, made.version) == ("1.0.0", "1.1.0")
    assert made.manifest["approved_by"] == answer["responded_by"]["name"]
    (event,) = stack.api.call("GET", "assets/events", source_dag_id=TRAINING)["asset_events"]
    assert event["name"] == "model_sepsis"
    assert event["extra"] == {"name": "sepsis", "version": "1.1.0", "sha256": made.sha256}

    screened = stack.api.trigger(DAG_ID, {"prediction_time": tick.isoformat(), "patient_ids": ["demo-high", "marked"]})
    assert stack.api.wait_for_run(DAG_ID, screened, stack.processes.check, quiet, patience=120) == "success"
    found = [json.loads(one.read_text()) for one in (stack.home / "reports" / DAG_ID).glob("*/summary.json")]
    (summary,) = (one for one in found if one["run"] == screened)
    assert summary["model"] == f"sepsis 1.1.0 (sha256 {made.sha256[:12]})"


def test_what_listens_is_reached_from_this_machine_alone(stack: LocalStack) -> None:
    ended(stack, "scheduled", 1)
    ours = {one.pid for one in of_sessions({process.pid for _, process in stack.processes.started})}
    found = [one.laddr for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.pid in ours]
    assert {stack.ports.fhir, stack.ports.airflow} <= {address.port for address in found}
    assert {address.ip for address in found} == {"127.0.0.1"}


def test_nothing_that_airflow_stored_holds_phi(stack: LocalStack) -> None:
    """Runs after the others: the marked patient was in each of their cohorts, and the marked stay was learned from."""
    kept = ("airflow", "reports", "logs", "models")
    stored = [path for part in kept for path in (stack.home / part).rglob("*") if path.is_file()]
    logs = [path for path in stored if path.suffix == ".log" and "task_id=batch.write" in str(path)]
    assert len(logs) >= 4
    lines = [line for path in stored if path.name == "summary.json" for line in json.loads(path.read_text())["lines"]]
    assert "marked" in {line["patient_id"] for line in lines}
    assert [path for path in stored if path.suffix == ".log" and "task_id=extract" in str(path)]
    markers = [*MARKERS, *(mark.encode() for mark in IDS.values())]
    assert [(path.name, marker) for path in stored for marker in markers if marker in path.read_bytes()] == []
    assert not list((stack.home / "staging" / TRAINING).rglob("*.*"))
