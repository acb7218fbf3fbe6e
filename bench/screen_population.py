"""Screen a synthetic population of any size through a real Airflow and measure it.

    .venv/bin/python bench/screen_population.py --patients 5000 --batch-size 250
    .venv/bin/python bench/screen_population.py --files ../shared/data/mimic-iv-fhir-demo --batch-size 25

Prints wall time of the run, CPU seconds of all processes of Airflow and of the sandbox apart, and the peak of the memory of
Airflow's processes together (PSS: pages shared by forked processes count once).
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

from fhir_sandbox.store import Store
from local_stack.demo import DAG_ID, read_summary
from local_stack.environment import Ports
from local_stack.processes import of_sessions
from local_stack.stack import LocalStack
from screening.data_files import contents
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.seeding import seed
from screening.synthetic import Hospital

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Meter(threading.Thread):
    """Samples memory and CPU of sessions twice a second; CPU of a process that ended is kept as last seen."""

    def __init__(self, sessions: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self.sessions, self.peak, self.cpu, self.over = sessions, 0, {}, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            total = 0
            for name, session in self.sessions.items():
                for process in of_sessions({session}):
                    try:
                        times = process.cpu_times()
                        self.cpu[(name, process.pid)] = times.user + times.system
                        if name != "fhir-sandbox":
                            total += process.memory_full_info().pss
                    except (psutil.NoSuchProcess, psutil.AccessDenied):
                        continue
            self.peak = max(self.peak, total)

    def seconds(self, *, sandbox: bool) -> float:
        return sum(value for (name, _), value in self.cpu.items() if (name == "fhir-sandbox") == sandbox)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument(
        "--files", type=Path, help="FHIR files to load instead; then each patient's latest values count"
    )
    parser.add_argument("--keep", type=Path, help="where to copy the run's summary.md")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder), Ports(), scheduled=False, say=print) as stack,
    ):
        began = time.monotonic()
        if chosen.files:
            with closing(Store(Path(folder) / "fhir.db")) as store:
                resources = store.load(contents([chosen.files]), stack.fhir_base_url)
        stack.start_sandbox()
        if not chosen.files:
            with FhirClient(ClientSettings(base_url=stack.fhir_base_url)) as client:
                resources = seed(client, Hospital(size=chosen.patients, seed=7, now=NOW))
        print(f"{resources} resources loaded in {time.monotonic() - began:.0f} s", flush=True)
        stack.migrate()
        stack.start_airflow(triggerer=False)
        stack.api.wait_for_dag(DAG_ID, stack.processes.check)
        meter = Meter({name: process.pid for name, process in stack.processes.started})
        meter.start()
        time.sleep(1)
        idle = dict(meter.cpu)
        at = "latest" if chosen.files else NOW.isoformat()
        conf = {"prediction_time": at, "batch_size": chosen.batch_size, "cohort": "Patient?_sort=_id"}
        run_id = stack.api.trigger(DAG_ID, conf)
        state = stack.api.wait_for_run(DAG_ID, run_id, stack.processes.check, print, patience=3600)
        time.sleep(1)
        meter.over.set()
        summary = read_summary(Path(folder), run_id) or {}
        if chosen.keep:
            (report,) = (Path(folder) / "reports" / DAG_ID).glob("*/summary.md")
            chosen.keep.write_text(report.read_text())
        spent = {kind: meter.seconds(sandbox=kind) - sum(v for (n, _), v in idle.items() if (n == "fhir-sandbox") == kind)
                 for kind in (False, True)}  # fmt: skip
        print(json.dumps({
            "state": state, "patients": summary.get("cohort"), "outcomes": summary.get("outcomes"),
            "writes": summary.get("writes"), "requests": summary.get("requests"),
            "wall_s": round(summary.get("seconds", 0), 1),
            "airflow_cpu_s": round(spent[False], 1), "sandbox_cpu_s": round(spent[True], 1),
            "airflow_peak_pss_mb": round(meter.peak / 1e6),
        }, indent=1))  # fmt: skip
    return 0 if state == "success" else 1


if __name__ == "__main__":
    sys.exit(main())
