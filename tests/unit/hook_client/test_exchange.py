"""Calls over the wire: what is sent, and what is made of every sort of answer."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.hook_client.conftest import prefetch
from tests.unit.hook_client.stub import CARD, SERVICE, StubService, outcome

from screening.errors import HookServiceError
from screening.hook_client import telling
from screening.hook_client.charts import Chart
from screening.hook_client.exchange import Answer, HookClient
from screening.hook_client.key_files import make_keys
from screening.hook_client.request_bodies import request
from screening.hook_client.saving import save
from screening.hook_client.services import choose
from screening.hook_client.tokens import Tokens, signing_key

CHART = Chart("a_patient.json", "a", prefetch("a"))
ISS = "https://ehr.example.org"


def answer_of(stub: StubService) -> Answer:
    """Open the one chart."""
    with HookClient(stub.url) as client:
        service = choose(client.discover(), None)
        return client.call(service, request(CHART, service))


@contextmanager
def raw(reply: bytes) -> Iterator[str]:
    """Listen once, and answer with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_ch20_the_strict_service_takes_the_request(stub: StubService) -> None:
    answer = answer_of(stub)
    assert (answer.status, answer.body) == (200, {"cards": []})
    assert telling.problems(answer) == []
    assert telling.headlines(answer, "Practitioner/7") == ["no card (scored low)"]
    assert 0 < answer.milliseconds < 10_000


def test_ch60_ch64_ch67_each_endpoint_gets_a_token_of_its_own(tmp_path: Path) -> None:
    made = make_keys(tmp_path)
    (public,) = json.loads(made.public.read_text())["keys"]
    with (
        StubService(iss=ISS, keys={made.kid: public}) as stub,
        HookClient(f"{stub.url}/", tokens=Tokens(signing_key(made.private), ISS)) as client,
    ):
        stub.answers["a"] = (200, {"cards": [CARD]})
        service = choose(client.discover(), None)
        assert [client.call(service, request(CHART, service)).status for _ in range(2)] == [200, 200]
        assert client.feedback(service, {"feedback": []}).status == 200
        paths = [one["claims"]["aud"].removeprefix(stub.url) for one in stub.tokens]
        assert paths == [
            "/cds-services", "/cds-services/sepsis-risk", "/cds-services/sepsis-risk",
            "/cds-services/sepsis-risk/feedback",
        ]  # fmt: skip


def test_ch64_the_audience_is_what_the_service_calls_itself(tmp_path: Path) -> None:
    made = make_keys(tmp_path)
    (public,) = json.loads(made.public.read_text())["keys"]
    with StubService(iss=ISS, keys={made.kid: public}) as stub:
        tokens = Tokens(signing_key(made.private), ISS)
        with (
            HookClient(stub.url, tokens=tokens, audience="https://cds.example.org") as client,
            pytest.raises(HookServiceError, match=r"HTTP 401.*--jwt-key"),
        ):
            client.discover()
        assert stub.refused_because == "InvalidAudienceError"
        with HookClient(stub.url.replace("127.0.0.1", "localhost"), tokens=tokens, audience=f"{stub.url}/") as client:
            assert len(client.discover()) == 1


@pytest.mark.parametrize(("status", "body", "words"), [
    (412, outcome("data are missing", "heart_rate"), "HTTP 412: data are missing (heart_rate)"),
    (503, outcome("no model"), "HTTP 503: no model"),
    (500, "<html>", "HTTP 500, and no OperationOutcome that would say why"),
    (500, {"issue": []}, "HTTP 500, and no OperationOutcome that would say why"),
    (400, {"issue": [{"code": "invalid"}]}, "HTTP 400: invalid"),
    (204, "", "HTTP 204, and no OperationOutcome that would say why"),
    (302, "", "HTTP 302, and no OperationOutcome that would say why"),
    (200, "", "HTTP 200 with a body that is no JSON object"),
    (200, "<html>", "HTTP 200 with a body that is no JSON object"),
    (200, [], "HTTP 200 with a body that is no JSON object"),
])  # fmt: skip
def test_ch43_nothing_but_a_good_answer_looks_like_one(
    stub: StubService, status: int, body: object, words: str
) -> None:
    stub.answers["a"] = (status, body)
    answer = answer_of(stub)
    assert telling.problems(answer) == [words]
    assert telling.headlines(answer, "Practitioner/7") == [f"ERROR: {words}"]
    assert telling.cards(answer) == []


