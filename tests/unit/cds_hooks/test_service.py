"""Which answer a call gets: the whole table, and that nothing that goes wrong looks like "all clear"."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from tests.charts import SICK, WELL, Resource, T, chart, observation, result
from tests.unit.cds_hooks.sidecars import SCHEMA_FILE, Json, asked, card, parts, post, prefetch, published, running
from tests.unit.feedback.cards import rows

from fhir_sandbox.server import SandboxServer
from screening import stages
from screening.fhir_client.auth import NoAuth
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.bundle import ModelBundle
from screening.outcome import PatientResult, RiskLevel
from screening.results.checks import check, own_identifier
from screening.results.risk_assessment import AssessmentContext
from screening.schema import load_schema
from screening.staging import load_results

MIDDLE = {
    "heart_rate": 100.0, "temperature": 37.6, "respiratory_rate": 20.0, "wbc": 11.0, "lactate": 1.8, "creatinine": 1.0,
}  # fmt: skip
SCREENED_AT = T - timedelta(hours=2)
"""Then values of 25 hours before `T` counted, and at `T` they do not."""


def old(who: str, values: dict[str, float]) -> list[Resource]:
    """Make a chart whose values were of the day at the screening, and are too old now."""
    return [chart(who, {})[0], *(observation(name, value, who=who, hours=25) for name, value in values.items())]


CHARTS = {
    "old-high": old("old-high", SICK),
    "old-moderate": old("old-moderate", MIDDLE),
    "old-low": old("old-low", WELL),
    "old-retracted": old("old-retracted", SICK),
    "old-twice": old("old-twice", SICK),
    "never": old("never", SICK),
    "high": chart("high", SICK) + old("high", SICK)[1:],
    "high-then-well": chart("high-then-well", WELL) + old("high-then-well", SICK)[1:],
    "moderate": chart("moderate", SICK) + old("moderate", MIDDLE)[1:],
    "low": chart("low", SICK) + old("low", WELL)[1:],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    published(folder, "1", -1.0)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """The model of the screening that was; the champion since is another version of the very same."""
    return published(tmp_path_factory.mktemp("before"), "0", -1.0)


def screened(
    server: SandboxServer, bundle: ModelBundle, who: list[str], at: datetime | None, folder: Path
) -> list[PatientResult]:
    """Screen patients of a server as the batch path does, and write what comes of it."""
    schema = load_schema(SCHEMA_FILE)
    facts = {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256, "synthetic": True}
    with FhirClient(ClientSettings(server.base_url), NoAuth()) as client:
        stages.fetch(client, schema, who, at, folder, base_url=server.base_url)
        stages.featurize(folder, schema, who, at or "latest")
        stages.predict(folder, schema, bundle)
        lines, _ = stages.write(client, folder, AssessmentContext.of(schema, facts))
    assert all(line.write == "created" for line in lines if line.outcome == "scored")
    return load_results(folder)


@pytest.fixture(scope="module")
def server(bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer() as sandbox:
        for resources in CHARTS.values():
            sandbox.load(resources)
        found = screened(
            sandbox, bundle, [who for who in CHARTS if who != "never"], SCREENED_AT, tmp_path_factory.mktemp("staging")
        )
        assert {one.patient_id: str(one.risk_level) for one in found} == {
            "old-high": "high", "old-moderate": "moderate", "old-low": "low", "old-retracted": "high",
            "old-twice": "high", "high": "high", "high-then-well": "high", "moderate": "moderate", "low": "low",
        }  # fmt: skip
        (retracted,) = assessments(sandbox, "old-retracted")
        sandbox.load([retracted | {"status": "entered-in-error"}])
        yield sandbox


def assessments(server: SandboxServer, who: str) -> list[Json]:
    with FhirClient(ClientSettings(server.base_url), NoAuth()) as client:
        return list(client.search("RiskAssessment", [("subject", f"Patient/{who}")]))


def own(server: SandboxServer, **more: Any) -> dict[str, Any]:
    return {"fhir_conn": f'{{"host": "{server.base_url}"}}', "fetch_from": "nowhere"} | more


@pytest.fixture(scope="module")
def app(server: SandboxServer, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Shows the last screening's result where a chart has too little."""
    state = tmp_path_factory.mktemp("state")
    with running(state, models, **own(server, earlier_screening=timedelta(hours=24))) as made:
        yield made


