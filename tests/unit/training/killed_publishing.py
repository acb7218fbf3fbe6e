"""A process that publishes a model and is killed with SIGKILL, again and again, each time one step later."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib

from screening.model.registry import champion
from screening.training.publish import publish

LAST = 200  # far more steps than there are: the test asks whether one went through to its end


def main(folder: Path) -> None:
    """Publish into a copy of `folder/before` for every step; print how each process ended: 0, or minus the signal."""
    champion(folder / "before", "sepsis")  # imports what a model needs, so that each of the processes need not
    arguments = joblib.load(folder / "arguments")
    for step in range(LAST):
        models = folder / f"killed-{step:03d}"
        shutil.copytree(folder / "before", models)
        child = os.fork()
        if child == 0:
            _die_at(step, str(models))
            publish(models, *arguments)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{models.name} {ended}\n")
        if ended != -signal.SIGKILL:
            return


def _die_at(step: int, within: str) -> None:
    """Kill this process before it touches a path within a folder for the so many-th time, or waits for the disk."""
    left = step

    def touched() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir") and str(arguments[0]).startswith(within):
            touched()

    def waited(real: Callable[[int], None]) -> Callable[[int], None]:
        def waiting(handle: int) -> None:
            touched()
            real(handle)

        return waiting

    os.fsync = waited(os.fsync)
    sys.addaudithook(audited)
