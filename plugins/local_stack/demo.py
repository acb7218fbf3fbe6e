"""`make demo`: a population screened through a real Airflow, and the result printed."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from local_stack.environment import ROOT, Ports
from local_stack.hospital import ensure_hospital
from local_stack.stack import LocalStack

DAG_ID = "screening_sepsis"
NAMED = ("demo-high", "demo-moderate", "demo-low")
NAMES = {"scored": "screened", "insufficient_data": "insufficient data", "not_found": "not found"}


def demo(home: Path, say: Callable[[str], None]) -> int:
    """Run the demo; return the exit status."""
    began = time.monotonic()
    with LocalStack(home, Ports(), scheduled=False, say=say) as stack:
        say("starting the FHIR sandbox")
        stack.start_sandbox()
        hospital = ensure_hospital(stack.fhir_base_url, home / "hospital.json", datetime.now(UTC), say)
        there = "already there" if hospital.already_there else "loaded"
        say(
            f"synthetic hospital of {hospital.patients} patients {there}, its present is {hospital.now:%Y-%m-%d %H:%M} UTC"
        )
        before = resource_versions(stack.fhir_base_url)
        say("starting Airflow (database, API server, DAG processor, scheduler)")
        stack.migrate()
        stack.start_airflow(triggerer=False)
        stack.api.wait_for_dag(DAG_ID, stack.processes.check)
        run_id = stack.api.trigger(DAG_ID, {"prediction_time": hospital.now.isoformat()})
        say(f"run {run_id} of DAG {DAG_ID}")
        state = stack.api.wait_for_run(DAG_ID, run_id, stack.processes.check, changed(say))
        summary = read_summary(home, run_id)
        after = resource_versions(stack.fhir_base_url)
    if summary is None:
        say(f"the run ended as {state} without a summary; its logs are in {shown(home / 'airflow' / 'logs')}")
        return 1
    report(summary, say)
    written = after - before
    say(f"on the server: {written} resources or versions written" if written else "nothing changed on the server")
    say(f"whole demo {time.monotonic() - began:.0f} s; `make up` shows it in the Airflow UI")
    say("Research software, not a medical device; the model and the patients are synthetic.")
    return 0 if state == "success" else 1


def changed(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return a progress callback that says a line only when it is a new one."""
    last = ""

    def progress(text: str) -> None:
        nonlocal last
        if text and text != last:
            last = text
            say(f"  {text}")

    return progress


def resource_versions(base_url: str) -> int:
    """Return how many versions of resources the sandbox has ever stored."""
    stats = requests.get(f"{base_url.removesuffix('/fhir')}/_sandbox/stats", timeout=30).json()
    return int(stats["versions"])


def read_summary(home: Path, run_id: str) -> dict[str, Any] | None:
    """Return the run's summary, or None where it did not come so far."""
    for path in (home / "reports" / DAG_ID).glob("*/summary.json"):
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["run"] == run_id:
            return found
    return None


def report(summary: dict[str, Any], say: Callable[[str], None]) -> None:
    """Say the named patients, then the population."""
    by_id = {line["patient_id"]: line for line in summary["lines"]}
    say("")
    for name in NAMED:
        say(sentence(by_id[name]))
    say("")
    counts, cohort = summary["outcomes"], summary["cohort"]
    say(f"{cohort} patients: " + ", ".join(f"{count} {NAMES.get(key, key)}" for key, count in counts.items()))
    say("  risk: " + ", ".join(f"{count} {level}" for level, count in reversed(summary["risk_levels"].items())))
    if summary["missing"]:
        say("  missing where insufficient: " + pairs(summary["missing"]))
    if summary["imputed"]:
        say("  imputed: " + pairs(summary["imputed"]))
    say(f"  RiskAssessments: {pairs(summary['writes'])}")
    say(f"  {summary['seconds']:.0f} s, {summary['requests']} requests to the server")


def sentence(line: dict[str, Any]) -> str:
    """Return `Patient/…: HIGH (85%) → RiskAssessment/…`, or what became of the patient instead."""
    if line["risk_level"] is None:
        return (
            f"Patient/{line['patient_id']}: {NAMES.get(line['outcome'], line['outcome'])} ({', '.join(line['detail'])})"
        )
    return (
        f"Patient/{line['patient_id']}: {line['risk_level'].upper()} ({line['probability']:.0%}) → {line['resource']}"
    )


def pairs(counts: dict[str, int]) -> str:
    """Return `lactate 12, wbc 3`."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def shown(path: Path) -> str:
    """Return a path as a person in the project's folder would write it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
