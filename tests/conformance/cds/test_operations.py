"""CH-82, CH-83: behind a proxy, and for whoever runs it: health, figures, and nothing of any patient in them."""

from pathlib import Path

import pytest
from tests.conformance.cds.conftest import MakeEhr
from tests.conformance.cds.ehr import FEEDBACK, LEVELS, SERVICE, Ehr, call
from tests.unit.cds_hooks.bearer.issuer import BASE, bearer, claims

FORWARDED = {
    "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7;host=evil.example;proto=http", "X-Script-Name": "/evil",
}  # fmt: skip


def test_ch82_what_a_proxy_or_a_stranger_forwards_changes_nothing(ehr: Ehr, token_ehr: Ehr) -> None:
    assert ehr.get(headers=FORWARDED).get_data() == ehr.get().get_data()
    plain, forwarded = ehr.card(call()), ehr.card(call(), headers=FORWARDED | {"Host": "evil:80"})
    assert {**plain, "uuid": ""} == {**forwarded, "uuid": ""}
    now = token_ehr.clock.now.timestamp()
    for audience, status in ((BASE, 200), ("http://evil.example/evil", 401), ("http://localhost", 401)):
        token = bearer(claims(now, aud=f"{audience}/cds-services"))
        sent = FORWARDED | {"Host": "evil.example", "Authorization": token}
        assert token_ehr.get(headers=sent).status_code == status


def test_ch83_health_is_live_and_ready_with_the_model_s_hash_and_needs_no_token(ehr: Ehr, token_ehr: Ehr) -> None:
    for one in (ehr, token_ehr):
        assert one.get("/health/live").json == {"status": "live"}
        for path in ("/health", "/health/ready"):
            answer = one.get(path)
            assert (answer.status_code, answer.json["status"]) == (200, "ready")
            model = answer.json["services"]["sepsis-risk"]["model"]
            assert (model["name"], model["version"], len(model["sha256"])) == ("sepsis", "1.0.0", 64)
            assert one.ask("HEAD", path).status_code == 200


def test_ch83_a_service_without_its_model_is_live_and_not_ready(make_ehr: MakeEhr, tmp_path: Path) -> None:
    ehr = make_ehr(models=tmp_path)
    assert ehr.get("/health/live").status_code == 200
    answer = ehr.get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "not ready")
    assert answer.json["services"]["sepsis-risk"] == {"ready": False, "problem": "there is no model"}


@pytest.mark.parametrize("path", ["/health", "/health/live", "/metrics"])
def test_ch83_nothing_of_a_patient_shows(ehr: Ehr, path: str) -> None:
    for who in LEVELS:
        ehr.cards(call(who))
    ehr.refused(400, {"feedback": [{}]}, FEEDBACK)
    ehr.post(call(), f"{SERVICE}-m4rker")
    text = ehr.get(path).get_data(as_text=True)
    assert [word for word in ("demo-", "Demo", "d1577c69", "m4rker", "Practitioner") if word in text] == []


def test_ch83_calls_are_counted_by_status_and_kind_of_answer(make_ehr: MakeEhr) -> None:
    ehr = make_ehr()
    for who in LEVELS:
        ehr.cards(call(who))
    ehr.refused(412, call(without=("heart_rate",)))
    text = ehr.get("/metrics").get_data(as_text=True)
    assert 'cds_hooks_calls_total{service="sepsis-risk",status="200"} 3.0' in text
    assert 'cds_hooks_calls_total{service="sepsis-risk",status="412"} 1.0' in text
    for kind, level in (("risk", "high"), ("risk", "moderate"), ("low", "low")):
        assert f'{{kind="{kind}",level="{level}",model_version="1.0.0",service="sepsis-risk"}} 1.0' in text
