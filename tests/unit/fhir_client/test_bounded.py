"""A budget holds over all requests of a call, whatever the server does, and costs the next call nothing."""

import gzip
import socket
import threading
import time
import traceback
import tracemalloc
from pathlib import Path

import pytest
from tests.unit.fhir_client import test_transport
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.raw_server import DRIPS, FHIR, RawServer, drip, flood, say
from tests.unit.fhir_client.stub_server import Out, Stub, fhir, html, outcome, patient, searchset

from screening.errors import FhirFatalError, FhirTemporaryError
from screening.fhir_client import interruptible
from screening.fhir_client import transport as transport_module
from screening.fhir_client.auth import BearerAuth
from screening.fhir_client.budget import Budget, watch
from screening.fhir_client.client import FhirClient
from screening.fhir_client.exchange import Answer
from screening.fhir_client.settings import ClientSettings

certificate = test_transport.certificate
SECONDS = 0.25
SLACK = 0.5
URLS = ["Patient/a", "Observation?patient=a&code=x", "Observation?patient=a&code=y"]
MARKER = "t0kenMARKER"


def budget(seconds: float = SECONDS, max_bytes: int = 100_000, max_pages: int = 3) -> Budget:
    return Budget(seconds, max_bytes, max_pages)


def client_of(base_url: str, **settings: object) -> FhirClient:
    return FhirClient(ClientSettings(base_url, attempts=1, batch_entries=1, **settings))  # type: ignore[arg-type]


def words(answer: Answer) -> str:
    assert answer.resources == []
    assert answer.error is not None
    return str(answer.error)


def all_end() -> bool:
    """Tell whether no thread of a call is left waiting for a server that never ends."""
    left = [one for one in threading.enumerate() if one.name.startswith("fhir-bounded")]
    for one in left:
        one.join(2)
    return not any(one.is_alive() for one in left)


@pytest.mark.parametrize("name", DRIPS)
def test_ch51_a_server_that_drips_is_cut_off_at_the_end(name: str) -> None:
    with RawServer(DRIPS[name]) as server, client_of(server.base) as client:
        begun = time.monotonic()
        answers = client.within(budget()).get_each(URLS)
        took = time.monotonic() - begun
        assert SECONDS <= took < SECONDS + SLACK
        for answer in answers:
            assert isinstance(answer.error, FhirTemporaryError) or answer.status == 500
        assert all_end()


def test_ch51_a_tls_handshake_that_drips_is_cut_off_at_the_end() -> None:
    hello = b"\x16\x03\x03\x40\x00"  # a handshake record of 16 KB, of which a byte comes now and then
    with RawServer(drip(hello, b"\x02")) as server, client_of(f"https://127.0.0.1:{server.port}/fhir") as client:
        begun = time.monotonic()
        (answer,) = client.within(budget()).get_each(URLS[:1])
        assert time.monotonic() - begun < SECONDS + SLACK
        assert isinstance(answer.error, FhirTemporaryError)
        assert all_end()


def test_ch51_a_name_that_is_never_resolved_costs_no_more_than_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def hang(*args: object, **kwargs: object) -> object:
        ended.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with client_of("https://fhir.example.org/r4") as client:
        begun = time.monotonic()
        answers = client.within(budget()).get_each(URLS)
        assert time.monotonic() - begun < SECONDS + SLACK
        ended.set()
    assert [words(one) for one in answers] == ["no answer within the time for this call"] * 3


def test_nothing_is_asked_when_the_time_is_used_up(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(patient("a")))
    spent = budget()
    spent.end()
    client = make_client(attempts=1)
    (answer,) = client.within(spent).get_each(URLS[:1])
    assert words(answer) == "GET /fhir/Patient/a: the time for this call was used up before"
    assert stub.connections == client.requests_sent == 0


def test_a_retry_that_would_outlast_the_time_is_not_waited_for(
    stub: Stub, make_client: MakeClient, slept: list[float]
) -> None:
    stub.script(outcome(503, Retry_After="30"))
    (answer,) = make_client(attempts=5).within(budget(5)).get_each(URLS[:1])
    assert isinstance(answer.error, FhirTemporaryError)
    assert slept == []
    assert len(stub.calls) == 1


