"""The sidecar's gunicorn, with a small application: no client keeps the others waiting, and no worker's end shows."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_stack.environment import free_port

ROOT = Path(__file__).resolve().parents[2]
MAX_BODY = 2**20
REQUEST_SECONDS, SEND_SECONDS = 2.5, 20
SERVER = """
import json, os, sys, time
from dataclasses import replace
from urllib.parse import parse_qs
from cds_hooks.gunicorn_conf import Sidecar, options
from cds_hooks.settings import from_environment

MAX_BODY = int(os.environ["CDS_MAX_BODY_BYTES"])

def application(environ, start_response):
    asked = {key: value[0] for key, value in parse_qs(environ["QUERY_STRING"]).items()}
    time.sleep(float(asked.get("sleep", 0)))
    if "fail" in asked:
        raise ValueError("marker-of-a-patient")
    long = int(environ.get("CONTENT_LENGTH") or 0) > MAX_BODY
    body = b"" if long else environ["wsgi.input"].read()
    answer = {"pid": os.getpid(), "length": len(body), "echo": body[:40].decode()}
    if "halfway" in asked:
        def parts():
            yield b"{"
            raise ValueError("marker-of-a-patient")
        start_response("200 OK", [("Content-Type", "application/json")])
        return parts()
    if "size" in asked:
        answer["padding"] = "x" * int(asked["size"])
    data = json.dumps(answer).encode()
    start_response("413 Too long" if long else "200 OK",
                   [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]

made = options(from_environment()) | {"threads": 4, **json.loads(sys.argv[1])}
made["post_worker_init"] = lambda worker: worker.log.info("worker %s serves", worker.pid)
made["worker_class"].limits = replace(made["worker_class"].limits, **json.loads(sys.argv[2]))
Sidecar(made, lambda: application).run()
"""
Answer = tuple[int, dict[str, Any]]


class Server:
    """A running sidecar shape."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log

    def connect(self, timeout: float = 10) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, path: str = "/", body: bytes | None = None, **headers: str) -> Answer:
        connection = self.connect()
        try:
            connection.request("POST" if body is not None else "GET", path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        sock.sendall(data)
        return sock

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


@contextmanager
def served(folder: Path, options: dict[str, Any], limits: dict[str, Any]) -> Iterator[Server]:
    port, log = free_port(), folder / "log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CDS_")} | {
        "PYTHONPATH": str(ROOT / "plugins"), "CDS_AUTH": "off", "CDS_BIND": f"127.0.0.1:{port}",
        "CDS_MAX_BODY_BYTES": str(MAX_BODY),
    }  # fmt: skip
    command = [sys.executable, "-c", SERVER, json.dumps(options), json.dumps(limits)]
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, text=True)
    server = Server(process, port, log)
    try:
        # Both: gunicorn takes a worker that is told to end while it starts for one that cannot start.
        wait_until(lambda: answers(server) and log.read_text().count(" serves") == 2)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        finally:
            process.kill()


def answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return server.ask()[0] == 200
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], patience: float = 15) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = {"request_seconds": REQUEST_SECONDS, "send_seconds": SEND_SECONDS}
    with served(tmp_path_factory.mktemp("serving"), {}, limits) as running:
        yield running


def slowest_of(server: Server, count: int = 40) -> float:
    """The longest that a client waited, each on a connection of its own."""
    took = []
    for _ in range(count):
        began = time.monotonic()
        assert server.ask("/", b"{}")[0] == 200
        took.append(time.monotonic() - began)
    return max(took)


HEAD = b"POST /slow HTTP/1.1\r\nHost: x\r\n"


def test_slow_clients_keep_nobody_waiting_and_are_told(server: Server) -> None:
    begun = [HEAD + b"X-Slow: ", HEAD + b"Content-Length: 5000\r\n\r\n{"] * 100
    with ExitStack() as stack:
        slow = [stack.enter_context(server.raw(data)) for data in begun]
        stop = threading.Event()

        def dribble() -> None:
            while not stop.wait(0.3):
                for one in slow:
                    with suppress(OSError):
                        one.send(b"x")

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            assert slowest_of(server) < REQUEST_SECONDS - 0.5
            told = b"".join(one.recv(1000) for one in slow)
        finally:
            stop.set()
            thread.join()
    assert told.count(b"HTTP/1.1 408 Request Timeout") == 200
    assert told.count(b'"resourceType": "OperationOutcome"') == 200


