"""`make cds` starts the sidecar, says how to call it, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local_stack.environment import ROOT, free_port, is_free
from local_stack.sidecar import how_to_call, wait_until_ready

RUN = """
import sys
from dataclasses import replace
from pathlib import Path
from local_stack import sidecar
from local_stack.__main__ import main
sidecar.DOCUMENTED = replace(sidecar.DOCUMENTED, cds=int(sys.argv.pop(1)))
sys.exit(main())
"""


def test_it_says_where_it_listens_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT / "plugins")}
    log = tmp_path / "log"
    with log.open("w") as file:
        command = [sys.executable, "-c", RUN, str(port), "--home", str(tmp_path / "home"), "cds"]
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        end = time.monotonic() + 90
        while "Ctrl-C stops it." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        said = log.read_text()
        assert f"Discovery     http://127.0.0.1:{port}/cds-services\n" in said
        (line,) = re.findall(r"Open charts   PYTHONPATH=plugins .venv/bin/python (-m screening .+)", said)
        called = subprocess.run(
            [sys.executable, *line.split()], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert called.returncode == 0, called.stderr
        assert re.search(r"^demo-high: Sepsis Risk: HIGH \(\d\d%\)", called.stdout, re.M)
        assert "demo-low: no card (scored low)" in called.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert is_free(port)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_one_that_has_ended_is_not_waited_for() -> None:
    def check() -> None:
        raise RuntimeError("the sidecar ended with 3")

    with pytest.raises(RuntimeError, match="ended with 3"):
        wait_until_ready(f"http://127.0.0.1:{free_port()}", check)


def test_the_line_to_copy_is_one_of_the_readme_s_folder() -> None:
    assert how_to_call("http://127.0.0.1:8091").endswith("-m screening cds-client --url http://127.0.0.1:8091")
