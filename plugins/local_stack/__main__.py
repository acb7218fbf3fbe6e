"""`python -m local_stack demo|up|cds|airflow …`."""

import argparse
import fcntl
import os
import signal
import sys
from pathlib import Path

from local_stack.demo import demo
from local_stack.environment import ROOT
from local_stack.sidecar import cds
from local_stack.stack import interrupted
from local_stack.up import airflow, up


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def main() -> int:
    """Run one of the commands; one demo or up at a time in a folder, and one cds."""
    parser = argparse.ArgumentParser(prog="python -m local_stack", description=__doc__)
    parser.add_argument("command", choices=("demo", "up", "cds", "airflow"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of airflow: what its own command line takes")
    parser.add_argument("--home", type=Path, default=ROOT / "var", help="folder that holds everything (default: var)")
    arguments = parser.parse_args()
    home: Path = arguments.home.resolve()
    if arguments.command == "airflow":
        return airflow(home, arguments.arguments)
    if arguments.arguments:
        parser.error(f"{arguments.command} takes no arguments")
    home.mkdir(parents=True, exist_ok=True)
    run = {"demo": demo, "up": up, "cds": cds}[arguments.command]
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    signal.signal(signal.SIGINT, interrupted)  # a shell starts its background jobs with it ignored
    with (home / (".cds-lock" if run is cds else ".lock")).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another one is running in this folder: stop it first")
            return 2
        os.set_inheritable(lock.fileno(), False)
        try:
            return run(home, say)
        except KeyboardInterrupt:
            say("stopped")
            return 130
        except RuntimeError as error:
            say(f"failed: {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
