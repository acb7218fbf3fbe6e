"""Tokens over HTTP: every endpoint of CDS Hooks asks for one of its own, and the reason of a refusal stays here."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from tests.charts import SICK, T, chart
from tests.unit.cds_hooks.bearer.issuer import (
    BASE,
    EC_KEY,
    ISS,
    NOW,
    OURS,
    bearer,
    claims,
    forged,
    headers,
    jwk,
    key_set,
)
from tests.unit.cds_hooks.hook_requests import TOKEN, authorization
from tests.unit.cds_hooks.sidecars import SERVICE, asked, parts, published, running
from tests.unit.feedback.cards import named, rows
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from fhir_sandbox.server import SandboxServer

OTHER = "https://other.example.org"
AT = datetime.fromtimestamp(NOW, UTC)
FEEDBACK = {"feedback": [{"card": named(1), "outcome": "overridden", "outcomeTimestamp": "2026-03-01T10:00:00Z",
                          "overrideReason": {"userComment": "x"}}]}  # fmt: skip
CALLS: dict[str, tuple[str, Any]] = {
    "/cds-services": ("GET", None),
    SERVICE: ("POST", asked()),
    f"{SERVICE}/feedback": ("POST", FEEDBACK),
}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """The FHIR server of one of the two EHRs."""
    with SandboxServer() as sandbox:
        sandbox.load(chart("p", SICK))
        yield sandbox


@pytest.fixture(scope="module")
def app(server: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("auth")
    published(folder / "models", "1")
    (folder / "keys.json").write_bytes(OURS)
    (folder / "other.json").write_bytes(key_set(jwk(EC_KEY, "ec-1")))
    (folder / "ehrs.yaml").write_text(
        f"ehrs:\n  - {{iss: {ISS}, jwks: keys.json, fhir_servers: ['{server.base_url}']}}\n"
        f"  - {{iss: {OTHER}, jwks: other.json}}\n"
    )
    told = {"auth": "required", "ehrs": folder / "ehrs.yaml", "base_url": BASE, "prediction_time": "latest"}
    with running(folder / "state", folder / "models", at=AT, cors_origins=("https://ui.example",), **told) as made:
        yield made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def token(path: str, **changes: Any) -> dict[str, str]:
    return {"Authorization": bearer(claims(aud=BASE + path, **changes))}


def send(client: Any, path: str, sent: dict[str, str], **how: Any) -> Any:
    method, body = CALLS[path]
    return client.open(path, method=method, json=body, headers=sent, **how)


REFUSED: dict[str, Any] = {
    "none": lambda path: {},
    "empty": lambda path: {"Authorization": ""},
    "basic": lambda path: {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
    "garbage": lambda path: {"Authorization": "Bearer gar.ba.ge"},
    "no bearer": lambda path: {"Authorization": token(path)["Authorization"].removeprefix("Bearer ")},
    "unsigned": lambda path: {"Authorization": forged(claims(aud=BASE + path), headers(alg="none"), b"")},
    "forged": lambda path: {"Authorization": forged(claims(aud=BASE + path), headers())},
    "expired": lambda path: token(path, iat=int(NOW) - 900, exp=int(NOW) - 600),
    "of a stranger": lambda path: token(path, iss="https://stranger.example"),
    "for another address": lambda path: {"Authorization": bearer(claims(aud=f"https://evil.example{path}"))},
    "for this host as called": lambda path: {"Authorization": bearer(claims(aud=f"http://localhost{path}"))},
}


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("kind", REFUSED)
def test_ch60_without_a_good_token_it_is_401_and_no_word_why(client: FlaskClient, path: str, kind: str) -> None:
    answer = send(client, path, REFUSED[kind](path))
    plain = send(client, path, {})
    assert (answer.status_code, answer.mimetype) == (401, "application/json")
    assert answer.json == plain.json
    assert answer.headers["WWW-Authenticate"] == plain.headers["WWW-Authenticate"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "error_description" not in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", CALLS)
def test_ch60_with_a_good_token_each_endpoint_answers(client: FlaskClient, path: str) -> None:
    assert send(client, path, token(path)).status_code == 200


def test_ch60_refused_feedback_is_not_kept(app: Flask, client: FlaskClient) -> None:
    path = f"{SERVICE}/feedback"
    unheard = {"feedback": [FEEDBACK["feedback"][0] | {"card": named(77)}]}
    assert client.post(path, json=unheard).status_code == 401
    added = parts(app).feedback
    database = added._database.file
    assert database is not None
    assert named(77) not in [card for card, _ in rows(database)]


def test_ch60_who_may_not_call_learns_of_no_service_and_no_defect_of_a_body(client: FlaskClient) -> None:
    for path, body in (("/cds-services/none-risk", {}), (SERVICE, "{"), (f"{SERVICE}/feedback", "[]")):
        assert client.post(path, data=str(body), content_type="text/plain").status_code == 401


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("made_for", CALLS)
def test_ch64_a_token_is_for_one_endpoint(client: FlaskClient, path: str, made_for: str) -> None:
    assert send(client, path, token(made_for)).status_code == (200 if made_for == path else 401)


def test_ch64_aud_may_be_an_array(client: FlaskClient) -> None:
    several = [BASE + path for path in CALLS]
    for path in CALLS:
        assert send(client, path, {"Authorization": bearer(claims(aud=several))}).status_code == 200


SPOOFED = {
    "host": {"Host": "evil.example"},
    "forwarded host": {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
    "forwarded": {"Forwarded": "host=evil.example;proto=https"},
    "prefix": {"X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil"},
    "rewritten": {"X-Original-URL": "/cds-services", "X-Rewrite-URL": "/cds-services"},
    "method": {"X-HTTP-Method-Override": "GET"},
}


@pytest.mark.parametrize("kind", SPOOFED)
@pytest.mark.parametrize("path", CALLS)
def test_ch64_ch82_no_header_of_the_caller_s_moves_the_audience(client: FlaskClient, path: str, kind: str) -> None:
    spoofed = SPOOFED[kind]
    assert send(client, path, token(path) | spoofed).status_code == 200
    for base in ("https://evil.example", "http://evil.example", "https://evil.example/hospital", f"{BASE}/evil"):
        wrong = {"Authorization": bearer(claims(aud=base + path))}
        assert send(client, path, wrong | spoofed).status_code == 401


def test_ch64_mounted_under_a_prefix_the_audience_is_the_public_address(app: Flask) -> None:
    def nothing(environ: Any, start_response: Any) -> Any:
        start_response("404 Not Found", [])
        return []

    mounted = Client(DispatcherMiddleware(nothing, {"/inside/cds": app.wsgi_app}))
    for path, (method, body) in CALLS.items():
        for aud, status in ((BASE + path, 200), (f"{BASE}/inside/cds{path}", 401), (f"{BASE}/inside{path}", 401)):
            sent = {"Authorization": bearer(claims(aud=aud))}
            answer = mounted.open(f"/inside/cds{path}", method=method, json=body, headers=sent)
            assert answer.status_code == status


def test_ch67_a_token_is_good_once(client: FlaskClient) -> None:
    for path in CALLS:
        once = token(path)
        assert [send(client, path, once).status_code for _ in range(3)] == [200, 401, 401]


def test_ch67_a_refused_body_uses_its_token_up(client: FlaskClient) -> None:
    once = token(SERVICE)
    assert client.post(SERVICE, data="{", content_type="application/json", headers=once).status_code == 400
    assert send(client, SERVICE, once).status_code == 401


def test_ch83_who_runs_the_service_needs_no_token(client: FlaskClient) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/metrics", "/models/sepsis/1/model-card"):
        assert client.get(path).status_code == 200


def test_ch80_a_preflight_needs_no_token_and_a_refusal_can_be_read(client: FlaskClient) -> None:
    for path, (method, _) in CALLS.items():
        asks = {"Origin": "https://ui.example", "Access-Control-Request-Method": method}
        answer = client.options(path, headers=asks | {"Access-Control-Request-Headers": "authorization"})
        assert answer.status_code == 204
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
        refused = send(client, path, {"Origin": "https://ui.example"})
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "https://ui.example"


def test_an_iss_fetches_from_its_own_ehr_s_servers_only(client: FlaskClient, server: SandboxServer) -> None:
    body = {
        **asked(fhirServer=server.base_url, fhirAuthorization=authorization(scope="patient/*.read")),
        "prefetch": {},
    }
    before = sum(server.stats.to_json()["requests"].values())
    theirs = client.post(SERVICE, json=body, headers=token(SERVICE, iss=OTHER))
    assert theirs.status_code == 412
    assert sum(server.stats.to_json()["requests"].values()) == before
    ours = client.post(SERVICE, json=body, headers=token(SERVICE))
    assert ours.status_code == 200
    assert "HIGH" in ours.json["cards"][0]["summary"]  # type: ignore[index]
    assert sum(server.stats.to_json()["requests"].values()) > before


def test_ch53_ch60_ch84_the_log_tells_the_reason_and_no_token(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good, bad = token(SERVICE, jti="good-1"), token(SERVICE, jti="bad-1", iat=int(NOW) - 900, exp=int(NOW) - 600)
    body = asked(chart("p", SICK, name=[{"family": "MARKERNAME"}]), fhirServer="https://no.example/fhir",
                 fhirAuthorization=authorization(scope="patient/*.read"))  # fmt: skip
    assert client.post(SERVICE, json=body, headers=good).status_code == 200
    assert client.post(SERVICE, json=body, headers=bad).status_code == 401
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (good["Authorization"][7:], bad["Authorization"][7:], TOKEN, "MARKERNAME", "1966-03-10"):
        assert secret not in said
    assert "expired" in caplog.text
    lines = [record.getMessage() for record in caplog.records if record.name == "cds_hooks.calls"]
    assert f'"iss":"{ISS}","jti":"good-1"' in lines[0]
    for part in ('"status":200', '"risk_level":"high"', '"model_version":"1"', '"hook_instance":"d1577c69', '"ms":'):
        assert part in lines[0]
    assert '"status":401' in lines[1]
    assert '"service":"sepsis-risk"' in lines[1]


def test_ch60_off_asks_nobody(tmp_path: Path) -> None:
    published(tmp_path / "models", "1")
    with running(tmp_path / "state", tmp_path / "models", at=T) as off:
        for path in CALLS:
            assert send(off.test_client(), path, {}).status_code == 200
