"""`make up`: everything to look at, until Ctrl-C."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from local_stack.environment import DOCUMENTED, airflow_environment
from local_stack.hospital import ensure_hospital
from local_stack.sidecar import how_to_call
from local_stack.stack import LocalStack


def up(home: Path, say: Callable[[str], None]) -> int:
    """Start all on the documented ports and stay until interrupted; return the exit status."""
    with LocalStack(home, DOCUMENTED, scheduled=True, say=say) as stack:
        stack.start_sandbox()
        hospital = ensure_hospital(stack.fhir_base_url, home / "hospital.json", datetime.now(UTC), say)
        say("starting the CDS Hooks sidecar and Airflow")
        stack.start_sidecar()
        stack.migrate()
        stack.start_airflow(triggerer=True)
        stack.wait_for_sidecar()
        say(f"Airflow       {stack.airflow_url} (no login; this machine only)")
        say(f"FHIR sandbox  {stack.fhir_base_url}")
        say(f"CDS Hooks     {stack.cds_url}/cds-services, called by: {how_to_call(stack.cds_url)}")
        say(f"The hospital's present is {hospital.now.isoformat()}: trigger screening_sepsis as of that time.")
        say("Ctrl-C stops everything.")
        try:
            while True:
                stack.processes.check()
                time.sleep(1)
        except KeyboardInterrupt:
            say("stopping")
    return 0


def airflow(home: Path, arguments: list[str]) -> int:
    """Run Airflow's own command line against what `make up` runs, such as `backfill create`; return its exit status."""
    fhir_base_url = f"http://127.0.0.1:{DOCUMENTED.fhir}/fhir"
    environment = airflow_environment(home / "airflow", DOCUMENTED, fhir_base_url, scheduled=True)
    command = [str(Path(sys.executable).parent / "airflow"), *arguments]
    return subprocess.run(command, env=environment, check=False).returncode
