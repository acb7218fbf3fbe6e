"""Measure the CDS Hooks sidecar beside HealthChain 0.15.0's service: the same charts, machine and run, taking turns.

    .venv/bin/python bench/sidecar_latency.py --data FOLDER --peer-python VENV/bin/python [--services ours ours-jwt peer]

FOLDER holds the tutorial's `*_patient.json`, `sepsis_model.pkl` and `sepsis_vitals.yaml`. The peer's environment is made
with `pip install healthchain==0.15.0 scikit-learn joblib`. Ours runs as `python -m cds_hooks` with two workers and
OMP_NUM_THREADS=1: once without JWT, once with (ES384, a fresh token each call, signed before the clock starts). All services
are up the whole time, one is under load at a time. Every answer under load must be what the first call answered.
"""

import argparse
import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from urllib.request import urlopen

import psutil
from hook_load import Call, Result, ask, call, load

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "plugins"))

from screening.hook_client.key_files import make_keys  # noqa: E402 - ours, from the path above
from screening.hook_client.tokens import Tokens, signing_key  # noqa: E402

ISS = "https://ehr.example.org"
PATHS = {
    "ours": "/cds-services/sepsis-risk",
    "ours-jwt": "/cds-services/sepsis-risk",
    "peer": "/cds/cds-services/sepsis-risk",
}
READY = {"ours": "/health", "ours-jwt": "/health", "peer": "/cds/cds-discovery"}


@dataclass
class Service:
    """One running service, and what was measured of it."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    calls: list[Call]
    tokens: Tokens | None = None
    first_ms: float = 0.0
    results: list[Result] = field(default_factory=list)

    def headers(self, count: int) -> Iterator[bytes]:
        """Return header lines: tokens signed now, or none."""
        if self.tokens is None:
            return repeat(b"")
        audience = f"http://127.0.0.1:{self.port}{PATHS[self.name]}"
        return signed([f"Authorization: Bearer {self.tokens.token(audience)}\r\n".encode() for _ in range(count)])

    def memory(self) -> list[float]:
        """Return the resident MB of each process that answers: the workers, or the one process there is."""
        whole = psutil.Process(self.process.pid)
        return [one.memory_info().rss / 1e6 for one in whole.children() or [whole]]


def signed(lines: list[bytes]) -> Iterator[bytes]:
    """Yield what was signed before the clock started, each once."""
    yield from lines
    raise SystemExit("the service was faster than tokens were signed for: give more of them (--tokens)")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def start(name: str, chosen: argparse.Namespace, folder: Path) -> Service:
    """Start a service, wait until it says that it is ready, and make its first calls."""
    port, tokens = free_port(), None
    environment = {key: text for key, text in os.environ.items() if not key.startswith("CDS_")}
    if name == "peer":
        command = [str(chosen.peer_python), str(ROOT / "bench" / "peer_sidecar.py"), str(chosen.data), str(port)]
    else:
        command = [sys.executable, "-m", "cds_hooks"]
        environment |= {
            "PYTHONPATH": str(ROOT / "plugins"), "OMP_NUM_THREADS": "1", "CDS_BIND": f"127.0.0.1:{port}",
            "CDS_STATE": str(folder / name), "CDS_WORKERS": str(chosen.workers), "CDS_PREDICTION_TIME": "latest",
            "CDS_AUTH": "off", "CDS_SCHEMAS": str(ROOT / "include" / "schemas" / "sepsis.yaml"),
        }  # fmt: skip
        if name == "ours-jwt":
            keys = make_keys(folder / "keys")
            (folder / "keys" / "ehrs.yaml").write_text(f"ehrs:\n  - iss: {ISS}\n    jwks: {keys.public.name}\n")
            tokens = Tokens(signing_key(keys.private), ISS, lifetime=3000)
            environment |= {"CDS_AUTH": "required", "CDS_EHRS": str(folder / "keys" / "ehrs.yaml")}
    log = (folder / f"{name}.log").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    calls = [call(PATHS[name], json.loads(file.read_bytes())) for file in sorted(chosen.data.glob("*_patient.json"))]
    service = Service(name, port, process, calls, tokens)
    began = time.monotonic()
    while not ready(f"http://127.0.0.1:{port}{READY[name]}"):
        if process.poll() is not None or time.monotonic() - began > 120:
            raise SystemExit(f"{name} does not start: {(folder / f'{name}.log').read_text()[-3000:]}")
        time.sleep(0.05)
    first_calls(service)
    return service


def ready(url: str) -> bool:
    """Tell whether the service answers."""
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - our own, on this machine
            return bool(answer.status == 200)
    except OSError:
        return False


def first_calls(service: Service) -> None:
    """Time the very first call, and hold what each chart is answered, for the load to compare with."""
    headers = service.headers(len(service.calls))
    for place, one in enumerate(service.calls):
        answer, seconds = ask(service.port, one, next(headers))
        assert answer.startswith(b"HTTP/1.1 200"), answer[:2000]
        if place == 0:
            service.first_ms = seconds * 1000
        found = re.search(rb'"summary": ?"[^"]*"', answer) or re.search(rb'"cards": ?\[\]', answer)
        assert found, answer[:2000]
        service.calls[place] = Call(one.head, one.body, found[0])


def report(services: list[Service]) -> None:
    """Print what was measured, and the ratios."""
    rates = {}
    for service in services:
        rates[service.name] = statistics.median(one.per_second for one in service.results)
        print(
            f"{service.name:<9} {rates[service.name]:8.1f}/s  "
            f"p50 {statistics.median(one.percentile(0.5) for one in service.results):7.1f} ms  "
            f"p99 {statistics.median(one.percentile(0.99) for one in service.results):7.1f} ms  "
            f"(worst round {max(one.percentile(0.99) for one in service.results):.1f})  "
            f"first call {service.first_ms:.0f} ms  RSS {', '.join(f'{mb:.0f}' for mb in service.memory())} MB  "
            f"answers {[one.expected.decode() for one in service.calls]}"
        )
    if "peer" in rates:
        for name in rates.keys() - {"peer"}:
            print(f"{name} / peer: {rates[name] / rates['peer']:.1f}")


def main() -> None:
    """Measure."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--peer-python", type=Path)
    asked.add_argument("--services", nargs="+", choices=tuple(PATHS), default=list(PATHS))
    asked.add_argument("--clients", type=int, default=8)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--seconds", type=float, default=10.0)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--tokens", type=int, default=2500, help="tokens to sign for each second of load")
    chosen = asked.parse_args()
    if "peer" in chosen.services and not chosen.peer_python:
        asked.error("--peer-python is needed to measure the peer")
    services: list[Service] = []
    with tempfile.TemporaryDirectory(prefix=f"sidecar-{secrets.token_hex(4)}-") as folder:
        try:
            for name in chosen.services:
                services.append(start(name, chosen, Path(folder)))  # noqa: PERF401 - those before must be stopped too
            for turn in range(1, chosen.rounds + 1):
                for service in services:
                    headers = service.headers(int(chosen.tokens * chosen.seconds))
                    result = load(
                        service.port, service.calls, clients=chosen.clients, seconds=chosen.seconds, tokens=headers
                    )
                    service.results.append(result)
                    print(f"round {turn}  {service.name:<9} {result.line()}", flush=True)
            report(services)
        finally:
            for service in services:
                service.process.terminate()
            for service in services:
                service.process.wait(30)


if __name__ == "__main__":
    main()
