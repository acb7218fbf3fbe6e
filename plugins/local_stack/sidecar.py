"""`make cds`: the CDS Hooks sidecar alone, to try out; and what `make up` asks of its own."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

from local_stack.environment import DOCUMENTED, Ports, sidecar_environment

COMMAND = [sys.executable, "-m", "cds_hooks"]


def wait_until_ready(base_url: str, check: Callable[[], None], patience: float = 120.0) -> None:
    """Wait until the sidecar answers; `check` raises where it has ended.

    One whose service has no model yet answers too: a call then tells so.
    """
    end = time.monotonic() + patience
    with requests.Session() as session:
        session.trust_env = False
        while True:
            check()
            try:
                if session.get(f"{base_url}/health/live", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            if time.monotonic() > end:
                raise RuntimeError(f"the sidecar did not answer within {patience:.0f} s")
            time.sleep(0.1)


def how_to_call(base_url: str) -> str:
    """Return the line that calls the sidecar as an EHR would."""
    return f"PYTHONPATH=plugins .venv/bin/python -m screening cds-client --url {base_url}"


def cds(home: Path, say: Callable[[str], None]) -> int:
    """Run the sidecar in the foreground until interrupted; return the exit status."""
    port = Ports(cds=DOCUMENTED.cds).settled().cds
    base_url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(COMMAND, env=sidecar_environment(home / "cds", port, None), stdin=subprocess.DEVNULL)

    def check() -> None:
        if process.poll() is not None:
            raise RuntimeError(f"the sidecar ended with {process.returncode}: what it said stands above")

    try:
        wait_until_ready(base_url, check)
        say("")
        say(f"CDS Hooks     {base_url} (this machine only)")
        say(f"Discovery     {base_url}/cds-services")
        say(f"Open charts   {how_to_call(base_url)}")
        say("Ctrl-C stops it.")
        say("")
        return process.wait()
    except KeyboardInterrupt:
        say("stopping")
        return 0
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
