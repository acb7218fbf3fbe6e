"""Whom the sidecar believes on the network: a hospital's own authorities, and plain http only where a site says so."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from flask.testing import FlaskClient
from tests.unit.cds_hooks.bearer.issuer import ISS, OURS, bearer, claims
from tests.unit.cds_hooks.hook_requests import authorization, hook_request
from tests.unit.cds_hooks.sidecars import close
from tests.unit.fhir_client import test_transport
from tests.unit.fhir_client.stub_server import Call, Out, Stub, fhir, searchset

from cds_hooks.app import create_app
from cds_hooks.bearer.key_set import KeySetError
from cds_hooks.bearer.key_sources import KeyUrl
from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.hook_request import parse
from cds_hooks.settings import Settings, SettingsError, from_environment
from screening.schema import load_schema

certificate = test_transport.certificate
ROOT = Path(__file__).resolve().parents[3]
BASE = "https://cds.example.org"
PATH = "/cds-services/sepsis-risk"
NOTHING: dict[str, Any] = {"patient": {"resourceType": "Patient", "id": "p"}} | dict.fromkeys(
    name for name, one in load_schema(ROOT / "include/schemas/sepsis.yaml").features.items()
    if one.fhir_resource == "Observation"
)  # fmt: skip


@pytest.fixture(scope="module")
def ehr(certificate: Path) -> Iterator[Stub]:
    """An EHR behind a certificate of its own authority: its keys and its FHIR server."""
    server = Stub(certificate)

    def route(call: Call) -> Out:
        if call.target == "/keys":
            return Out(200, OURS)
        return fhir({"resourceType": "Patient", "id": "p"} if call.path.startswith("Patient/") else searchset([]))

    server.route = route
    yield server
    server.close()


@pytest.fixture(scope="module")
def client(ehr: Stub, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A sidecar that was told of that authority, and that http is allowed."""
    folder = tmp_path_factory.mktemp("trust")
    entry = {"iss": ISS, "jku": f"{ehr.origin}/keys", "fhir_servers": [ehr.base, "http://ehr.internal:8080/fhir"]}
    (folder / "ehrs.yaml").write_text(yaml.safe_dump({"ehrs": [entry]}), encoding="utf-8")
    environment = {
        "CDS_AUTH": "required", "CDS_EHRS": str(folder / "ehrs.yaml"), "CDS_STATE": str(folder), "CDS_BASE_URL": BASE,
        "CDS_CA_BUNDLE": str(certificate), "CDS_ALLOW_HTTP": "true",
    }  # fmt: skip
    app = create_app(from_environment(environment))
    yield app.test_client()
    close(app)


def post(client: FlaskClient, content: dict[str, Any]) -> Any:
    token = bearer(claims(time.time(), aud=BASE + PATH))
    headers = {"Authorization": token, "Content-Type": "application/json"}
    return client.post(PATH, data=orjson.dumps(content), headers=headers)


def test_ch66_keys_and_data_come_from_servers_that_the_site_s_own_authority_vouches_for(
    client: FlaskClient, ehr: Stub
) -> None:
    answer = post(client, hook_request(fhirServer=ehr.base, fhirAuthorization=authorization(scope="patient/*.read")))
    assert answer.status_code == 200, answer.text
    assert "not computed" in answer.json["cards"][0]["summary"]
    assert {call.target.split("?")[0] for call in ehr.calls} == {"/keys", "/fhir/Patient/p", "/fhir/Observation"}


def test_ch26_an_http_server_is_no_bad_request_where_http_is_allowed(client: FlaskClient) -> None:
    answer = post(client, hook_request(NOTHING, fhirServer="http://ehr.internal:8080/fhir"))
    assert answer.status_code == 200, answer.text


def test_ch82_without_the_bundle_nobody_vouches_for_them(ehr: Stub) -> None:
    with pytest.raises(KeySetError, match="no answer: SSLError"):
        KeyUrl(f"{ehr.origin}/keys")()
    fetcher = Fetcher(Settings(auth="off"), [(None, ehr.base)])
    try:
        content = hook_request(fhirServer=ehr.base)
        call = parse(orjson.dumps(content), ["patient-view"], strict_instance=False)
        schema = load_schema(ROOT / "include/schemas/sepsis.yaml")
        assert set(fetcher.fetch(call, schema, ["patient"], "p", None).unobtained) == {"patient"}
    finally:
        fetcher.close()


def test_ch26_that_http_is_allowed_is_said_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"CDS_AUTH": "off", "CDS_STATE": str(tmp_path), "CDS_ALLOW_HTTP": "true"}
    with caplog.at_level(logging.WARNING, "cds_hooks"):
        close(create_app(from_environment(settings)))
    assert "CDS_ALLOW_HTTP=true" in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
)
def test_a_bundle_without_certificates_is_refused_when_it_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca.pem").write_bytes(content)
    for path in (tmp_path / "ca.pem", tmp_path / "gone.pem", tmp_path):
        with pytest.raises(SettingsError, match="CDS_CA_BUNDLE: must be a file of certificates in PEM"):
            from_environment({"CDS_AUTH": "off", "CDS_CA_BUNDLE": str(path)})