def test_clients_that_do_not_hang_up_keep_nobody_waiting(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(server.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert slowest_of(server) < 1


def test_clients_that_do_not_read_keep_nobody_waiting(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(16):  # twice as many as there are threads
            stack.enter_context(server.raw(b"GET /?size=9000000 HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert slowest_of(server) < SEND_SECONDS / 2


def test_ch20_a_body_of_100_mb_is_refused_and_never_in_memory(server: Server) -> None:
    before = {worker.pid: worker.memory_info().rss for worker in server.workers}
    piece = b"x" * 2**20
    connection = server.connect()
    connection.request("POST", "/", iter([piece] * 100), {"Content-Length": str(100 * len(piece))})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["length"]) == (413, 0)
    assert answer.getheader("Connection") == "close"
    connection.close()
    with server.raw(HEAD + b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n") as waiting:
        assert waiting.recv(1000).startswith(b"HTTP/1.1 413")
    connection.request("POST", "/", iter([piece] * 100), {}, encode_chunked=True)  # in chunks, of no announced length
    assert connection.getresponse().status == 413
    connection.close()
    assert max(worker.memory_info().rss - before[worker.pid] for worker in server.workers) < 20 * 2**20
    assert slowest_of(server, 5) < 1


def test_64_clients_at_a_time_are_answered_each_with_its_own(server: Server) -> None:
    found: list[tuple[int, str]] = []

    def client(number: int) -> None:
        connection = server.connect()
        for _ in range(5):
            connection.request("POST", "/", f"client {number}".encode())
            answer = connection.getresponse()
            found.append((answer.status, json.loads(answer.read())["echo"]))
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(found) == {(200, f"client {number}"): 5 for number in range(64)}


def test_kept_connections_are_shared_out_between_the_workers(server: Server) -> None:
    with ExitStack() as stack:
        pids = Counter[int]()
        for _ in range(8):
            connection = stack.enter_context(closing(server.connect()))
            connection.request("GET", "/")
            pids[json.loads(connection.getresponse().read())["pid"]] += 1
    assert min(pids.values()) >= 2
    assert len(pids) == 2


def test_what_http_clients_do_is_understood(server: Server) -> None:
    with server.raw(
        b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n[1]"
    ) as ahead:
        came = b""
        while piece := ahead.recv(4096):
            came += piece
    assert came.count(b"HTTP/1.1 200 OK") == 2
    assert came.count(b"HTTP/1.0 200 OK") == 1
    assert [part.split(b'"')[1] for part in came.split(b'"echo": ')[1:]] == [b"{}", b"[1]"]
    with server.raw(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n") as waiting:
        assert waiting.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        waiting.sendall(b"{}")
        assert b'"echo": "{}"' in waiting.recv(1000)


def test_ch20_what_is_no_http_is_refused_in_json_and_not_repeated(server: Server) -> None:
    with server.raw(b"GET / HTTP/1.1\r\nAuthorization Bearer marker-of-a-token\r\n\r\n") as client:
        head, body = client.recv(4096).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n")
    assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert b"marker" not in body
    assert "marker-of-a-token" not in server.log.read_text()


@pytest.mark.parametrize("path", ["/?fail=1", "/?halfway=1"])
def test_ch43_an_application_that_fails_is_a_500_and_no_half_an_answer(server: Server, path: str) -> None:
    status, body = server.ask(path)
    assert (status, body["resourceType"]) == (500, "OperationOutcome")
    assert "the application failed with ValueError" in server.log.read_text()
    assert "marker-of-a-patient" not in json.dumps(body) + server.log.read_text()


def test_a_killed_worker_shows_as_a_lost_connection_and_in_no_other_way(server: Server) -> None:
    stop, failed = threading.Event(), Counter[str]()
    right = Counter[int]()

    def client(number: int) -> None:
        connection = server.connect()
        text = f"client {number}"
        while not stop.is_set():
            try:
                connection.request("POST", "/?sleep=0.005", text.encode())
                answer = connection.getresponse()
                status, body = answer.status, json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                failed[type(error).__name__] += 1
                connection.close()
                continue
            assert (status, body["echo"]) == (200, text)
            right[body["pid"]] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    before = {worker.pid for worker in server.workers}
    (victim, *_) = before
    os.kill(victim, signal.SIGKILL)
    try:
        wait_until(lambda: any(pid not in before for pid in right))  # the one in its place answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert 0 < sum(failed.values()) <= 8
    assert set(failed) <= {"RemoteDisconnected", "ConnectionResetError", "ConnectionRefusedError", "IncompleteRead"}
    assert before <= set(right)


def test_sigterm_finishes_what_was_begun(tmp_path: Path) -> None:
    with served(tmp_path, {}, {}) as server:
        running = server.raw(b"GET /?sleep=0.8 HTTP/1.1\r\nHost: x\r\n\r\n")
        begun = server.raw(HEAD + b"Content-Length: 2\r\n\r\n{")
        kept = server.connect()
        kept.request("GET", "/")
        kept.getresponse().read()
        time.sleep(0.2)
        server.process.terminate()
        time.sleep(0.2)
        kept.request("POST", "/", b"sent while it stops")
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        begun.sendall(b"}")
        for one in (running, begun):
            came = one.recv(4096)
            assert came.startswith(b"HTTP/1.1 200 OK")
            assert b"Connection: close" in came
            one.close()
        kept.close()
        assert server.process.wait(10) == 0
        with pytest.raises(ConnectionRefusedError):
            server.ask()


def test_a_request_that_hangs_ends_its_worker_and_no_other(tmp_path: Path) -> None:
    with served(tmp_path, {"timeout": 1, "graceful_timeout": 2}, {}) as server:
        before = {worker.pid for worker in server.workers}
        with server.raw(b"GET /?sleep=60 HTTP/1.1\r\nHost: x\r\n\r\n") as hanging:
            assert slowest_of(server) < 1
            hanging.settimeout(10)
            assert hanging.recv(100) == b""
        wait_until(lambda: len(server.workers) == 2 and len({one.pid for one in server.workers} - before) == 1)
        assert slowest_of(server, 5) < 1
        assert "a request runs for more than 1 s: this worker is given up" in server.log.read_text()