def test_ch51_an_answer_without_end_is_left_at_the_cap() -> None:
    piece = b" " * 65536
    behave = flood(FHIR + b"Content-Length: 1073741824\r\n\r\n{", piece, 16384)
    with RawServer(behave) as server, client_of(server.base) as client:
        begun = time.monotonic()
        (answer,) = client.within(budget(10)).get_each(URLS[:1])
        assert time.monotonic() - begun < 1
    assert "larger than" in words(answer)


def test_the_cap_is_one_for_all_requests_of_a_call(stub: Stub, make_client: MakeClient) -> None:
    body = patient("a") | {"text": {"div": "x" * 40_000}}
    stub.script(fhir(body))
    client = make_client()
    shared = budget(5, max_bytes=100_000)
    answers = client.within(shared).get_each(["Patient/a"] * 4)
    assert sum(one.error is None for one in answers) == 2
    assert {words(one)[:50] for one in answers if one.error} == {"GET /fhir/Patient/a: the answer is larger than max"}
    assert client.within(budget(5)).get_each(["Patient/a"])[0].error is None


def test_ch51_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"{" + b" " * 60_000_000, 1)
    head = FHIR + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with RawServer(say(head + bomb)) as server, client_of(server.base) as client:
        tracemalloc.start()
        (answer,) = client.within(budget(10, max_bytes=1_000_000)).get_each(URLS[:1])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert "larger than" in words(answer)
    assert most < 8_000_000


def test_ch51_a_search_of_too_many_pages_is_no_half_answer(stub: Stub, make_client: MakeClient) -> None:
    def route(call: object) -> Out:
        return fhir(searchset([patient("a")], f"{stub.base}/Patient?page={len(stub.calls)}"))

    stub.route = route
    (answer,) = make_client().within(budget(5, max_pages=3)).get_each(["Patient?name=x"])
    assert words(answer) == "GET /fhir/Patient: the search has more than 3 pages"
    assert len(stub.calls) == 3


def test_a_search_of_just_as_many_pages_is_whole(stub: Stub, make_client: MakeClient) -> None:
    stub.script(
        fhir(searchset([patient("a")], f"{stub.base}/Patient?page=1")),
        fhir(searchset([patient("b")], f"{stub.base}/Patient?page=2")),
        fhir(searchset([patient("c")])),
    )
    (answer,) = make_client().within(budget(5, max_pages=3)).get_each(["Patient?name=x"])
    assert [one["id"] for one in answer.resources] == ["a", "b", "c"]


def test_ch52_a_next_link_stays_below_the_path_of_the_call(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(searchset([patient("a")], f"{stub.base}/tenant-b/Patient?page=1")))
    (answer,) = make_client().within(budget(5), below="/tenant-a").get_each(["Patient?name=x"])
    assert "outside the base URL" in words(answer)
    assert [call.path for call in stub.calls] == ["tenant-a/Patient"]


@pytest.mark.parametrize("kind", ["text/html", "application/xml", "text/plain", "", "application/jsonx", "json"])
def test_ch51_what_is_not_declared_as_fhir_json_is_not_taken(stub: Stub, make_client: MakeClient, kind: str) -> None:
    out = fhir(patient("a"))
    stub.script(Out(200, out.body, {"Content-Type": kind} if kind else {}))
    (answer,) = make_client(json_only=True).within(budget(5)).get_each(URLS[:1])
    assert "the answer is not declared as FHIR in JSON" in words(answer)


@pytest.mark.parametrize(
    "kind", ["application/fhir+json", "application/json;charset=utf-8", "Application/FHIR+JSON ; a=b"]
)
def test_fhir_json_is_taken_whatever_its_parameters(stub: Stub, make_client: MakeClient, kind: str) -> None:
    stub.script(Out(200, fhir(patient("a")).body, {"Content-Type": kind}))
    (answer,) = make_client(json_only=True).within(budget(5)).get_each(URLS[:1])
    assert answer.resources == [patient("a")]


def test_an_error_needs_no_type(stub: Stub, make_client: MakeClient) -> None:
    stub.script(html(403))
    (answer,) = make_client(json_only=True).within(budget(5)).get_each(URLS[:1])
    assert answer.status == 403