@pytest.mark.parametrize("body", [{}, {"cards": None}, {"cards": [{**CARD, "summary": "x" * 140}]}])
def test_ch40_ch44_a_response_that_breaks_the_rules_is_an_error(stub: StubService, body: object) -> None:
    stub.answers["a"] = (200, body)
    answer = answer_of(stub)
    assert telling.problems(answer)
    assert telling.headlines(answer, "Practitioner/7")[0].startswith("ERROR: not as CDS Hooks 2.0 has it: ")


def test_ch35_no_card_means_another_thing_to_a_patient(stub: StubService) -> None:
    assert "no clinician" in telling.headlines(answer_of(stub), "Patient/a")[0]


def test_ch46_what_a_terminal_would_obey_is_not_printed(stub: StubService) -> None:
    stub.answers["a"] = (200, {"cards": [{**CARD, "summary": "HIGH\x1b[2J\nlow"}]})
    lines = telling.headlines(answer_of(stub), "Practitioner/7")
    assert lines[-1] == "HIGH [2J low · critical"


def test_a_service_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        HookClient(f"http://127.0.0.1:{port}") as client,
        pytest.raises(HookServiceError, match=r"no connection.*running"),
    ):
        client.discover()


@pytest.mark.parametrize(("reply", "words"), [
    (b"", "no connection, or it broke off"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "the answer broke off"),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (5 * 2**20 + 1), "longer than 5 MiB"),
], ids=["nothing", "cut off", "too long"])  # fmt: skip
def test_an_answer_that_does_not_come_whole_is_none(reply: bytes, words: str) -> None:
    with raw(reply) as url, HookClient(url) as client, pytest.raises(HookServiceError, match=words):
        client.discover()


def test_a_service_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with HookClient(url, seconds=0.2) as client, pytest.raises(HookServiceError, match="timed out"):
            client.discover()


def test_ch64_no_redirect_is_followed(stub: StubService) -> None:
    with HookClient(f"{stub.url}/moved") as client, pytest.raises(HookServiceError, match="HTTP 302"):
        client.discover()


@pytest.mark.parametrize("url", ["http://cds.example.org", "ftp://127.0.0.1", "http://me:pw@127.0.0.1", "127.0.0.1"])
def test_ch82_a_chart_goes_to_no_other_machine_unencrypted(url: str) -> None:
    with pytest.raises(HookServiceError, match="--url: base URL") as refused:
        HookClient(url)
    assert "pw" not in str(refused.value)


def test_the_discovery_url_is_taken_for_the_base_url(stub: StubService) -> None:
    with HookClient(f"{stub.url}/cds-services") as client:
        assert [one.id for one in client.discover()] == [SERVICE["id"]]


def test_ch53_requests_and_answers_are_kept_without_tokens(stub: StubService, tmp_path: Path) -> None:
    body = {
        "hook": "patient-view",
        "fhirServer": "x",
        "fhirAuthorization": {"access_token": "marker-token", "scope": "s"},
    }
    save(tmp_path / "kept", "a_patient.json", body, Answer(500, None, b"<html>"))
    assert (tmp_path / "kept" / "a_patient.response.txt").read_bytes() == b"<html>"
    save(tmp_path / "kept", "a_patient.json", body, Answer(200, {"cards": []}, b'{"cards":[]}'))
    kept = {one.name: one.read_text() for one in (tmp_path / "kept").iterdir()}
    assert kept.keys() == {"a_patient.request.json", "a_patient.response.json"}
    assert json.loads(kept["a_patient.response.json"]) == {"cards": []}
    assert json.loads(kept["a_patient.request.json"])["fhirAuthorization"] == {
        "access_token": "(not saved)",
        "scope": "s",
    }
    save(tmp_path / "kept", "a_patient.json", body, Answer(fault="timed out"))
    assert {one.name for one in (tmp_path / "kept").iterdir()} == {"a_patient.request.json"}
