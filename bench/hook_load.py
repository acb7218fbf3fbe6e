"""Load on a CDS Hooks service: so many clients, each sending its next request when the last one is answered.

One thread, raw sockets, requests that were made before the clock starts: what the load itself costs is told with each
result, for it shares the machine's cores with what it measures.
"""

import json
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from uuid import uuid4

_INSTANCE = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Call:
    """One request but for what is new each time, and what a right answer to it holds."""

    head: bytes
    body: tuple[bytes, bytes]
    expected: bytes = b""

    def parts(self, token: bytes) -> list[bytes]:
        """Return the request with a token's header line (or none) and a hookInstance of its own."""
        return [self.head, token, b"\r\n", self.body[0], str(uuid4()).encode(), self.body[1]]


@dataclass
class Result:
    """What one run of load found."""

    seconds: float
    client_cpu: float
    latencies: list[float] = field(repr=False)

    @property
    def per_second(self) -> float:
        """Requests answered a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, part: float) -> float:
        """Return the latency, in ms, that this part of the requests did not exceed."""
        ranked = sorted(self.latencies)
        return ranked[min(len(ranked) - 1, int(part * len(ranked)))] * 1000

    def line(self) -> str:
        """Return the result for people."""
        return (
            f"{self.per_second:8.1f}/s  p50 {self.percentile(0.5):7.1f} ms  p99 {self.percentile(0.99):7.1f} ms  "
            f"{len(self.latencies)} answers, all right; the load took "
            f"{self.client_cpu / len(self.latencies) * 1000:.3f} CPU ms each"
        )


def call(path: str, prefetch: dict[str, object], expected: bytes = b"") -> Call:
    """Make the call of one chart."""
    patient = prefetch["patient"]
    assert isinstance(patient, dict)
    request = {
        "hook": "patient-view",
        "hookInstance": _INSTANCE,
        "context": {"userId": "Practitioner/load", "patientId": patient["id"]},
        "prefetch": prefetch,
    }
    body = json.dumps(request, separators=(",", ":")).encode()
    before, after = body.split(_INSTANCE.encode())
    lines = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return Call(lines.encode(), (before, after), expected)


class Connection:
    """One client's keep-alive connection; it is made anew where the server closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.received = b""
        self.renewed = True

    def send(self, parts: Sequence[bytes]) -> None:
        """Send a request."""
        self.received = b""
        self.socket.sendall(b"".join(parts))

    def take(self) -> bytes | None:
        """Take what came; return the answer once it is whole."""
        parcel = self.socket.recv(65536)
        if not parcel:
            raise ConnectionError("closed within an answer")
        self.received += parcel
        if not whole(self.received):
            return None
        if b"onnection: close" in self.received[:1024]:
            self.socket.close()
            self.socket = socket.create_connection(("127.0.0.1", self.port))
            self.renewed = True
        return self.received


def whole(received: bytes) -> bool:
    """Tell whether an answer is all there."""
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    lines = head.lower()
    if b"transfer-encoding: chunked" in lines:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(lines.partition(b"content-length:")[2].split(b"\r\n", 1)[0])


def ask(port: int, one: Call, token: bytes = b"") -> tuple[bytes, float]:
    """Send one call over a connection of its own; return the answer and the seconds that it took."""
    connection = Connection(port)
    began = time.perf_counter()
    connection.send(one.parts(token))
    while (answer := connection.take()) is None:
        pass
    took = time.perf_counter() - began
    connection.socket.close()
    return answer, took


def load(port: int, calls: Sequence[Call], *, clients: int, seconds: float, tokens: Iterator[bytes]) -> Result:
    """Load the service for so many seconds; every answer must be a 200 that holds what is expected of it.

    Parameters
    ----------
    tokens
        Header lines `Authorization: …\\r\\n`, a fresh one for each request, or empty ones.
    """
    turns = cycle(calls)
    connections = [Connection(port) for _ in range(clients)]
    poll, latencies = select.epoll(), []
    busy: dict[int, tuple[Connection, Call, float]] = {}
    began, cpu = time.perf_counter(), time.process_time()

    def send(one: Connection) -> None:
        chosen, number = next(turns), one.socket.fileno()
        if one.renewed:  # a closed socket has left the poll, whatever number the new one has
            poll.register(number, select.EPOLLIN)
            one.renewed = False
        sent = time.perf_counter()
        one.send(chosen.parts(next(tokens)))
        busy[number] = (one, chosen, sent)

    for one in connections:
        send(one)
    while busy:
        for number, _ in poll.poll():
            one, chosen, sent = busy[number]
            answer = one.take()
            if answer is None:
                continue
            now = time.perf_counter()
            if not answer.startswith(b"HTTP/1.1 200") or chosen.expected not in answer:
                raise SystemExit(f"a wrong answer under load: {answer[:2000]!r}")
            latencies.append(now - sent)
            del busy[number]
            if now - began < seconds:
                send(one)
    result = Result(time.perf_counter() - began, time.process_time() - cpu, latencies)
    for one in connections:
        one.socket.close()
    poll.close()
    return result
