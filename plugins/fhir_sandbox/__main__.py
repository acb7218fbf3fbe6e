"""`python -m fhir_sandbox`: serve until SIGTERM or SIGINT."""

import argparse
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fhir_sandbox.behaviour import LIKE, Behaviour
from fhir_sandbox.faults import Faults
from fhir_sandbox.server import SandboxServer
from fhir_sandbox.switches import assignment


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fhir_sandbox",
        description="A small FHIR R4 server for the demo and the tests; never for patients' records.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default 0: any free one)")
    parser.add_argument("--db", type=Path, help="SQLite file, made if absent (default: a temporary one)")
    parser.add_argument("--like", choices=sorted(LIKE), help="begin with the behaviour of a real server")
    parser.add_argument(
        "--behaviour", action="append", default=[], metavar="NAME=VALUE", help="a switch; VALUE is JSON or text"
    )
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help="a fault; VALUE is JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns
    -------
    int
        0 after a clean stop, 2 if an argument is wrong or the server cannot listen.
    """
    options = _parser().parse_args(arguments)
    try:
        behaviour = replace(
            LIKE.get(options.like, Behaviour()), **dict(assignment(Behaviour, text) for text in options.behaviour)
        )
        faults = Faults.from_json(dict(assignment(Faults, text) for text in options.fault))
        server = SandboxServer(options.db, behaviour=behaviour, faults=faults, host=options.host, port=options.port)
    except (ValueError, OSError, sqlite3.Error) as error:
        print(f"fhir_sandbox: {error}", file=sys.stderr)
        return 2
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with server:
        print(f"FHIR sandbox at {server.base_url}", flush=True)
        stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
