"""The sandbox, the sidecar and Airflow, started in the order that works and stopped without a trace."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import requests

from local_stack.airflow_api import AirflowApi
from local_stack.environment import ROOT, Ports, airflow_environment, sidecar_environment
from local_stack.processes import Processes
from local_stack.sidecar import COMMAND, wait_until_ready

POOL_SLOTS = 4


class LocalStack:
    """A FHIR sandbox, a CDS Hooks sidecar and an Airflow under one folder; a context manager.

    Attributes
    ----------
    home
        Holds the Airflow home, the sandbox's database, logs, staging and reports.
    fhir_base_url, airflow_url, cds_url
        Where they answer.
    """

    def __init__(self, home: Path, ports: Ports, *, scheduled: bool, say: Callable[[str], None]) -> None:
        self.home, self.say = home, say
        self.ports = ports.settled()
        self.fhir_base_url = f"http://127.0.0.1:{self.ports.fhir}/fhir"
        self.airflow_url = f"http://127.0.0.1:{self.ports.airflow}"
        self.cds_url = f"http://127.0.0.1:{self.ports.cds}"
        self.processes = Processes(home / "logs")
        self.environment = airflow_environment(home / "airflow", self.ports, self.fhir_base_url, scheduled=scheduled)
        self.api = AirflowApi(self.airflow_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.processes.stop()

    def start_sandbox(self, *options: str) -> None:
        """Start the FHIR sandbox on its durable database."""
        command = [
            sys.executable,
            "-m",
            "fhir_sandbox",
            "--port",
            str(self.ports.fhir),
            "--db",
            str(self.home / "fhir.db"),
        ]
        self.processes.start("fhir-sandbox", [*command, *options], self.environment)
        end = time.monotonic() + 60
        while True:
            self.processes.check()
            try:
                if requests.get(f"{self.fhir_base_url}/metadata", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            if time.monotonic() > end:
                raise RuntimeError("the FHIR sandbox did not answer within 60 s")
            time.sleep(0.1)

    def start_sidecar(self) -> None:
        """Start the sidecar, which fetches from the sandbox what is not sent; Airflow, started later, links to it."""
        environment = sidecar_environment(self.home / "cds", self.ports.cds, self.fhir_base_url)
        self.processes.start("cds-hooks", COMMAND, environment)
        self.environment["SCREENING_CDS_URL"] = self.cds_url

    def wait_for_sidecar(self) -> None:
        """Wait until the sidecar answers."""
        wait_until_ready(self.cds_url, self.processes.check)

    def migrate(self) -> None:
        """Make or mend Airflow's database."""
        log = self.home / "logs" / "migrate.log"
        with log.open("wb") as file:
            done = subprocess.run(
                [self._airflow, "db", "migrate"],
                env=self.environment,
                stdout=file,
                stderr=file,
                check=False,
                timeout=300,
            )
        if done.returncode:
            raise RuntimeError(
                f"airflow db migrate failed; see {log.relative_to(ROOT) if log.is_relative_to(ROOT) else log}"
            )

    def start_airflow(self, *, triggerer: bool) -> None:
        """Start Airflow's processes: the API server first, since a task that starts before it listens fails.

        Without their log servers, which listen on every address of the machine; the API server reads the same files.
        """
        self.processes.start("api-server", [self._airflow, "api-server"], self.environment)
        self.processes.start("dag-processor", [self._airflow, "dag-processor"], self.environment)
        self.api.wait_until_healthy(self.processes.check)
        self.api.ensure_pool("fhir", POOL_SLOTS)
        self.processes.start("scheduler", [self._airflow, "scheduler", "--skip-serve-logs"], self.environment)
        if triggerer:
            self.processes.start("triggerer", [self._airflow, "triggerer", "--skip-serve-logs"], self.environment)

    @property
    def _airflow(self) -> str:
        return str(Path(sys.executable).parent / "airflow")


def interrupted(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form of a signal handler
    """Turn a termination signal into the exception by which everything is stopped."""
    raise KeyboardInterrupt