def test_each_question_has_an_outcome_of_its_own_even_of_401(stub: Stub, make_client: MakeClient) -> None:
    stub.route = lambda call: outcome(401, "login") if "code=x" in call.target else (
        fhir(patient("a")) if call.path == "Patient/a" else fhir(searchset([]))
    )  # fmt: skip
    answers = make_client().within(budget(5)).get_each([*URLS, "../secret"])
    assert [one.status for one in answers] == [200, 401, 200, 0]
    assert isinstance(answers[3].error, FhirFatalError)
    assert len(stub.calls) == 3


def test_questions_go_out_at_once(stub: Stub, make_client: MakeClient) -> None:
    together = threading.Barrier(3, timeout=5)

    def route(call: object) -> Out:
        together.wait()
        return fhir(searchset([]))

    stub.route = route
    answers = make_client(concurrency=3).within(budget(5)).get_each([f"Observation?code={n}" for n in range(3)])
    assert [one.error for one in answers] == [None] * 3


def test_the_call_has_its_own_credentials_and_the_client_keeps_its_own(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(patient("a")))
    client = make_client(BearerAuth("own"))
    client.within(budget(5), auth=BearerAuth("other")).get_each(URLS[:1])
    client.read("Patient", "a")
    client.within(budget(5)).get_each(URLS[:1])
    assert [call.headers["authorization"] for call in stub.calls] == ["Bearer other", "Bearer own", "Bearer own"]
    assert client.requests_sent == 3


def test_calls_share_the_connections_and_one_that_ends_does_not_cut_the_next(
    stub: Stub, make_client: MakeClient
) -> None:
    stub.script(fhir(patient("a")))
    client = make_client()
    first = budget(5)
    client.within(first).get_each(URLS[:1])
    second = budget(5)
    reader = client.within(second)
    reader.get_each(URLS[:1])
    first.end()
    assert reader.get_each(URLS[:1])[0].error is None
    assert stub.connections == 1


def test_a_budget_cuts_no_connection_that_another_call_uses_by_now() -> None:
    class Pooled:
        budget: Budget | None = None
        cuts = 0

        def cut(self) -> None:
            self.cuts += 1

    first, second, connection = budget(), budget(), Pooled()
    with first.in_charge():
        watch(connection)
        with second.in_charge():
            watch(connection)
            first.end()
            assert connection.cuts == 0
            second.end()
            assert connection.cuts == 1
            watch(connection)  # begun after the end: cut at once
            assert connection.cuts == 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    stub: Stub, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.script(fhir(patient("a")))
    client = make_client()
    for _ in range(2):
        assert client.within(budget(5)).get_each(URLS[:1])[0].error is None
    assert stub.connections == 1
    monkeypatch.setattr(interruptible, "LONGEST_IDLE", 0.0)
    assert client.within(budget(5)).get_each(URLS[:1])[0].error is None
    assert stub.connections == 2


def test_a_defect_is_raised_where_the_question_was_asked_and_shows_no_token(
    stub: Stub, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("defect")

    stub.script(fhir(patient("a")))
    monkeypatch.setattr(transport_module, "_reply", broken)
    with pytest.raises(RuntimeError, match="defect") as caught:
        make_client().within(budget(5), auth=BearerAuth(MARKER)).get_each(URLS[:1])
    whole = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "headers" in whole
    assert MARKER not in whole


def test_over_tls_too(certificate: Path) -> None:
    stub = Stub(certificate)
    try:
        stub.script(fhir(patient("a")))
        with client_of(stub.base, verify=str(certificate)) as client:
            (answer,) = client.within(budget(5)).get_each(URLS[:1])
            assert answer.resources == [patient("a")]
            stub.script(Out(200, fhir(patient("a")).body, {"Content-Type": "application/json"}, delay=5))
            begun = time.monotonic()
            (answer,) = client.within(budget()).get_each(URLS[:1])
            assert time.monotonic() - begun < SECONDS + SLACK
            assert isinstance(answer.error, FhirTemporaryError)
    finally:
        stub.close()
