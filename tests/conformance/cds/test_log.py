"""CH-84, CH-53: a line of log a call says who asked and what became of it, and no log ever has names, values or tokens."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import FEEDBACK, SERVICE, Ehr, Json, call, granting, no_data, prefetch, with_keys
from tests.conformance.cds.raw import served
from tests.unit.cds_hooks.bearer.issuer import bearer, claims
from tests.unit.cds_hooks.hook_requests import TOKEN

from cds_hooks import live, service
from fhir_sandbox.server import SandboxServer

PHI, VALUE = "M4rkerfamily", "4242.4242"
CARD = "7b5ab49e-5f3a-4b1a-8f0c-6a3a2f0b6b11"


def lined(lines: pytest.LogCaptureFixture) -> list[Json]:
    """Return the lines of calls."""
    return [json.loads(one.getMessage()) for one in lines.records if one.name == "cds_hooks.calls"]


def marked(who: str = "demo-high") -> Json:
    """Return a request with markers wherever a chart has words: names, identifiers, dates, values, notes."""
    sent = prefetch(who)
    sent["patient"] |= {
        "name": [{"family": PHI, "given": [PHI]}], "identifier": [{"system": f"urn:{PHI}", "value": PHI}],
        "address": [{"line": [PHI]}], "telecom": [{"value": PHI}],
    }  # fmt: skip
    for entry in sent["lactate"]["entry"]:
        entry["resource"]["note"] = [{"text": PHI}]
        entry["resource"]["code"]["text"] = PHI
    odd = json.loads(json.dumps(sent["lactate"]["entry"][0]["resource"]))
    odd["id"], odd["valueQuantity"] = "odd", {"value": float(VALUE), "unit": PHI, "code": PHI}
    sent["lactate"]["entry"].append({"resource": odd})
    return call(who) | {"prefetch": sent}


def nothing_shows(text: str, *more: str) -> None:
    """Check a log for what must not be in it."""
    birth = str(prefetch()["patient"]["birthDate"])
    assert [word for word in (PHI, VALUE, birth, TOKEN, "Practitioner/dr-1", *more) if word in text] == []


def whole(lines: pytest.LogCaptureFixture) -> str:
    """Return all that was logged, with what a formatter might add: arguments, exceptions and locals."""
    return lines.text + "".join(
        f"{one.args!r} {one.exc_info!r} {one.exc_text!r} {vars(one)!r}" for one in lines.records
    )


def test_ch84_a_line_says_who_asked_and_what_became_of_it(token_ehr: Ehr, lines: pytest.LogCaptureFixture) -> None:
    token = bearer(claims(token_ehr.clock.now.timestamp(), jti="jti-1"))
    answer = token_ehr.post(marked(), headers={"Authorization": token, "X-Request-ID": "r-1"})
    assert answer.status_code == 200
    (line,) = lined(lines)
    assert line.pop("ms") > 0
    assert line == {
        "request_id": "r-1", "method": "POST", "route": "/cds-services/<service>", "status": 200, "service": "sepsis-risk",
        "iss": "https://ehr.example.org", "jti": "jti-1", "hook_instance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "answer": "risk", "risk_level": "high", "model_version": "1.0.0",
    }  # fmt: skip
    nothing_shows(whole(lines), token.removeprefix("Bearer "), token.rsplit(".", 1)[1])


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [(marked("demo-low"), 200, "low"), (no_data(), 200, "not_computed"), (call(without=("heart_rate",)), 412, None),
     (call(context={"userId": "Patient/demo-high"}), 200, "not_a_clinician"), (call(hook=PHI), 400, None)],
)  # fmt: skip
def test_ch84_every_call_has_its_line(
    ehr: Ehr, lines: pytest.LogCaptureFixture, body: Json, status: int, answer: str | None
) -> None:
    assert ehr.post(body).status_code == status
    (line,) = lined(lines)
    assert (line["status"], line.get("answer"), line["service"]) == (status, answer, "sepsis-risk")
    nothing_shows(whole(lines))


@pytest.mark.parametrize(
    "path", ["/nope", f"/cds-services/{PHI}", f"{SERVICE}?patient={PHI}", f"/%0a{PHI}", f"/{PHI}?{VALUE}"]
)
def test_ch84_what_stands_in_a_url_is_not_logged(ehr: Ehr, lines: pytest.LogCaptureFixture, path: str) -> None:
    ehr.post(call(), path)
    assert len(lined(lines)) == 1
    nothing_shows(whole(lines))


def refused_bodies() -> list[tuple[int, Any]]:
    """Return bodies with markers, and the status that each gets."""
    other = marked()
    other["prefetch"]["patient"]["id"] = PHI
    named = marked() | {"hookInstance": f"{PHI}\n"}
    lost = marked()
    lost["prefetch"].pop("heart_rate")
    return [
        (400, f'{{"name": "{PHI}"'.encode()), (400, other), (400, named), (412, lost),
        (400, marked() | {"fhirServer": f"https://{PHI}@{VALUE}"}), (200, with_keys(lactate={"resourceType": PHI})),
        (200, with_keys(lactate={"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": PHI}]})),
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), refused_bodies())
def test_ch84_a_refusal_tells_the_log_nothing_of_the_chart(
    ehr: Ehr, lines: pytest.LogCaptureFixture, status: int, body: Any
) -> None:
    answer = ehr.post(body)
    assert answer.status_code == status
    nothing_shows(whole(lines))
    nothing_shows(answer.get_data(as_text=True))


def test_ch84_a_refused_token_is_named_by_its_jti_alone(token_ehr: Ehr, lines: pytest.LogCaptureFixture) -> None:
    token = bearer(claims(token_ehr.clock.now.timestamp() - 3600, jti="jti-2"))
    answer = token_ehr.post(marked(), headers={"Authorization": token})
    assert answer.status_code == 401
    assert "jti-2" in whole(lines)
    nothing_shows(whole(lines), token.removeprefix("Bearer "), token.rsplit(".", 1)[1])
    nothing_shows(answer.get_data(as_text=True), "jti-2", "exp")


@pytest.mark.parametrize("where", ["score", "FhirReader", "sort_out", "risk_card"])
def test_ch84_ch53_an_exception_that_quotes_the_chart_shows_neither_message_nor_locals(
    fetching_ehr: Ehr,
    fhir_server: SandboxServer,
    lines: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    def broken(*given: Any, **_: Any) -> Any:
        try:
            raise KeyError(PHI, given)
        except KeyError as cause:
            raise ValueError(f"{PHI} {VALUE} {TOKEN}") from cause

    monkeypatch.setattr(service if where == "risk_card" else live, where, broken)
    body = granting(fhir_server.base_url, sent=("patient", "lactate"))
    body["prefetch"] |= {key: marked()["prefetch"][key] for key in ("patient", "lactate")}
    answer = fetching_ehr.post(body)
    assert answer.status_code == 500
    nothing_shows(whole(lines))
    nothing_shows(answer.get_data(as_text=True))
    assert "ValueError at test_log.py" in lines.text  # where it happened is told
    assert (lined(lines)[0]["status"], lined(lines)[0]["request_id"]) == (500, answer.headers["X-Request-ID"])


def test_ch53_a_token_lent_by_the_ehr_is_in_no_log(
    fetching_ehr: Ehr, fhir_server: SandboxServer, lines: pytest.LogCaptureFixture
) -> None:
    for sent in (("patient",), ()):
        assert fetching_ehr.card(granting(fhir_server.base_url, sent=sent))["indicator"] == "critical"
    fetching_ehr.refused(412, granting(fhir_server.base_url, access_token=f"{TOKEN}-bad"))
    assert lined(lines)[0]["fetched"] == 6
    nothing_shows(whole(lines))


def test_ch84_feedback_s_comment_is_in_no_log(ehr: Ehr, lines: pytest.LogCaptureFixture) -> None:
    entry = {"card": CARD, "outcome": "overridden", "outcomeTimestamp": "2026-03-10T12:00:00Z"}
    given = {"feedback": [entry | {"overrideReason": {"userComment": PHI}}]}
    assert ehr.post(given, FEEDBACK).status_code == 200
    assert lined(lines)[0]["entries"] == 1
    ehr.refused(400, {"feedback": [entry | {"overrideReason": {"userComment": f"{PHI}\x00"}}]}, FEEDBACK)
    ehr.refused(400, {"feedback": [entry | {"outcome": PHI}]}, FEEDBACK)
    nothing_shows(whole(lines))


@pytest.mark.parametrize("given", ["x" * 65, "a b", 'x"y', "", PHI + "ä"])
def test_ch84_a_request_id_that_could_forge_a_line_is_replaced(
    ehr: Ehr, lines: pytest.LogCaptureFixture, given: str
) -> None:
    answer = ehr.get(headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] != given
    assert lined(lines)[0]["request_id"] == answer.headers["X-Request-ID"]


@pytest.fixture(scope="module")
def url(make_ehr: MakeEhr) -> Iterator[str]:
    """A real server, whose own log of requests a test client hides."""
    with served(make_ehr().app) as port:
        yield f"http://127.0.0.1:{port}"


def test_ch84_the_server_s_own_log_has_nothing_of_the_chart(url: str, lines: pytest.LogCaptureFixture) -> None:
    content = json.dumps(marked()).encode()
    asked = Request(
        f"{url}{SERVICE}", content, {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    )
    with urlopen(asked) as answer:
        assert answer.status == 200
    assert f'"POST {SERVICE} HTTP/1.1" 200' in lines.text  # werkzeug's own line
    nothing_shows(whole(lines))
