"""Child processes, each in its own group, stopped by pid; what is left of them is found and killed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

MARK = "SCREENING_STACK"
"""An environment variable by which every process of one stack is found, whatever group it has moved to."""


class Processes:
    """Starts processes with a log file each and stops them all."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Start a process; what it prints goes to `<logs>/<name>.log`."""
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment | {MARK: self.mark}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._started.append((name, process))

    def check(self) -> None:
        """Raise where one of them has ended by itself."""
        for name, process in self._started:
            if process.poll() is not None:
                tail = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
                raise RuntimeError(f"{name} ended with {process.returncode}; its log ends:\n" + "\n".join(tail))

    def stop(self, patience: float = 20.0) -> None:
        """Ask all to end, the last started first, and kill what has not ended in time."""
        for _, process in reversed(self._started):
            _signal(process.pid, signal.SIGTERM)
        end = time.monotonic() + patience
        for _, process in reversed(self._started):
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process.pid, signal.SIGKILL)
                process.wait()
        for left in self.left():
            left.kill()
        psutil.wait_procs(self.left(), timeout=5)
        self._started.clear()

    def left(self) -> list[psutil.Process]:
        """Return the processes of this stack that are still there."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
