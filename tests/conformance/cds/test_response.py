"""CH-40 to CH-4G: what leaves, for whom there is a score, for whom there is none, and when something fails."""

import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.charts import ROOT
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import KEYS, LEVELS, NOW, Ehr, Json, call, granting, no_data, prefetch, said, with_keys

from cds_hooks import live
from cds_hooks.sidecar import EXTENSION
from fhir_sandbox.server import SandboxServer
from screening.errors import FhirTemporaryError, ModelError

MARKER = "m4rkerPHI"
EVIL = (
    f"<img src=http://evil.example/x onerror=alert(1)> | \n# {MARKER} [a](javascript:1) ![b](http://evil.example/y) `c`"
)


def test_ch40_a_low_risk_is_an_empty_array_and_nothing_else(ehr: Ehr) -> None:
    answer = ehr.post(call("demo-low"))
    assert (answer.status_code, answer.mimetype, answer.json) == (200, "application/json", {"cards": []})


@pytest.mark.parametrize("who", ["demo-high", "demo-moderate"])
def test_ch40_ch44_a_raised_risk_is_one_card(ehr: Ehr, who: str) -> None:
    card = ehr.card(call(who))
    level = {"critical": "HIGH", "warning": "MODERATE"}[card["indicator"]]
    assert card["indicator"] == LEVELS[who]
    assert re.fullmatch(rf"Sepsis Risk: {level} \(\d\d%\)", card["summary"])
    assert card["source"]["label"] == "Sepsis risk screening"


@pytest.mark.parametrize("missing", ["patient", "heart_rate", "respiratory_rate"])
def test_ch41_what_is_needed_and_cannot_be_had_is_412_naming_it(ehr: Ehr, missing: str) -> None:
    answer = ehr.post(call(without=(missing,)))
    assert answer.status_code == 412
    (issue,) = answer.json["issue"]
    assert (issue["severity"], issue["code"]) == ("error", "required")
    assert (
        issue["diagnostics"] == f"{missing}: not sent, and not obtained: the call names no fhirServer to fetch it from"
    )


def test_ch41_without_prefetch_and_server_every_key_that_is_needed_is_named(ehr: Ehr) -> None:
    for nothing in ({**call(), "prefetch": {}}, {key: value for key, value in call().items() if key != "prefetch"}):
        text = ehr.refused(412, nothing)
        assert [key for key in KEYS if f"{key}: not sent" not in text] == []
    text = ehr.refused(412, call(without=KEYS[1:]))
    assert all(f"{key}: not sent" in text for key in ("heart_rate", "respiratory_rate"))


def test_ch41_a_server_that_is_not_listed_or_not_there_is_412(
    ehr: Ehr, fetching_ehr: Ehr, make_ehr: MakeEhr, tmp_path: Path, fhir_server: SandboxServer
) -> None:
    assert "none that this service may ask" in ehr.refused(412, granting(fhir_server.base_url))
    (tmp_path / "ehrs.yaml").write_text("ehrs:\n  - fhir_servers: [http://127.0.0.1:9/fhir]\n")
    gone = make_ehr(ehrs=tmp_path / "ehrs.yaml", fetch_seconds=0.5)
    assert "cannot be reached" in gone.refused(412, granting("http://127.0.0.1:9/fhir"))
    text = fetching_ehr.refused(412, granting(fhir_server.base_url, access_token="another-token"))
    assert "does not know the access token (401)" in text
    assert "another-token" not in text
    text = fetching_ehr.refused(412, granting(fhir_server.base_url, scope="patient/Patient.read"))
    assert "lacks the scope" in text


def test_ch42_too_few_data_are_a_card_that_says_what_is_missing(ehr: Ehr) -> None:
    card = ehr.card(no_data())
    assert (card["indicator"], card["summary"][:25]) == ("info", "Sepsis risk not computed:")
    assert "**No score, as of 2026-03-10T12:00Z.** This is not a low risk." in card["detail"]
    for display in ("Heart rate", "Temperature", "Respiratory rate", "White blood cells", "Lactate", "Creatinine"):
        assert f"| {display} | – | – | **missing**" in card["detail"]
    assert "%" not in json.dumps([card["summary"], card["detail"]])
    assert {one["label"] for one in card["suggestions"]} >= {"Order Lactate", "Order White blood cells"}


def test_ch42_data_that_are_too_old_are_told_with_their_age(ehr: Ehr) -> None:
    ehr.clock.now = NOW.replace(day=12)
    try:
        card = ehr.card(call())
    finally:
        ehr.clock.now = NOW
    assert card["indicator"] == "info"
    assert "| Heart rate | 2026-03-10T11:00Z | 2 d 1 h | **missing** |" in card["detail"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError(MARKER), 500), (KeyError(MARKER), 500), (ModelError("sentence"), 500), (MemoryError(), 500),
     (FhirTemporaryError("sentence"), 503), (RecursionError(MARKER), 500)],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)  # fmt: skip
