import gzip
import logging
import socket
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from ipaddress import IPv4Address
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.stub_server import DROP, Out, Stub, fhir, html, outcome, patient, searchset

from screening.errors import FhirFatalError, FhirGone, FhirNotFhir, FhirNotFound, FhirTemporaryError, ScreeningError
from screening.fhir_client.auth import BearerAuth
from screening.fhir_client.client import FhirClient

PATIENT = orjson.dumps(patient("a"))
MARKED = [("name", "MARKER")]


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_request_asks_for_fresh_fhir_json_as_us(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(patient("a")))
    make_client(BearerAuth("t0ken"), user_agent="screening-test").read("Patient", "a")
    headers = stub.calls[0].headers
    assert headers["accept"] == "application/fhir+json"
    assert headers["cache-control"] == "no-cache"
    assert headers["user-agent"] == "screening-test"
    assert headers["authorization"] == "Bearer t0ken"
    assert "cookie" not in headers


def test_the_environment_is_not_asked(stub: Stub, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{_closed_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{_closed_port()}")
    stub.script(fhir(patient("a")))
    assert make_client().read("Patient", "a") == patient("a")


def test_cookies_are_not_kept(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(patient("a"), Set_Cookie="session=1; Path=/"))
    client = make_client()
    client.read("Patient", "a")
    client.read("Patient", "a")
    assert "cookie" not in stub.calls[1].headers
    assert len(client._transport._session.cookies) == 0


def test_compressed_answers_are_read(stub: Stub, make_client: MakeClient) -> None:
    stub.script(Out(200, gzip.compress(PATIENT), {"Content-Encoding": "gzip"}))
    assert make_client().read("Patient", "a") == patient("a")


@pytest.mark.parametrize(
    "bad",
    [
        DROP,
        Out(200, PATIENT, cut=0),
        Out(200, PATIENT, cut=10),
        Out(200, PATIENT[:20], length=False),
        Out(200, b"", length=False),
        Out(200, gzip.compress(PATIENT)[:25], {"Content-Encoding": "gzip"}, length=False),
        outcome(500),
        outcome(503, "transient"),
        html(502),
        Out(503, b"x" * 100, cut=3),
    ],
)
def test_a_read_survives_one_bad_answer(stub: Stub, make_client: MakeClient, slept: list[float], bad: Out) -> None:
    stub.script(bad, fhir(patient("a")))
    client = make_client()
    assert client.read("Patient", "a") == patient("a")
    assert slept == [0.5]
    assert client.requests_sent == len(stub.calls) == 2


def test_a_slow_server_is_a_timeout_and_then_temporary(stub: Stub, make_client: MakeClient) -> None:
    stub.script(Out(200, PATIENT, delay=5))
    with pytest.raises(FhirTemporaryError, match=r"^GET /fhir/Patient/a: no answer in time, 2 attempts$"):
        make_client(read_timeout=0.05, attempts=2).read("Patient", "a")
    assert len(stub.calls) == 2


def test_a_refused_connection_is_temporary_names_the_server_and_sent_nothing(make_client: MakeClient) -> None:
    port = _closed_port()
    client = make_client(base_url=f"http://127.0.0.1:{port}/fhir", attempts=3)
    with pytest.raises(
        FhirTemporaryError, match=rf"cannot be reached \(http://127.0.0.1:{port}\), 3 attempts"
    ) as caught:
        client.read("Patient", "a")
    assert caught.value.status is None
    assert client.requests_sent == 0


def test_medplums_quota_is_waited_for(stub: Stub, make_client: MakeClient, slept: list[float]) -> None:
    stub.script(outcome(429, "throttled", RateLimit='"fhirInteractions";r=0;t=7'), fhir(patient("a")))
    assert make_client(backoff=0).read("Patient", "a") == patient("a")
    assert slept == [7.0]


def test_a_date_in_retry_after_is_waited_for(stub: Stub, make_client: MakeClient, slept: list[float]) -> None:
    stub.script(outcome(503, Retry_After=formatdate(1_000_000_012, usegmt=True)), fhir(patient("a")))
    make_client(backoff=0).read("Patient", "a")
    assert slept == [12.0]


def test_a_wish_beyond_the_budget_is_passed_on(stub: Stub, make_client: MakeClient, slept: list[float]) -> None:
    stub.script(outcome(429, "throttled", Retry_After="3600"))
    with pytest.raises(FhirTemporaryError, match=r"429 \(throttled\); the server asks to wait 3600 s$") as caught:
        make_client().read("Patient", "a")
    assert (caught.value.status, caught.value.retry_after) == (429, 3600.0)
    assert slept == []
    assert len(stub.calls) == 1


def test_the_sleep_budget_adds_up_over_the_attempts(stub: Stub, make_client: MakeClient, slept: list[float]) -> None:
    stub.script(outcome(429, "throttled", Retry_After="25"))
    with pytest.raises(FhirTemporaryError):
        make_client(backoff=0, max_wait=60.0).read("Patient", "a")
    assert slept == [25.0, 25.0]


@pytest.mark.parametrize(
    ("out", "error", "text"),
    [
        (outcome(404, "not-found"), FhirNotFound, "GET /fhir/Patient/a: 404 (not-found)"),
        (outcome(410, "deleted"), FhirGone, "GET /fhir/Patient/a: 410 (deleted)"),
        (outcome(400, "invalid"), FhirFatalError, "GET /fhir/Patient/a: 400 (invalid)"),
        (outcome(400, "MARKER"), FhirFatalError, "GET /fhir/Patient/a: 400 (unknown)"),
        (
            outcome(401, "login"),
            FhirFatalError,
            "GET /fhir/Patient/a: 401 (login); check the credentials of the connection",
        ),
        (html(403), FhirFatalError, "GET /fhir/Patient/a: 403; the credentials lack the right to do this"),
        (outcome(501, "not-supported"), FhirFatalError, "GET /fhir/Patient/a: 501 (not-supported)"),
    ],
)
def test_a_no_is_told_by_path_status_and_code(
    stub: Stub, make_client: MakeClient, out: Out, error: type[FhirFatalError], text: str
) -> None:
    stub.script(out)
    with pytest.raises(FhirFatalError) as caught:
        make_client().read("Patient", "a")
    assert (type(caught.value), str(caught.value), caught.value.status) == (error, text, out.status)
    assert len(stub.calls) == 1


@pytest.mark.parametrize(
    "out", [html(), Out(200, b""), Out(200, b'{"status":"ok"}'), Out(200, b'{"a":1,}'), Out(200, b"<Patient/>")]
)
def test_what_is_not_fhir_names_the_base_url_and_is_not_asked_again(
    stub: Stub, make_client: MakeClient, out: Out
) -> None:
    stub.script(out)
    with pytest.raises(FhirNotFhir, match=f"check the base URL {stub.base}$"):
        make_client().read("Patient", "a")
    assert len(stub.calls) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_but_explained(stub: Stub, make_client: MakeClient, status: int) -> None:
    stub.script(Out(status, headers={"Location": "https://other.example.org/fhir/Patient/a?name=MARKER"}))
    with pytest.raises(FhirFatalError) as caught:
        make_client().read("Patient", "a")
    assert "a redirect to https://other.example.org/fhir/Patient/a; none is followed: set the base URL" in str(
        caught.value
    )
    assert len(stub.calls) == 1


@pytest.mark.parametrize(
    "location",
    ["", "https://[broken", "/fhir/elsewhere?x=MARKER", "/\x1b[2JMARKER", "/MARKER\x85x", f"/MARKER{'x' * 300}"],
    ids=range(6),
)
def test_redirects_to_nowhere_are_explained_too(stub: Stub, make_client: MakeClient, location: str) -> None:
    stub.script(Out(302, headers={"Location": location}))
    with pytest.raises(FhirFatalError, match="302, a redirect") as caught:
        make_client().read("Patient", "a")
    assert "MARKER" not in str(caught.value)


def test_an_answer_beyond_the_cap_is_refused(stub: Stub, make_client: MakeClient) -> None:
    stub.script(Out(200, gzip.compress(b" " * 1_000_000 + PATIENT), {"Content-Encoding": "gzip"}))
    with pytest.raises(FhirFatalError, match="larger than max_response_bytes"):
        make_client(max_response_bytes=100_000).read("Patient", "a")
    assert len(stub.calls) == 1


class _Renewable:
    """Hands out numbered tokens; `refused` counts the 401s it heard of."""

    def __init__(self, tokens: int) -> None:
        self.left = tokens
        self.number = 1
        self.refused: list[str] = []

    def __call__(self, headers: MutableMapping[str, str]) -> None:
        headers["Authorization"] = f"Bearer {self.number}"

    def invalidate(self, refused: Mapping[str, str]) -> bool:
        self.refused.append(refused["Authorization"])
        self.number += 1
        self.left -= 1
        return self.left > 0


def test_a_401_is_tried_once_more_with_fresh_credentials(
    stub: Stub, make_client: MakeClient, slept: list[float]
) -> None:
    def route(call: object) -> Out:
        return fhir(patient("a")) if stub.calls[-1].headers["authorization"] == "Bearer 2" else outcome(401, "login")

    stub.route = route
    auth = _Renewable(5)
    client = make_client(auth)
    assert client.read("Patient", "a") == patient("a")
    assert auth.refused == ["Bearer 1"]
    assert client.requests_sent == 2
    assert slept == []


def test_a_second_401_is_final(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(401, "login"))
    auth = _Renewable(5)
    with pytest.raises(FhirFatalError, match="401"):
        make_client(auth).read("Patient", "a")
    assert len(stub.calls) == 2
    assert auth.refused == ["Bearer 1"]


def test_fixed_credentials_are_not_tried_twice(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(401, "login"))
    with pytest.raises(FhirFatalError, match="401"):
        make_client(BearerAuth("t")).read("Patient", "a")
    assert len(stub.calls) == 1


def test_connections_are_reused(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(patient("a")))
    client = make_client(concurrency=4)
    for _ in range(20):
        client.read("Patient", "a")
    assert len(stub.calls) == 20
    assert stub.connections == 1


def test_threads_share_no_more_connections_than_the_setting(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(patient("a")))
    client = make_client(concurrency=3)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.read("Patient", "a"), range(40)))
    assert client.requests_sent == len(stub.calls) == 40
    assert 1 <= stub.connections <= 3