@pytest.fixture(scope="module")
def plain(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Knows no FHIR server at all."""
    with running(tmp_path_factory.mktemp("plain"), models) as made:
        yield made


def about(who: str) -> Json:
    return asked(CHARTS[who], who=who)


def no_score(found: Json) -> None:
    """Check a card that says that there is no score: a percentage must not stand in it, nor anything like "low"."""
    assert found["indicator"] == "info"
    assert "not computed" in found["summary"]
    assert "This is not a low risk." in found["detail"]
    assert not re.search(r"\d ?%", found["summary"] + found["detail"])


# ---- live scores


@pytest.mark.parametrize(
    ("values", "indicator", "level"), [(SICK, "critical", "HIGH"), (MIDDLE, "warning", "MODERATE")]
)
def test_ch40_a_risk_is_a_card(plain: Flask, bundle: ModelBundle, values: Any, indicator: str, level: str) -> None:
    found = card(plain.test_client(), asked(chart("p", values)))
    expected = result(chart("p", values), bundle).probability
    assert expected is not None
    assert found["indicator"] == indicator
    assert found["summary"].startswith(f"Sepsis Risk: {level} (")
    assert f"**{level}: {expected * 100:g}%**" in found["detail"]


def test_ch40_low_is_no_card(plain: Flask) -> None:
    answer = post(plain.test_client(), asked(chart("p", WELL)))
    assert (answer.status_code, answer.json) == (200, {"cards": []})


def test_ch35_no_clinician_no_card(plain: Flask, models: Path, tmp_path: Path) -> None:
    for user in ("Patient/8", "RelatedPerson/8"):
        answer = post(plain.test_client(), asked(context={"userId": user}))
        assert (answer.status_code, answer.json) == (200, {"cards": []})
    with running(tmp_path / "state", models, clinicians_only=False) as app:
        assert card(app.test_client(), asked(context={"userId": "Patient/8"}))["indicator"] == "critical"


# ---- no live score


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"deceasedDateTime": "2026-03-10T11:00:00Z"}, "deceased before the prediction time"),
        ({"deceasedBoolean": True}, "deceased"),
        ({"link": [{"other": {"reference": "Patient/q"}, "type": "replaced-by"}]}, "merged into another Patient"),
        ({"birthDate": None}, "Age"),
        ({"birthDate": "2030-01-01"}, "Age"),
    ],
)
@pytest.mark.parametrize("earlier", [False, True])
def test_ch42_who_is_not_scored_gets_the_reason(
    app: Flask, plain: Flask, more: Json, words: str, earlier: bool
) -> None:
    found = card((app if earlier else plain).test_client(), asked(chart("p", SICK, **more)))
    no_score(found)
    assert words in found["summary"] + found["detail"]


def test_ch42_a_dead_patient_s_last_screening_is_not_shown(app: Flask) -> None:
    gone = [CHARTS["old-high"][0] | {"deceasedBoolean": True}, *CHARTS["old-high"][1:]]
    no_score(card(app.test_client(), asked(gone, who="old-high")))


def test_ch42_contradicting_patients_are_not_scored(plain: Flask) -> None:
    body = asked()
    twice = [body["prefetch"]["patient"], body["prefetch"]["patient"] | {"birthDate": "1999-01-01"}]
    body["prefetch"]["patient"] = {
        "resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in twice],
    }  # fmt: skip
    found = card(plain.test_client(), body)
    no_score(found)
    assert "contradict each other" in found["detail"]


@pytest.mark.parametrize("patient", [None, {"resourceType": "OperationOutcome", "issue": []}])
def test_ch29_no_patient_is_no_score(plain: Flask, patient: Json | None) -> None:
    body = asked()
    body["prefetch"]["patient"] = patient
    no_score(card(plain.test_client(), body))


def test_ch42_null_for_everything_is_no_score(plain: Flask) -> None:
    body = asked()
    body["prefetch"] |= {key: None for key in body["prefetch"] if key != "patient"}
    found = card(plain.test_client(), body)
    no_score(found)
    assert "missing Heart rate" in found["summary"]


@pytest.mark.parametrize(
    ("left_out", "named"),
    [
        (("patient",), ["patient"]),
        (("heart_rate",), ["heart_rate"]),
        (("heart_rate", "respiratory_rate", "lactate"), ["heart_rate", "respiratory_rate"]),
    ],
)
def test_ch41_what_is_needed_and_cannot_be_had_is_412(
    plain: Flask, left_out: tuple[str, ...], named: list[str]
) -> None:
    answer = post(plain.test_client(), asked(leave_out=left_out))
    assert answer.status_code == 412
    said = answer.json["issue"][0]["diagnostics"]
    assert [part.split(":")[0] for part in said.split("; ")] == named


def test_ch41_no_prefetch_at_all_is_412(plain: Flask) -> None:
    for prefetched in (None, {}):
        body = asked()
        body["prefetch"] = prefetched
        assert post(plain.test_client(), body).status_code == 412


def test_what_could_not_have_been_scored_anyhow_is_told_and_not_412(plain: Flask) -> None:
    body = asked([one for one in chart("p", SICK) if "respiratory" not in one["id"]], leave_out=("heart_rate",))
    found = card(plain.test_client(), body)
    no_score(found)
    assert "Respiratory rate" in found["summary"]
    assert "not sent" in found["detail"]


def test_an_optional_key_that_was_not_sent_is_said_and_scored(plain: Flask) -> None:
    found = card(plain.test_client(), asked(leave_out=("lactate",)))
    assert found["indicator"] == "critical"
    assert "| Lactate | none | – | – | **imputed** by the model itself; not sent, and not obtained" in found["detail"]


# ---- the last screening


@pytest.mark.parametrize(
    ("who", "indicator", "level"),
    [("old-high", "critical", "HIGH"), ("old-moderate", "warning", "MODERATE"), ("old-low", "info", "LOW")],
)
def test_the_last_screening_is_shown_with_its_time_and_its_model(
    app: Flask, server: SandboxServer, who: str, indicator: str, level: str
) -> None:
    (stored,) = assessments(server, who)
    probability = float(stored["prediction"][0]["probabilityDecimal"])
    found = card(app.test_client(), about(who))
    assert found["indicator"] == indicator
    assert f"Sepsis Risk: {level} (" in found["summary"]
    assert "at the screening 2 h ago; too little data" in found["summary"]
    assert f"**{level}: {probability * 100:g}%** at the screening of 2026-03-10T10:00Z, 2 h before" in found["detail"]
    assert f"model sepsis 0, sha256 {stored['method']['text'].split('sha256:')[1][:12]}" in found["detail"]


def test_feedback_on_the_last_screening_s_card_is_of_its_model(app: Flask, bundle: ModelBundle) -> None:
    found = card(app.test_client(), about("old-high"))
    told = parts(app)
    told.feedback._remembering.close()
    file = told.feedback._database.file
    assert file is not None
    kept = rows(file, "SELECT card, kind, level, model_name, model_version, model_sha256, patient FROM cds_issued")
    assert (found["uuid"], "earlier", "high", "sepsis", "0", bundle.sha256, "Patient/old-high") in kept


@pytest.mark.parametrize("who", ["never", "old-retracted"])
def test_without_a_last_screening_the_card_says_what_is_missing(app: Flask, who: str) -> None:
    found = card(app.test_client(), about(who))
    no_score(found)
    assert "2026-03-09T11:00Z" in found["detail"]  # the stale values' time
    assert "screening" not in found["summary"]


def test_a_screening_that_is_too_old_is_none(server: SandboxServer, models: Path, tmp_path: Path) -> None:
    for hours, shown in ((1.99, False), (2.0, True)):
        told = own(server, earlier_screening=timedelta(hours=hours))
        with running(tmp_path / f"{hours}", models, **told) as app:
            found = card(app.test_client(), about("old-high"))
            assert ("HIGH" in found["summary"]) is shown
            if not shown:
                no_score(found)


def test_unless_it_is_wanted_no_screening_is_looked_for(server: SandboxServer, models: Path, tmp_path: Path) -> None:
    with running(tmp_path / "state", models, **own(server)) as app:
        before = server.stats.to_json()["requests"]
        no_score(card(app.test_client(), about("old-high")))
        assert server.stats.to_json()["requests"] == before


def test_a_live_score_comes_first(app: Flask, server: SandboxServer) -> None:
    before = server.stats.to_json()["requests"]
    assert "too little data" not in card(app.test_client(), about("low"))["summary"]
    assert server.stats.to_json()["requests"] == before


NOWHERE = '{"host": "http://127.0.0.1:9/fhir"}'


def test_that_the_last_screening_could_not_be_looked_up_is_said(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = {"fhir_conn": NOWHERE, "fetch_from": "nowhere", "earlier_screening": timedelta(hours=24)}
    with running(tmp_path / "state", models, **told) as app:
        found = card(app.test_client(), about("old-high"))
        no_score(found)
        assert "the last screening could not be looked up" in found["detail"]
        assert "the last screening could not be looked up" in caplog.text
        refused = post(app.test_client(), asked(leave_out=("heart_rate",)))
        assert refused.status_code == 412
        said = refused.json["issue"][0]["diagnostics"]
        assert said.startswith("heart_rate: ")
        assert "RiskAssessment: the last screening could not be looked up" in said


def test_a_key_that_is_lacking_yields_to_the_last_screening(app: Flask) -> None:
    body = asked(CHARTS["old-high"], who="old-high", leave_out=("heart_rate",))
    assert "HIGH" in card(app.test_client(), body)["summary"]


# ---- only_screened


@pytest.fixture(scope="module")
def schema_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schemas") / "sepsis.yaml"
    path.write_text(SCHEMA_FILE.read_text() + "\nonly_screened: true\n")
    assert load_schema(path).only_screened
    return path


@pytest.fixture(scope="module")
def restricted(
    server: SandboxServer, models: Path, schema_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    with running(tmp_path_factory.mktemp("restricted"), models, **own(server, schemas=schema_file)) as made:
        yield made


def test_who_was_screened_high_gets_a_live_card(restricted: Flask) -> None:
    found = card(restricted.test_client(), about("high"))
    assert found["indicator"] == "critical"
    assert "screening" not in found["summary"]


def test_who_was_screened_high_and_is_well_gets_none(restricted: Flask) -> None:
    assert post(restricted.test_client(), about("high-then-well")).json == {"cards": []}


@pytest.mark.parametrize("who", ["moderate", "low", "never", "old-retracted"])
def test_who_was_not_screened_high_gets_none(restricted: Flask, who: str) -> None:
    answer = post(restricted.test_client(), asked(CHARTS[who] + chart(who, SICK)[1:], who=who))
    assert (answer.status_code, answer.json) == (200, {"cards": []})


def test_another_patient_s_data_are_refused_whoever_was_screened(restricted: Flask) -> None:
    body = asked(CHARTS["never"], who="never")
    body["prefetch"]["patient"] = CHARTS["high"][0]
    assert post(restricted.test_client(), body).status_code == 400


def test_only_screened_without_an_answer_is_412_and_never_no_card(
    models: Path, schema_file: Path, tmp_path: Path
) -> None:
    for name, told in {
        "down": {"fhir_conn": NOWHERE, "fetch_from": "nowhere"}, "nobody to ask": {}, "off": {"fetch_from": "nowhere"},
    }.items():  # fmt: skip
        with running(tmp_path / name, models, schemas=schema_file, **told) as app:
            answer = post(app.test_client(), about("high"))
            assert answer.status_code == 412
            assert "RiskAssessment: the last screening could not be looked up" in answer.json["issue"][0]["diagnostics"]


def test_only_screened_takes_a_screening_by_another_version_of_the_screen_for_no_answer(
    server: SandboxServer, models: Path, schema_file: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "sepsis.yaml"
    changed.write_text(schema_file.read_text().replace('version: "1.0.0"', 'version: "1.0.1"'))
    with running(tmp_path / "state", models, **own(server, schemas=changed)) as app:
        answer = post(app.test_client(), about("high"))
        assert answer.status_code == 412
        assert "it was by another version of this screen" in answer.json["issue"][0]["diagnostics"]
        assert post(app.test_client(), asked(who="never")).json == {"cards": []}


def test_only_screened_asks_for_whom_the_data_are_of(
    server: SandboxServer, models: Path, schema_file: Path, tmp_path: Path
) -> None:
    told = own(server, schemas=schema_file, require_patient_match=False)
    with running(tmp_path / "state", models, **told) as app:
        body = asked(CHARTS["high"], who="high", context={"patientId": "made-up-by-a-demonstration"})
        assert card(app.test_client(), body)["indicator"] == "critical"


def test_only_screened_in_records_of_the_past_asks_for_their_own_time(
    server: SandboxServer, models: Path, schema_file: Path, tmp_path: Path
) -> None:
    told = own(server, schemas=schema_file, prediction_time="latest")
    with running(tmp_path / "state", models, at=T + timedelta(days=4000), **told) as app:
        assert card(app.test_client(), about("high"))["indicator"] == "critical"
        assert post(app.test_client(), about("low")).json == {"cards": []}


# ---- times


def times(found: Json) -> list[datetime]:
    return [datetime.fromisoformat(text) for text in re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", found["detail"])]


def test_ch4f_now_counts_what_was_measured_until_now(plain: Flask) -> None:
    later = [observation("heart_rate", 20.0, hours=-0.1), observation("wbc", 1.0, hours=-24 * 365)]
    ours, theirs = (card(plain.test_client(), asked(chart("p", SICK) + more)) for more in ([], later))
    assert ours["summary"] == theirs["summary"]
    assert ours["detail"] == theirs["detail"].replace("not used: 1 of a later time, or of a day that is not over", "–")
    assert max(times(ours)) == T
    assert "later than this card" not in theirs["detail"]


# ---- what was sent and did not count


def without(feature: str) -> list[Resource]:
    return chart("p", {name: value for name, value in SICK.items() if name != feature})


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (observation("lactate", 4.1, unit="furlong"), "1 in an unknown unit"),
        (observation("lactate", 4100.0), "1 outside the possible range"),
        (observation("lactate", 4.1, status="entered-in-error"), "1 cancelled, entered in error or not final"),
        (observation("lactate", 4.1, who="q"), "1 of another patient"),
        (
            observation("lactate", 4.1, valueQuantity={"value": 4, "comparator": "<", "code": "mmol/L"}),
            "1 a bound such",
        ),
        (observation("lactate", 4.1, effectiveDateTime="2026-03-10T11:00:00"), "1 with a time without a zone"),
    ],
)
def test_ch33_ch4f_what_was_sent_and_did_not_count_is_told(plain: Flask, odd: Resource, words: str) -> None:
    left_out = card(plain.test_client(), asked(without("lactate")))
    found = card(plain.test_client(), asked([*without("lactate"), odd]))
    assert found["summary"] == left_out["summary"]
    (row,) = [line for line in found["detail"].splitlines() if line.startswith("| Lactate |")]
    assert f"**imputed** by the model itself; not used: {words}" in row
    assert "no value in the last" not in row


def test_ch42_what_keeps_a_patient_from_being_scored_is_told(plain: Flask) -> None:
    odd = observation("heart_rate", 113.0, unit="furlong")
    found = card(
        plain.test_client(), asked([*without("heart_rate"), odd, odd | {"id": "twice", "effectiveDateTime": None}])
    )
    no_score(found)
    (row,) = [line for line in found["detail"].splitlines() if line.startswith("| Heart rate |")]
    assert row == "| Heart rate | – | – | **missing**; not used: 1 without a time, 1 in an unknown unit |"


def test_ch4f_latest_counts_ages_to_the_record_s_own_time(models: Path, tmp_path: Path) -> None:
    for name, at in (("long after", T + timedelta(days=3000)), ("before", T - timedelta(days=3000))):
        with running(tmp_path / name, models, at=at, prediction_time="latest") as app:
            found = card(app.test_client(), asked())
            assert max(times(found)) == T - timedelta(hours=1)
            assert "under 1 min" in found["detail"]
            assert "later than this card" not in found["detail"]
            body = asked()
            body["prefetch"] |= {key: None for key in body["prefetch"] if key != "patient"}
            no_score(card(app.test_client(), body))


def test_latest_shows_the_screening_of_the_record_s_own_time(
    server: SandboxServer, models: Path, tmp_path: Path
) -> None:
    told = own(server, prediction_time="latest", earlier_screening=timedelta(hours=24))
    alone = [CHARTS["old-high"][0], observation("heart_rate", 99.0, who="old-high", hours=1)]
    with running(tmp_path / "state", models, at=T + timedelta(days=4000), **told) as app:
        found = card(app.test_client(), asked(alone, who="old-high"))
        assert "HIGH" in found["summary"]
        assert "at the screening 60 min ago" in found["summary"]
        assert max(times(found)) <= T - timedelta(hours=1)


# ---- system actions


def test_ch4c_the_assessment_as_an_action_is_the_one_that_screening_writes(models: Path, tmp_path: Path) -> None:
    with running(tmp_path / "state", models, system_actions=True) as app:
        bundle = published(models, "1", -1.0)
        for values, cards in ((SICK, 1), (WELL, 0)):
            body = post(app.test_client(), asked(chart("p", values))).json
            assert len(body["cards"]) == cards
            (action,) = body["systemActions"]
            assert set(action) == {"type", "resource"}
            check(action["resource"])
            expected = result(chart("p", values), bundle)
            (prediction,) = action["resource"]["prediction"]
            assert prediction["probabilityDecimal"] == expected.probability
            assert own_identifier(action["resource"])
        assert "systemActions" not in post(app.test_client(), asked(chart("p", {}))).json


def test_ch4c_no_actions_unless_they_were_agreed_upon(plain: Flask) -> None:
    assert set(post(plain.test_client(), asked()).json) == {"cards"}


# ---- the same answer as the batch path (P4)


def test_p4_the_batch_path_and_a_call_agree(models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people = {
        "sick": chart("sick", SICK),
        "middle": chart("middle", MIDDLE),
        "well": chart("well", WELL),
        "part": chart("part", {name: SICK[name] for name in ("heart_rate", "respiratory_rate", "wbc")}),
        "little": chart("little", {"wbc": 9.0}),
        "dead": chart("dead", SICK, deceasedBoolean=True),
    }
    model = published(models, "1", -1.0)
    with SandboxServer() as sandbox:
        for resources in people.values():
            sandbox.load(resources)
        found = {one.patient_id: one for one in screened(sandbox, model, list(people), T, tmp_path)}
        told = own(sandbox, fetch_from="own", system_actions=True)
        with running(tmp_path / "state", models, **told) as app:
            for who, expected in found.items():
                for body in (asked(people[who], who=who), {**asked(who=who), "prefetch": {}}):
                    answer = post(app.test_client(), body).json
                    agree(expected, answer)
    assert {one.outcome.value for one in found.values()} == {"scored", "insufficient_data", "excluded"}
    assert {one.risk_level for one in found.values()} == {*RiskLevel, None}


def agree(expected: PatientResult, answer: Json) -> None:
    if expected.probability is None:
        (shown,) = answer["cards"]
        no_score(shown)
        return
    (action,) = answer["systemActions"]
    written = action["resource"]
    assert written["prediction"][0]["probabilityDecimal"] == expected.probability
    used = tuple(one["reference"].split("/_history/")[0] for one in written["basis"])
    assert used == tuple(one.split("/_history/")[0] for one in expected.basis)
    if expected.risk_level is RiskLevel.LOW:
        assert answer["cards"] == []
    else:
        (shown,) = answer["cards"]
        assert f"**{expected.risk_level.name}: {expected.probability * 100:g}%**" in shown["detail"]  # type: ignore[union-attr]


def test_absolute_references_to_the_ehr_count_though_the_rest_is_fetched_from_our_own_connection(
    models: Path, tmp_path: Path
) -> None:
    ehr = "https://ehr.example.org/fhir"
    with SandboxServer() as sandbox:
        sandbox.load(chart("p", SICK))
        with running(tmp_path / "state", models, **own(sandbox, fetch_from="own")) as app:
            expected = card(app.test_client(), asked())
            body = asked(leave_out=("lactate",), fhirServer=ehr)
            for key, bundle in body["prefetch"].items():
                for entry in bundle.get("entry", ()) if key != "patient" else ():
                    entry["resource"] = entry["resource"] | {"subject": {"reference": f"{ehr}/Patient/p"}}
            assert card(app.test_client(), body)["detail"] == expected["detail"]
    assert prefetch(chart("p", SICK))["lactate"]["entry"]