def test_ch43_whatever_is_raised_is_an_error_that_shows_nothing(
    ehr: Ehr, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(live, "score", broken)
    answer = ehr.post(call())
    assert answer.status_code == status
    assert MARKER not in answer.get_data(as_text=True) + lines.text
    assert "sentence" not in answer.get_data(as_text=True)
    if status == 500:
        assert said(answer).endswith(f"[{answer.headers['X-Request-ID']}]")
    assert type(error).__name__ in lines.text or "sentence" in lines.text


def test_ch43_the_model_s_own_failure_is_no_score(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = ehr.app.extensions[EXTENSION].screens["sepsis-risk"].loaded.bundle
    monkeypatch.setattr(type(bundle), "predict_with_contributions", lambda *_: 1 / 0)
    assert ehr.post(call("demo-low")).status_code == 500


def test_ch43_a_model_that_goes_away_is_503_and_comes_back(make_ehr: MakeEhr, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(ROOT / "include/models", tmp_path / "models")
    ehr = make_ehr(models=tmp_path / "models")
    assert len(ehr.cards(call())) == 1
    model = tmp_path / "models/sepsis/1.0.0/model.pkl"
    model.rename(model.with_suffix(".away"))
    assert "model of this service is not available" in eventually(lambda: ehr.post(call()), 503)
    assert [one["id"] for one in ehr.get().json["services"]] == ["sepsis-risk"]
    model.with_suffix(".away").rename(model)
    eventually(lambda: ehr.post(call()), 200)


def eventually(ask: Any, status: int) -> str:
    """Ask until it is answered so; a model is exchanged beside the calls."""
    until = time.monotonic() + 30
    while (answer := ask()).status_code != status:
        assert time.monotonic() < until, answer.get_data(as_text=True)
        time.sleep(0.05)
    return str(answer.get_data(as_text=True))


def test_ch44_no_summary_is_longer_than_139_whatever_the_title(make_ehr: MakeEhr, tmp_path: Path) -> None:
    text = (ROOT / "include/schemas/sepsis.yaml").read_text()
    long = re.sub(r"display: ([A-Z])", lambda found: f"display: {'Very long ' * 20}{found[1]}", text)
    (tmp_path / "s.yaml").write_text(long.replace("title: Sepsis", f"title: {'Sepsis of all kinds ' * 10}"))
    ehr = make_ehr(schemas=tmp_path)
    for body in (call(), call("demo-moderate"), no_data()):
        assert len(ehr.card(body)["summary"]) <= 139


def test_ch45_every_card_and_suggestion_has_a_uuid_of_its_own(ehr: Ehr) -> None:
    body = with_keys(lactate=None, wbc=None)
    seen = [one["uuid"] for _ in range(20) for card in ehr.cards(body) for one in (card, *card["suggestions"])]
    assert len(seen) == len(set(seen)) == 60


def test_ch46_no_foreign_text_is_markup(ehr: Ehr) -> None:
    sent = prefetch()
    sent["patient"]["name"] = [{"family": EVIL, "given": [EVIL]}]
    sent["patient"]["text"] = {"status": "generated", "div": EVIL}
    for entry in sent["lactate"]["entry"]:
        entry["resource"]["code"]["text"] = EVIL
        entry["resource"]["note"] = [{"text": EVIL}]
        entry["resource"]["valueQuantity"] |= {"unit": EVIL, "code": EVIL}
    sent["wbc"] = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": EVIL, "diagnostics": EVIL}],
    }
    for more in ({}, dict.fromkeys(("heart_rate", "temperature"))):
        card = ehr.card(with_keys(**sent | more))
        for text in (card["detail"], card["summary"]):
            assert MARKER not in text
            assert not re.search(r"<\w|javascript:|evil\.example|^#", text, re.M)


@pytest.mark.parametrize("body", [call(), no_data()], ids=["risk", "not computed"])
def test_ch47_ch4a_source_and_links_are_absolute_and_lead_to_the_model_card(ehr: Ehr, body: Json) -> None:
    card = ehr.card(body)
    assert set(card["source"]["topic"]) == {"system", "code", "display"}
    (link,) = card["links"]
    assert (link["type"], set(link)) == ("absolute", {"label", "url", "type"})
    assert link["url"] == card["source"]["url"]
    answer = ehr.get(urlsplit(link["url"]).path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "Model card" in answer.get_data(as_text=True)


def test_ch47_the_public_address_is_what_is_set_and_not_the_host_header(make_ehr: MakeEhr) -> None:
    ehr = make_ehr(base_url="https://cds.example.org/hospital")
    headers = {"Host": "evil", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    card = ehr.card(call(), headers=headers)
    assert card["source"]["url"] == "https://cds.example.org/hospital/models/sepsis/1.0.0/model-card"
    assert "evil" not in json.dumps(card)


def test_ch48_nothing_is_null_or_empty_but_the_array_of_cards(ehr: Ehr) -> None:
    bodies = [call(who) for who in LEVELS] + [no_data(), with_keys(lactate=None)]
    for body in bodies:  # `Ehr` holds each answer against the rule
        assert ehr.post(body).status_code == 200
    assert ehr.post(call(context={"encounterId": None})).status_code == 200


def test_ch49_a_missing_laboratory_value_is_suggested_as_an_order(ehr: Ehr) -> None:
    card = ehr.card(with_keys(lactate=None) | {"context": call()["context"] | {"encounterId": "e1"}})
    assert card["selectionBehavior"] == "any"
    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert (suggestion["label"], action["type"]) == ("Order Lactate", "create")
    order = action["resource"]
    assert (order["resourceType"], order["status"], order["intent"]) == ("ServiceRequest", "draft", "proposal")
    assert order["subject"] == {"reference": "Patient/demo-high"}
    assert order["encounter"] == {"reference": "Encounter/e1"}
    assert "suggestions" not in ehr.card(call())


def test_ch4b_override_reasons_come_with_their_displays(ehr: Ehr) -> None:
    reasons = ehr.card(call())["overrideReasons"]
    assert 4 <= len(reasons) <= 6
    assert {one["system"] for one in reasons} == {"http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"}
    assert all(set(one) == {"code", "system", "display"} for one in reasons)


def test_ch4c_system_actions_are_off_until_they_are_agreed_upon(ehr: Ehr, make_ehr: MakeEhr) -> None:
    assert set(ehr.post(call()).json) == {"cards"}
    other = make_ehr(system_actions=True)
    for who in LEVELS:
        (action,) = other.post(call(who)).json["systemActions"]
        assert (action["type"], action["resource"]["resourceType"]) == ("create", "RiskAssessment")
        assert action["resource"]["subject"] == {"reference": f"Patient/{who}"}
    assert set(other.post(no_data()).json) == {"cards"}


def test_ch4d_f29_no_attribute_that_the_standard_does_not_have(ehr: Ehr) -> None:
    for body in (call(), no_data(), with_keys(lactate=None)):
        text = json.dumps(ehr.card(body))
        assert "actionSelectionBehavior" not in text
        assert '"title"' not in text


def test_ch4e_an_answer_takes_less_than_half_a_second(ehr: Ehr) -> None:
    bodies = [json.dumps(call(who)).encode() for who in LEVELS]
    taken = []
    for turn in range(60):
        begun = time.perf_counter()
        ehr.post(bodies[turn % 3])
        taken.append(time.perf_counter() - begun)
    assert sorted(taken)[56] < 0.5


def test_ch4f_each_input_has_value_unit_time_and_age_and_what_is_stale_is_said(ehr: Ehr) -> None:
    sent = prefetch()
    for entry in sent["lactate"]["entry"]:
        entry["resource"]["effectiveDateTime"] = "2026-03-08T06:00:00Z"
        entry["resource"].pop("issued")
    detail = ehr.card(with_keys(**sent))["detail"]
    assert re.search(
        r"^\| Heart rate \| \d+(\.\d+)? /min \| 2026-03-10T11:00Z \| 60 min \| mean of 12 values \|$", detail, re.M
    )
    assert re.search(
        r"^\| Lactate \| none \|.*\*\*stale:\*\* the newest value is of 2026-03-08T06:00Z \(2 d 6 h\)", detail, re.M
    )


def test_ch4g_a_clinician_can_judge_it_without_trusting_it(ehr: Ehr) -> None:
    detail = ehr.card(with_keys(lactate=None))["detail"]
    sha256 = ehr.get("/health").json["services"]["sepsis-risk"]["model"]["sha256"]
    for told in (
        "**Preliminary:** 1 of 8 inputs not observed", "**imputed**", "MODERATE from 40%, HIGH from 70%",
        "The model's own threshold", "Strongest reasons, in log-odds", "Screen sepsis 1.0.0, model sepsis 1.0.0",
        f"sha256 {sha256[:12]}", "/models/sepsis/1.0.0/model-card", "not a medical device", "synthetic patients",
    ):  # fmt: skip
        assert told in detail
