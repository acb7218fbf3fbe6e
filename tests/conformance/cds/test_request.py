"""CH-20 to CH-27: a request that is none is refused by name, and what is only unknown changes nothing."""

import json
from typing import Any

import pytest
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import SERVICE, Ehr, call, granting, said
from tests.unit.cds_hooks.hook_requests import TOKEN, authorization

from fhir_sandbox.server import SandboxServer

MARKER = "m4rkerVALUE"


@pytest.mark.parametrize("name", ["hook", "hookInstance", "context"])
def test_ch20_what_is_required_is_missed_by_name(ehr: Ehr, name: str) -> None:
    text = ehr.refused(400, {key: value for key, value in call().items() if key != name})
    assert f"{name} is missing" in text
    assert f"[{name}]" in text


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"null", b'"x"', b"\xff\xfe", b"{}" * 2, b"[" * 100_000, b"NaN"])
def test_ch20_a_body_that_is_no_object_is_refused(ehr: Ehr, body: bytes) -> None:
    assert "[body]" in ehr.refused(400, body)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
def test_ch20_only_json_is_taken(ehr: Ehr, content_type: str, status: int) -> None:
    assert ehr.post(call(), content_type=content_type).status_code == status


def test_ch20_an_unknown_service_is_404_and_another_method_405(ehr: Ehr) -> None:
    assert "GET /cds-services lists" in ehr.refused(404, call(), "/cds-services/sepsis")
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        answer = ehr.ask(method, SERVICE)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), method


def test_ch20_a_body_beyond_the_limit_is_413(make_ehr: MakeEhr) -> None:
    ehr = make_ehr(max_body_bytes=200_000)
    whole = json.dumps(call()).encode()
    assert ehr.post(whole + b" " * (200_000 - len(whole))).status_code == 200
    answer = ehr.post(whole + b" " * (200_001 - len(whole)))
    assert answer.status_code == 413
    assert "200000 bytes" in said(answer)


def test_ch21_a_hook_that_is_not_listed_is_refused(ehr: Ehr) -> None:
    assert "hook must be a hook that this service is listed for" in ehr.refused(400, call(hook="order-sign"))
    assert "[hook]" in ehr.refused(400, call(hook="encounter-start", context={"encounterId": "e1"}))


@pytest.mark.parametrize("patient_id", [None, "../x", "", "a b", "a/b", "p?x=1", "x" * 65, 7, "..", "p\n"])
def test_ch22_a_patient_id_that_is_none_is_refused_and_nobody_is_asked(
    fetching_ehr: Ehr, fhir_server: SandboxServer, patient_id: Any
) -> None:
    fhir_server.stats.reset()
    body = granting(fhir_server.base_url, scope="user/*.read", patient=None)
    body["context"]["patientId"] = patient_id
    assert "context.patientId" in fetching_ehr.refused(400, body)
    assert fhir_server.stats.to_json()["requests"] == {}


@pytest.mark.parametrize("user", [None, "", "Practitioner", "Practitioner/", "Device/1", "dr-1", "Practitioner/../1"])
def test_ch22_a_user_that_is_none_is_refused(ehr: Ehr, user: Any) -> None:
    assert "context.userId" in ehr.refused(400, call(context={"userId": user}))


def test_ch23_a_uuid_is_asked_for_where_that_is_set(ehr: Ehr, make_ehr: MakeEhr) -> None:
    body = call(hookInstance="fhir-mcp-instance")
    assert len(ehr.cards(body)) == 1
    assert "hookInstance must be a UUID" in make_ehr(strict_hook_instance=True).refused(400, body)
    for odd in ("", " ", "x" * 65, "a\nb", 7):
        assert "hookInstance" in ehr.refused(400, call(hookInstance=odd))


def test_ch24_authorization_needs_its_server(ehr: Ehr) -> None:
    text = ehr.refused(400, call(fhirAuthorization=authorization(patient="demo-high")))
    assert "fhirServer is missing" in text


@pytest.mark.parametrize("name", ["access_token", "token_type", "expires_in", "scope", "subject", "patient"])
def test_ch25_each_member_of_the_authorization_is_required(ehr: Ehr, name: str) -> None:
    given = authorization(**{"patient": "demo-high"} | {name: None})
    text = ehr.refused(400, call(fhirServer="https://ehr.example.org/fhir", fhirAuthorization=given))
    assert f"fhirAuthorization.{name} is missing" in text


@pytest.mark.parametrize(
    ("name", "odd"), [("token_type", "mac"), ("patient", "demo-low"), ("expires_in", "300"), ("access_token", "a\r\nb")]
)
def test_ch25_a_member_that_is_wrong_is_refused(ehr: Ehr, name: str, odd: str) -> None:
    given = authorization(**{"patient": "demo-high"} | {name: odd})
    text = ehr.refused(400, call(fhirServer="https://ehr.example.org/fhir", fhirAuthorization=given))
    assert f"[fhirAuthorization.{name}]" in text
    assert TOKEN not in text


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://ehr.example.org/fhir", 200),
        ("http://127.0.0.1:9/fhir", 200),
        ("http://ehr.example.org/fhir", 400),
        ("ftp://ehr.example.org/fhir", 400),
        ("/fhir", 400),
        ("https://a@ehr.example.org/fhir", 400),
    ],
)
def test_ch26_a_server_is_https_or_this_machine(ehr: Ehr, url: str, status: int) -> None:
    assert ehr.post(call(fhirServer=url)).status_code == status


def test_ch27_what_is_unknown_is_ignored(ehr: Ehr) -> None:
    plain = ehr.card(call())
    more = call(extension={"com.example.x": 1}, somethingNew=[1], context={"extension": {}, "another": None})
    found = ehr.card(more)
    assert {key: found[key] for key in ("summary", "indicator", "detail")} == {
        key: plain[key] for key in ("summary", "indicator", "detail")
    }
    assert "[extension]" in ehr.refused(400, call(extension=[{"com.example.x": 1}]))


def test_ch20_every_field_at_fault_is_named_at_once_and_no_value_repeated(ehr: Ehr) -> None:
    body = call(
        hook=MARKER, hookInstance=MARKER * 9, fhirServer=MARKER, context={"userId": MARKER, "patientId": f"{MARKER}/"}
    )
    text = ehr.refused(400, body)
    assert "[hook, hookInstance, context.userId, context.patientId, fhirServer]" in text
    assert MARKER not in text


def test_ch20_a_member_that_is_said_twice_is_refused(ehr: Ehr) -> None:
    body = json.dumps(call()).replace(
        '"hook":', '"context": {"userId": "Practitioner/1", "patientId": "q"}, "hook":', 1
    )
    assert "two members of one name" in ehr.refused(400, body.encode())
