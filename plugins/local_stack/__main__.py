"""`python -m local_stack demo|up`."""

import argparse
import fcntl
import os
import signal
import sys
from pathlib import Path

from local_stack.demo import demo
from local_stack.environment import ROOT
from local_stack.stack import interrupted
from local_stack.up import up


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def main() -> int:
    """Run one of the two commands; one at a time in a folder."""
    parser = argparse.ArgumentParser(prog="python -m local_stack", description=__doc__)
    parser.add_argument("command", choices=("demo", "up"))
    parser.add_argument("--home", type=Path, default=ROOT / "var", help="folder that holds everything (default: var)")
    arguments = parser.parse_args()
    home: Path = arguments.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    with (home / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another demo or up is running in this folder: stop it first")
            return 2
        os.set_inheritable(lock.fileno(), False)
        try:
            return {"demo": demo, "up": up}[arguments.command](home, say)
        except KeyboardInterrupt:
            say("stopped")
            return 130
        except RuntimeError as error:
            say(f"failed: {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
