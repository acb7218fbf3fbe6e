"""The commands `cds-client` and `cds-keys`: what they print, keep and refuse, and their exit status."""

import json
import re
from pathlib import Path

import pytest
from tests.unit.hook_client.stub import CARD, SERVICE, StubService, fault_of_request, outcome

from screening.__main__ import main

REASON = CARD["overrideReasons"][0]


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command line."""
    status = main([str(word) for word in words])
    return status, *capsys.readouterr()


def test_ch20_every_file_is_one_line_and_its_card(
    stub: StubService, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answers["high"] = (200, {"cards": [CARD]})
    stub.answers["moderate"] = (412, outcome("data are missing", "heart_rate"))
    status, out, _ = run(capsys, "cds-client", "--url", stub.url, "--data", folder)
    assert out.splitlines() == [
        "high_risk_patient.json: Sepsis Risk: HIGH (85%) · critical",
        "    | input | value |",
        "    |---|---|",
        "    | Heart rate | 113 /min |",
        "low_risk_patient.json: no card (scored low)",
        "moderate_risk_patient.json: ERROR: HTTP 412: data are missing (heart_rate)",
    ]
    assert status == 1
    assert [body["context"]["patientId"] for body in stub.bodies] == ["high", "low", "moderate"]
    assert [fault_of_request(body) for body in stub.bodies] == [None] * 3


def test_where_nothing_is_wrong_the_status_is_zero(
    stub: StubService, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("cds-client", "--url", stub.url, "--data", folder, "--service", "sepsis-risk", "--pattern", "low_*.json")
    assert run(capsys, *words) == (0, "low_risk_patient.json: no card (scored low)\n", "")


def test_without_files_the_invented_patients_are_asked_about(
    stub: StubService, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "cds-client", "--url", stub.url)
    assert status == 0
    assert re.findall(r"^(\S+): no card", out, re.MULTILINE) == ["demo-high", "demo-moderate", "demo-low"]
    assert [set(body["prefetch"]) for body in stub.bodies] == [{"patient", "heart_rate", "lactate"}] * 3


def test_json_tells_everything_but_the_tokens(
    stub: StubService, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answers["high"] = (200, {"cards": [CARD]})
    (tmp_path / "token").write_text("marker-token\n")
    status, out, _ = run(
        capsys, "cds-client", "--url", stub.url, "--data", folder / "high_risk_patient.json", "--json",
        "--fhir-server", "https://fhir.example.org/r4/", "--fhir-token-file", tmp_path / "token",
    )  # fmt: skip
    (one,) = json.loads(out)
    assert status == 0
    assert one.pop("milliseconds") > 0
    assert one == {
        "chart": "high_risk_patient.json", "patientId": "high", "hookInstance": stub.bodies[0]["hookInstance"],
        "sent": ["patient", "heart_rate"], "status": 200, "problems": [], "body": {"cards": [CARD]}, "feedback": [],
    }  # fmt: skip
    assert stub.bodies[0]["fhirServer"] == "https://fhir.example.org/r4"
    assert stub.bodies[0]["fhirAuthorization"]["access_token"] == "marker-token"
    assert "marker-token" not in out


def test_ch53_what_is_saved_holds_no_token(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cds-keys", str(tmp_path / "keys")]) == 0
    kid = re.findall(r"^kid (\S+)$", capsys.readouterr().out, re.MULTILINE)[0]
    (public,) = json.loads((tmp_path / "keys" / "jwks.json").read_text())["keys"]
    (tmp_path / "token").write_text("marker-token")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "high_risk_patient.request.json").write_text("{}")  # of an earlier call, open to all
    with StubService(iss="https://ehr.example.org", keys={kid: public}) as stub:
        status, out, _ = run(
            capsys, "cds-client", "--url", stub.url, "--data", folder, "--save", tmp_path / "kept",
            "--jwt-key", tmp_path / "keys" / "private.pem", "--iss", "https://ehr.example.org",
            "--fhir-server", "https://fhir.example.org/r4", "--fhir-token-file", tmp_path / "token",
        )  # fmt: skip
    assert (status, len(stub.tokens)) == (0, 4)
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "kept").iterdir()} == {0o600}
    kept = {one.name: one.read_text() for one in (tmp_path / "kept").iterdir()}
    assert sorted(kept) == [
        f"{level}_risk_patient.{kind}.json" for level in ("high", "low", "moderate") for kind in ("request", "response")
    ]
    assert not re.search(r'marker-token|eyJ|"Authorization"|Bearer ey', out + "".join(kept.values()))
    assert json.loads(kept["high_risk_patient.request.json"])["hookInstance"] == stub.bodies[0]["hookInstance"]
    assert json.loads(kept["high_risk_patient.response.json"]) == {"cards": []}


@pytest.mark.parametrize(("given", "expected"), [
    ("accepted", {"outcome": "accepted", "acceptedSuggestions": [{"id": CARD["suggestions"][0]["uuid"]}]}),
    ("overridden", {"outcome": "overridden", "overrideReason": {"reason": REASON}}),
])  # fmt: skip
def test_ch70_feedback_is_sent_on_every_card(
    stub: StubService, folder: Path, capsys: pytest.CaptureFixture[str], given: str, expected: dict[str, object]
) -> None:
    stub.answers["high"] = (200, {"cards": [CARD]})
    status, out, _ = run(capsys, "cds-client", "--url", stub.url, "--data", folder, "--feedback", given)
    ((entry,),) = (one["feedback"] for one in stub.feedback)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.pop("outcomeTimestamp"))
    assert entry == {"card": CARD["uuid"], **expected}
    assert f"high_risk_patient.json: feedback: {given}, taken" in out
    assert status == 0


def test_ch71_feedback_that_is_refused_is_an_error(
    stub: StubService, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answers["high"] = (200, {"cards": [CARD]})
    stub.feedback_status = 400
    status, out, _ = run(capsys, "cds-client", "--url", stub.url, "--data", folder, "--feedback", "overridden")
    assert (status, "feedback: ERROR: HTTP 400: no" in out) == (1, True)


def test_ch45_where_no_card_can_be_accepted_that_is_said(
    stub: StubService, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answers["high"] = (200, {"cards": [CARD | {"suggestions": []}]})
    _, out, _ = run(capsys, "cds-client", "--url", stub.url, "--data", folder, "--feedback", "accepted")
    assert "high_risk_patient.json: feedback: none: no card that could be accepted" in out
    assert stub.feedback == []


def test_what_cannot_be_done_is_said_before_anybody_is_asked_about(
    stub: StubService, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").touch()
    (folder / "none_patient.json").write_text("{}")
    main(["cds-keys", str(tmp_path / "keys")])
    capsys.readouterr()
    key, here = tmp_path / "keys" / "private.pem", ["--url", stub.url, "--data", folder / "high_risk_patient.json"]
    refused = {
        ("--url", "http://127.0.0.1:1", "--data", folder / "high_risk_patient.json"): "is the service running",
        ("--url", "http://cds.example.org"): "--url: base URL: plain http",
        ("--url", stub.url, "--data", folder): "none_patient.json: is no prefetch file",
        ("--url", stub.url, "--data", tmp_path / "nowhere.json"): "nowhere.json: no such file or folder",
        ("--url", stub.url, "--data", tmp_path / "keys"): "no file named like",
        ("--url", stub.url, "--pattern", "*.json"): "--pattern has no effect without --data",
        (*here, "--service", "stroke-risk"): "no service stroke-risk takes patient-view",
        (*here, "--jwt-key", key): "--jwt-key needs --iss",
        (*here, "--iss", "me", "--kid", "k"): "--iss, --kid: no effect without --jwt-key",
        (*here, "--jwt-key", tmp_path / "empty", "--iss", "me"): "must hold a private key",
        (*here, "--fhir-token-file", key): "--fhir-token-file has no effect without --fhir-server",
        (*here, "--fhir-server", "x", "--fhir-token-file", tmp_path / "empty"): "holds no access token",
        (*here, "--save", tmp_path / "empty"): "the requests cannot be saved",
    }
    for words, expected in refused.items():
        status, _, error = run(capsys, "cds-client", *words)
        assert (status, error.startswith("error: "), expected in error) == (2, True, True), (words, error)
    status, _, error = run(capsys, "cds-keys", tmp_path / "keys")
    assert (status, "private.pem: is there already" in error) == (2, True)
    assert len(stub.bodies) == 1  # of the folder that could not be written


def test_several_services_must_be_told_apart(
    stub: StubService, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.services = [SERVICE, SERVICE | {"id": "stroke-risk"}]
    assert run(capsys, "cds-client", "--url", stub.url, "--data", folder)[0] == 2
    assert run(capsys, "cds-client", "--url", stub.url, "--data", folder, "--service", "sepsis-risk")[0] == 0