def test_the_counter_loses_nothing_between_threads(stub: Stub, make_client: MakeClient) -> None:
    answers = [outcome(503), fhir(patient("a"))]
    stub.route = lambda call: answers[len(stub.calls) % 2]
    client = make_client(concurrency=8, attempts=50)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.read("Patient", "a"), range(60)))
    assert client.requests_sent == len(stub.calls) >= 60


def _everything_said(error: BaseException | None) -> str:
    said = []
    while error is not None:
        said.append("".join(traceback.format_exception(error)) + repr(error) + repr(error.args))
        error = error.__cause__ or error.__context__
    return "".join(said)


@pytest.mark.parametrize(
    "out",
    [
        DROP,
        outcome(500),
        outcome(400),
        outcome(429, "throttled"),
        html(),
        html(503),
        Out(200, b'{"resourceType": "MARKER', length=False),
        Out(200, b"MARKER" * 9, cut=20),
        Out(302, headers={"Location": "/fhir?MARKER"}),
        Out(200, PATIENT, delay=5),
        Out(200, PATIENT, {"MARKER header without colon\r\nX": "1"}),
        fhir(searchset([], "http://other.example.org/fhir?MARKER")),
        fhir(searchset([], "?MARKER")),
        fhir({"resourceType": "Bundle", "type": "MARKER"}),
        fhir(searchset([{"resourceType": "OperationOutcome", "issue": [{"severity": "fatal", "code": "MARKER"}]}])),
    ],
)
def test_neither_messages_nor_chains_nor_logs_carry_a_query_or_a_servers_words(
    stub: Stub, make_client: MakeClient, caplog: pytest.LogCaptureFixture, out: Out
) -> None:
    caplog.set_level(logging.DEBUG)
    stub.script(out)
    client = make_client(BearerAuth("MARKER-token"), read_timeout=0.2, attempts=2)
    with pytest.raises(ScreeningError) as caught:
        list(client.search("Patient", MARKED))
    assert caught.value.__context__ is None
    assert "MARKER" not in _everything_said(caught.value)
    assert all("MARKER" not in record.getMessage() + (record.exc_text or "") for record in caplog.records)
    assert "MARKER" not in repr(client)
    assert stub.calls[0].params["name"] == "MARKER"


