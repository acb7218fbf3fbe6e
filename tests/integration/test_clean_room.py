"""The sidecar starts in an environment of requirements-cds.txt alone: without Airflow, and with nothing missing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from local_stack.environment import free_port

ROOT = Path(__file__).resolve().parents[2]
CDS, ALL = ROOT / "requirements-cds.txt", ROOT / "requirements.txt"


def ranges(path: Path) -> dict[str, str]:
    """Name → the whole line."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {re.split(r"[<>=]", line)[0]: line for line in lines}


def test_the_sidecar_s_ranges_are_those_of_the_whole() -> None:
    whole, sidecar = ranges(ALL), ranges(CDS)
    assert sidecar.items() <= whole.items()
    assert not {name for name in sidecar if "airflow" in name}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment made of the sidecar's requirements, in the tested versions."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv makes the environment, and is not beside this interpreter: make setup")
    made = tmp_path_factory.mktemp("clean") / "venv"
    python = made / "bin" / "python"
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(made)],
        ["pip", "install", "--quiet", "--python", str(python), "-r", str(CDS), "-c", str(ROOT / "requirements.lock")],
    ):
        done = subprocess.run([str(uv), *command], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
    return python


def test_it_starts_answers_and_stops_without_airflow(python: Path, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "plugins"), "CDS_AUTH": "off",
        "CDS_BIND": f"127.0.0.1:{port}", "CDS_STATE": str(tmp_path / "state"),
    }  # fmt: skip
    absent = subprocess.run([str(python), "-c", "import airflow"], capture_output=True, check=False, timeout=60)
    assert b"ModuleNotFoundError" in absent.stderr
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(python), "-m", "cds_hooks"], cwd=tmp_path, env=environment, stdout=file, stderr=file
        )
    try:
        end = time.monotonic() + 180
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            try:
                with urllib.request.urlopen(f"{base}/health", timeout=5) as answer:
                    assert json.load(answer)["status"] == "ready"
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        with urllib.request.urlopen(f"{base}/cds-services", timeout=5) as answer:
            assert [one["id"] for one in json.load(answer)["services"]] == ["sepsis-risk"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
