"""The foreign client in its own environment, our sidecar as a process of its own, and charts for both."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.charts import ROOT

from screening.hook_client.charts import invented
from screening.schema import load_schema

PYTHON = ROOT / ".venv" / "healthchain" / "bin" / "python"
SCHEMA = ROOT / "include" / "schemas" / "sepsis.yaml"

Exchange = dict[str, dict[str, Any]]
Send = Callable[[str, Path, str], Exchange]


@pytest.fixture
def send(tmp_path: Path) -> Send:
    """Return a function that sends a folder's files with SandboxClient: URL, folder, pattern → exchange by patient id."""
    if not PYTHON.exists():
        why = "HealthChain's client is not here: `make foreign` makes its environment"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)

    def sent(url: str, folder: Path, pattern: str) -> Exchange:
        out = tmp_path / "sent"
        command = [PYTHON, ROOT / "tests" / "foreign" / "sandbox_client.py", url, folder, pattern, out]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
        assert run.returncode == 0, run.stderr
        exchange: Exchange = json.loads((out / "exchange.json").read_text())
        assert len(list((out / "requests").iterdir())) == len(list((out / "responses").iterdir())) == len(exchange)
        return exchange

    return sent


@pytest.fixture
def invented_files(tmp_path: Path) -> Path:
    """Write prefetch files of the invented patients of high, moderate and low risk, named as the tutorial names its own."""
    folder = tmp_path / "invented"
    folder.mkdir()
    for chart in invented(load_schema(SCHEMA), datetime(2026, 3, 1, 2, tzinfo=UTC)):
        (folder / f"{chart.name}_patient.json").write_text(json.dumps(chart.prefetch))
    return folder


@contextmanager
def running(state: Path, settings: dict[str, str]) -> Iterator[str]:
    """Run the sidecar as SandboxClient needs it: no JWT, and patients and users that are made up; give the service's URL."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environment = {key: text for key, text in os.environ.items() if not key.startswith("CDS_")} | {
        "PYTHONPATH": str(ROOT / "plugins"), "OMP_NUM_THREADS": "1", "CDS_BIND": f"127.0.0.1:{port}",
        "CDS_STATE": str(state), "CDS_WORKERS": "1", "CDS_AUTH": "off", "CDS_PREDICTION_TIME": "latest",
        "CDS_REQUIRE_PATIENT_MATCH": "false", "CDS_CLINICIANS_ONLY": "false", "CDS_SCHEMAS": str(SCHEMA),
    } | settings  # fmt: skip
    log = state.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "cds_hooks"], env=environment, stdout=file, stderr=file)
    try:
        yield f"http://127.0.0.1:{port}/cds-services/{_service(process, port, log)}"
    finally:
        process.terminate()
        assert process.wait(30) == 0, log.read_text()


def _service(process: subprocess.Popen[bytes], port: int, log: Path) -> str:
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        try:
            (service,) = requests.get(f"http://127.0.0.1:{port}/cds-services", timeout=5).json()["services"]
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return str(service["id"])
    pytest.fail(f"the sidecar does not start: {log.read_text()}")


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a function that starts the sidecar, with further CDS_… settings, and gives its service's URL."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(tmp_path / "state", settings))
