"""CH-80, CH-81: preflights, and the headers without which an error looks like a dead network to a browser."""

import json
from typing import Any

import pytest
from tests.conformance.cds.conftest import BROWSER, MakeEhr
from tests.conformance.cds.ehr import FEEDBACK, SERVICE, Ehr, call
from tests.unit.cds_hooks.bearer.issuer import bearer, claims

from cds_hooks import live
from cds_hooks.sidecar import EXTENSION
from screening.errors import FhirTemporaryError

FOREIGN = (
    "http://evil.example",
    "null",
    f"{BROWSER}.evil.example",
    f"{BROWSER}:444",
    "http://ehr.example.org",
    "*",
    "",
)
PREFLIGHTS = [
    ("/cds-services", "GET", "authorization"),
    (SERVICE, "POST", "authorization,content-type"),
    (FEEDBACK, "POST", "authorization,content-type"),
]


def preflight(ehr: Ehr, path: str, method: str, headers: str, origin: str = BROWSER) -> Any:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return ehr.ask("OPTIONS", path, headers=asked)


@pytest.mark.parametrize(("path", "method", "headers"), PREFLIGHTS)
@pytest.mark.parametrize("which", ["browser_ehr", "token_ehr"])
def test_ch80_a_preflight_is_answered_without_a_token(
    request: pytest.FixtureRequest, which: str, path: str, method: str, headers: str
) -> None:
    answer = preflight(request.getfixturevalue(which), path, method, headers)
    assert (answer.status_code, answer.get_data()) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == BROWSER
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert set(headers.split(",")) <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", FOREIGN)
def test_ch80_another_origin_is_told_nothing(browser_ehr: Ehr, origin: str) -> None:
    for answer in (
        preflight(browser_ehr, SERVICE, "POST", "content-type", origin),
        browser_ehr.get(headers={"Origin": origin}),
        browser_ehr.post(call(), headers={"Origin": origin}),
        browser_ehr.post(b"{", headers={"Origin": origin}),
    ):
        assert [name for name, _ in answer.headers if name.startswith("Access-Control-")] == []
        assert "Origin" in answer.headers["Vary"]  # a cache must not give this answer to the allowed one


def test_ch80_without_an_allowed_origin_there_is_no_cors(ehr: Ehr) -> None:
    assert preflight(ehr, SERVICE, "POST", "content-type").status_code == 405
    assert "Access-Control-Allow-Origin" not in ehr.get(headers={"Origin": BROWSER}).headers


def test_ch80_the_allowed_origin_reads_the_answer(browser_ehr: Ehr) -> None:
    for answer in (browser_ehr.get(headers={"Origin": BROWSER}), browser_ehr.post(call(), headers={"Origin": BROWSER})):
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == BROWSER
        assert answer.headers.getlist("Access-Control-Allow-Origin") == [BROWSER]
        assert answer.headers["Access-Control-Expose-Headers"] == "X-Request-ID"


ERRORS: dict[int, dict[str, Any]] = {
    400: {"data": b"{"},
    404: {"path": "/cds-services/another"},
    405: {"method": "PUT"},
    412: {"data": json.dumps(call(without=("heart_rate",))).encode()},
    413: {"data": b" " * 300_000},
    415: {"content_type": "text/plain"},
}


@pytest.mark.parametrize("status", ERRORS)
def test_ch81_every_error_can_be_read_by_a_browser(make_ehr: MakeEhr, status: int) -> None:
    ehr = make_ehr(cors_origins=(BROWSER,), max_body_bytes=200_000)
    wanted = {
        "method": "POST",
        "path": SERVICE,
        "data": json.dumps(call()).encode(),
        "content_type": "application/json",
    }
    wanted |= ERRORS[status]
    answer = ehr.ask(wanted.pop("method"), wanted.pop("path"), headers={"Origin": BROWSER}, **wanted)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == BROWSER


def test_ch81_so_can_a_missing_token(token_ehr: Ehr) -> None:
    for path, method in (("/cds-services", "GET"), (SERVICE, "POST"), (FEEDBACK, "POST")):
        answer = token_ehr.ask(method, path, headers={"Origin": BROWSER})
        assert answer.status_code == 401
        assert answer.headers["Access-Control-Allow-Origin"] == BROWSER
    sent = {"Origin": BROWSER, "Authorization": bearer(claims(token_ehr.clock.now.timestamp()))}
    answer = token_ehr.post(call(), headers=sent)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, BROWSER)


@pytest.mark.parametrize(("error", "status"), [(ValueError(), 500), (FhirTemporaryError("busy"), 503)])
def test_ch81_so_can_a_failure(
    browser_ehr: Ehr, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def broken(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(live, "score", broken)
    answer = browser_ehr.post(call(), headers={"Origin": BROWSER})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, BROWSER)


def test_ch81_so_can_a_missing_model(browser_ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_ehr.app.extensions[EXTENSION].screens["sepsis-risk"], "state", "gone")
    for path, method in ((SERVICE, "POST"), ("/health", "GET")):
        body = json.dumps(call()).encode()
        answer = browser_ehr.ask(method, path, data=body, content_type="application/json", headers={"Origin": BROWSER})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (503, BROWSER)
