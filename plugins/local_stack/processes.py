"""Child processes, each in its own group, stopped by pid; what is left of them is found and killed."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


class Processes:
    """Starts processes with a log file each and stops them all."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.started: list[tuple[str, subprocess.Popen[bytes]]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Start a process; what it prints goes to `<logs>/<name>.log`."""
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.started.append((name, process))

    def check(self) -> None:
        """Raise where one of them has ended by itself."""
        for name, process in self.started:
            if process.poll() is not None:
                tail = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
                raise RuntimeError(f"{name} ended with {process.returncode}; its log ends:\n" + "\n".join(tail))

    def stop(self, patience: float = 20.0) -> None:
        """Ask all to end, the last started first, and kill what has not ended in time.

        A second Ctrl-C meanwhile does not cut it short.
        A worker that its scheduler has lost (it is then a child of process 1) is still of the session that was made for
        the scheduler: by that it is found. Its environment would not do, since a process title overwrites it.
        """
        with _undisturbed():
            self._stop(patience)

    def _stop(self, patience: float) -> None:
        for _, process in reversed(self.started):
            _signal(process.pid, signal.SIGTERM)
        end = time.monotonic() + patience
        for _, process in reversed(self.started):
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process.pid, signal.SIGKILL)
                process.wait()
        sessions = {process.pid for _, process in self.started}
        for left in of_sessions(sessions):
            left.kill()
        psutil.wait_procs(of_sessions(sessions), timeout=5)
        self.started.clear()


def of_sessions(sessions: set[int]) -> list[psutil.Process]:
    """Return the living processes of these sessions."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave signals that ask to end unheard meanwhile: whoever stops halfway leaves orphans."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
