"""Over real sockets: what only a server and its connections can show."""

import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

import orjson
import pytest

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer

PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female"}


class Line:
    """One connection that stays open."""

    def __init__(self, server):
        parts = urlsplit(server.base_url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)

    def __call__(self, method, path, body=None, **headers):
        sent = {"Content-Type": "application/fhir+json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        data = orjson.dumps(body) if isinstance(body, dict) else body
        self.connection.request(method, f"/fhir/{path}" if not path.startswith("/") else path, data, sent)
        response = self.connection.getresponse()
        return response, response.read()


@pytest.fixture
def server():
    with SandboxServer() as running:
        running.load([PATIENT])
        yield running


@pytest.fixture
def line(server):
    opened = Line(server)
    yield opened
    opened.connection.close()


def test_requests_share_a_connection(server, line):
    for method, path, body, status in (
        ("GET", "Patient/p1", None, 200),
        ("GET", "Patient/nobody", None, 404),
        ("POST", "Patient", {"resourceType": "Patient"}, 201),
        ("POST", "Patient", b"{" * 1000, 400),
        ("DELETE", "Patient/p1", None, 204),
        ("GET", "Patient/p1", None, 410),
    ):
        response, _ = line(method, path, body)
        assert response.status == status
        assert response.getheader("Connection") is None
    assert server.stats.to_json()["connections"] == 1
    assert server.store.counts() == {"Patient": 1}


def test_a_body_that_nobody_read_does_not_spoil_the_next_request(server, line):
    server.behaviour = Behaviour(max_body_bytes=100)
    response, _ = line("POST", "Patient", b"x" * 300_000)
    assert response.status == 413
    server.behaviour = Behaviour(bearer_token="t")
    assert line("POST", "Nonsense", b"x" * 5000)[0].status == 401
    server.behaviour = Behaviour()
    assert line("GET", "Patient/p1")[0].status == 200
    assert server.stats.to_json()["connections"] == 1


def test_answers_come_without_the_pause_of_a_delayed_acknowledgement(server, line):
    line("GET", "Patient/p1")
    start = time.perf_counter()
    for _ in range(50):
        line("GET", "Patient/p1")
    assert time.perf_counter() - start < 1.0, "40 ms a request would be 2 s"


def test_links_carry_the_servers_own_address(server, line):
    server.load([{"resourceType": "Patient"}] * 3)
    bundle = orjson.loads(line("GET", "Patient?_count=2")[1])
    assert bundle["link"][1]["url"].startswith(f"{server.base_url}/Patient?_cursor=")
    response, _ = line("POST", "Patient", {"resourceType": "Patient"})
    assert response.getheader("Location").startswith(f"{server.base_url}/Patient/")


def test_a_dropped_answer_is_a_closed_connection(server, line):
    server.faults = Faults(rules=(Rule(Match(method="POST"), "drop", 1, commit=True),))
    with pytest.raises(http.client.RemoteDisconnected):
        line("POST", "Patient", {"resourceType": "Patient"})
    assert server.store.counts() == {"Patient": 2}
    assert server.stats.to_json()["faults"] == {"drop": 1}


def test_a_truncated_answer_promises_more_than_it_brings(server, line):
    whole = line("GET", "Patient/p1")[1]
    server.faults = Faults(rules=(Rule(action="truncate", times=1),))
    with pytest.raises(http.client.IncompleteRead) as cut:
        line("GET", "Patient/p1")
    assert cut.value.partial == whole[: len(whole) // 2]
    assert cut.value.expected == len(whole) - len(whole) // 2


def test_a_truncated_answer_to_a_write_says_nothing_of_the_write(server, line):
    server.faults = Faults(truncate_rate=1.0, commit=False)
    with pytest.raises(http.client.IncompleteRead):
        line("POST", "Patient", {"resourceType": "Patient"})
    assert server.store.counts() == {"Patient": 1}


def test_an_html_page_instead_of_fhir(server, line):
    server.faults = Faults(html_rate=1.0)
    response, body = line("GET", "Patient/p1")
    assert (response.status, response.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!DOCTYPE html>")


def test_latency_is_real(server, line):
    server.faults = Faults(latency_ms=60.0)
    start = time.perf_counter()
    line("GET", "Patient/p1")
    assert time.perf_counter() - start >= 0.06


def talk(server, sent):
    """Send raw bytes and give all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", urlsplit(server.base_url).port), timeout=10) as raw:
        raw.sendall(sent)
        return b"".join(iter(lambda: raw.recv(65536), b""))


def test_requests_sent_at_once_are_answered_in_order(server):
    request = b"GET /fhir/Patient/%s HTTP/1.1\r\nHost: h\r\n%s\r\n"
    answer = talk(server, request % (b"p1", b"") + request % (b"nobody", b"Connection: close\r\n"))
    assert answer.index(b"HTTP/1.1 200 OK") < answer.index(b"HTTP/1.1 404 NOT FOUND")
    assert answer.count(b"Connection: close") == 1


def test_a_client_of_http_1_0_gets_its_connection_closed(server):
    assert talk(server, b"GET /fhir/Patient/p1 HTTP/1.0\r\n\r\n").endswith(b"}")


def test_a_body_of_unknown_length_is_refused(server):
    head = b"POST /fhir/Patient HTTP/1.1\r\nHost: h\r\n"
    assert talk(server, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").startswith(b"HTTP/1.1 411")
    assert talk(server, head + b"Content-Length: x\r\n\r\n").startswith(b"HTTP/1.1 411")


def test_a_client_that_announces_its_body_is_told_to_go_on(server):
    head = b"POST /fhir/Patient HTTP/1.1\r\nHost: h\r\nContent-Type: application/fhir+json\r\nConnection: close\r\n"
    answer = talk(server, head + b'Expect: 100-continue\r\nContent-Length: 26\r\n\r\n{"resourceType":"Patient"}')
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"HTTP/1.1 201 CREATED" in answer


def test_a_client_that_leaves_in_the_middle_stores_nothing_and_is_no_event(caplog):
    head = b"POST /fhir/Patient HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    with SandboxServer() as server:
        with socket.create_connection(("127.0.0.1", urlsplit(server.base_url).port), timeout=10) as raw:
            raw.sendall(head + b"{")
            deadline = time.monotonic() + 5
            while server.stats.to_json()["connections"] < 1 and time.monotonic() < deadline:
                time.sleep(0.005)
        line = Line(server)
        assert line("GET", "Patient")[0].status == 200
        line.connection.close()
        assert server.store.counts() == {}
    assert caplog.text == ""


def test_the_switches_are_read_and_set_beside_http(server, line):
    assert (server.behaviour, server.faults) == (Behaviour(), Faults())
    server.behaviour = Behaviour(total="absent")
    assert server.behaviour.total == "absent"
    assert "total" not in orjson.loads(line("GET", "Patient")[1])


def test_nothing_that_was_searched_for_is_logged(server, line, caplog, capfd):
    with caplog.at_level("DEBUG"):
        line("GET", "Patient?identifier=urn:mrn|SECRET-MRN")
        line("GET", "Patient?foo=SECRET-MRN")
    out, err = capfd.readouterr()
    assert "SECRET-MRN" not in caplog.text + out + err


def test_clients_are_served_side_by_side(server):
    server.faults = Faults(latency_ms=150.0)
    lines = [Line(server) for _ in range(6)]
    threads = [threading.Thread(target=each, args=("GET", "Patient/p1")) for each in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in lines:
        each.connection.close()
    stats = server.stats.to_json()
    assert stats["connections"] == 6
    assert stats["peak_in_flight"] > 1


def test_writes_from_many_connections_all_arrive(server):
    def write(number):
        line = Line(server)
        for _ in range(10):
            assert line("POST", "Patient", {"resourceType": "Patient"})[0].status == 201
        line.connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.store.counts() == {"Patient": 51}


def test_a_stop_waits_for_what_is_under_way_and_closes_what_is_idle():
    server = SandboxServer(faults=Faults(rules=(Rule(Match(path_regex="slow"), "delay", delay_ms=300.0),)))
    server.start()
    idle, slow = Line(server), Line(server)
    idle("GET", "Patient")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(slow("GET", "Patient?_id=slow")[0].status))
    thread.start()
    deadline = time.monotonic() + 5
    while server.stats.to_json()["requests"].get("GET search", 0) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    start = time.perf_counter()
    server.stop()
    assert time.perf_counter() - start < 3, "an idle connection does not hold it up"
    thread.join()
    assert answers == [200]
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        idle("GET", "Patient")
    for each in (idle, slow):
        each.connection.close()


def test_a_server_that_never_ran_can_be_stopped_and_a_port_that_is_taken_is_refused(server):
    SandboxServer().stop()
    with pytest.raises(OSError, match="in use"):
        SandboxServer(port=urlsplit(server.base_url).port)


def test_a_file_outlives_its_server(tmp_path):
    path = tmp_path / "fhir.sqlite"
    with SandboxServer(path) as first:
        assert first.load([PATIENT]) == 1
    with SandboxServer(path) as second:
        assert second.store.counts() == {"Patient": 1}


def test_absolute_references_to_the_server_are_found(server, line, observation):
    server.load([observation("o1", subject={"reference": f"{server.base_url}/Patient/p1"})])
    line("PUT", "Observation/o2", observation("o2", subject={"reference": f"{server.base_url}/Patient/p1"}))
    assert orjson.loads(line("GET", "Observation?patient=p1")[1])["total"] == 2
