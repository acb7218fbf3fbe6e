"""Children are stopped to the last one, however impatient the person is."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from local_stack.processes import Processes, of_sessions

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
)


def started(folder: Path) -> tuple[Processes, int]:
    """Start a child that does not hear SIGTERM; return once it does not."""
    processes = Processes(folder)
    processes.start("child", [sys.executable, "-c", STUBBORN], dict(os.environ))
    while not (folder / "child.log").read_text():
        processes.check()
        time.sleep(0.02)
    return processes, processes.started[0][1].pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_while_stopping_leaves_no_orphan(tmp_path: Path, number: signal.Signals) -> None:
    def interrupted(*_: object) -> None:
        raise RuntimeError("disturbed")

    before = signal.signal(number, interrupted)
    processes, pid = started(tmp_path)
    again = threading.Timer(0.3, os.kill, (os.getpid(), number))
    again.start()
    try:
        processes.stop(patience=1)
        assert of_sessions({pid}) == []
        assert signal.getsignal(number) is interrupted
    finally:
        again.join()
        signal.signal(number, before)
        for left in of_sessions({pid}):
            left.kill()


def test_a_child_that_ended_by_itself_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("child", [sys.executable, "-c", "raise SystemExit('no such thing')"], dict(os.environ))
    processes.started[0][1].wait(30)
    with pytest.raises(RuntimeError, match=r"child ended with 1; its log ends:\nno such thing"):
        processes.check()
    processes.stop()