def test_an_unreachable_server_gives_no_query_away(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_client(base_url=f"http://127.0.0.1:{_closed_port()}/fhir", attempts=2)
    with pytest.raises(FhirTemporaryError) as caught:
        list(client.search("Patient", MARKED))
    assert "MARKER" not in _everything_said(caught.value)
    assert "MARKER" not in caplog.text
    assert caught.value.__context__ is None


def test_retries_are_logged_with_path_status_and_wait(
    stub: Stub, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    stub.script(outcome(503), fhir(searchset([])))
    list(make_client().search("Patient", MARKED))
    assert caplog.record_tuples == [
        (
            "screening.fhir_client.transport",
            logging.WARNING,
            "GET /fhir/Patient: 503; attempt 1 of 5, next in 0.5 s",
        )
    ]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that only its own bundle trusts, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(plain + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_stub(certificate: Path) -> Iterator[Stub]:
    server = Stub(certificate)
    yield server
    server.close()


def test_an_untrusted_certificate_is_final_and_explained(tls_stub: Stub, make_client: MakeClient) -> None:
    tls_stub.script(fhir(patient("a")))
    with pytest.raises(FhirFatalError, match="offers no TLS that can be trusted") as caught:
        make_client(base_url=tls_stub.base).read("Patient", "a")
    assert caught.value.__context__ is None
    assert tls_stub.calls == []


def test_a_certificate_of_the_bundle_given_is_trusted(
    tls_stub: Stub, make_client: MakeClient, certificate: Path
) -> None:
    tls_stub.script(fhir(patient("a")))
    assert make_client(base_url=tls_stub.base, verify=str(certificate)).read("Patient", "a") == patient("a")


def test_plain_http_behind_an_https_url_is_final_and_explained(stub: Stub, make_client: MakeClient) -> None:
    client = make_client(base_url=stub.base.replace("http:", "https:"))
    with pytest.raises(FhirFatalError, match="offers no TLS that can be trusted; check the certificate of https://127"):
        client.read("Patient", "a")


def test_a_tls_handshake_that_broke_is_temporary(make_client: MakeClient) -> None:
    def hang_up(server: socket.socket) -> None:
        for _ in range(2):
            connection, _ = server.accept()
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        client = make_client(base_url=f"https://127.0.0.1:{server.getsockname()[1]}/fhir", attempts=2)
        with pytest.raises(FhirTemporaryError):
            client.read("Patient", "a")
        thread.join()


def test_a_client_is_a_context_manager_that_closes_its_connections(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir(patient("a")))
    client = make_client()
    with client as same:
        assert isinstance(same, FhirClient)
        same.read("Patient", "a")
    before = stub.connections
    client._transport._session.get(stub.base, timeout=1).close()
    assert stub.connections == before + 1
