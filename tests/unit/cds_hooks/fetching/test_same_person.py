"""Our own server's patient 123 counts for the EHR's patient 123 only if both are one person."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.charts import SICK, T, chart, observation, sepsis
from tests.unit.cds_hooks.fetching.conftest import Authorization, Call, MakeFetcher, ward
from tests.unit.cds_hooks.sidecars import asked, card, parts, post, published, running
from tests.unit.fhir_client.stub_server import Stub, fhir, outcome, searchset

from cds_hooks.fetching import reasons
from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.fetching.same_person import contradiction
from cds_hooks.settings import Settings
from fhir_sandbox.server import SandboxServer
from screening.errors import SchemaError

OWN = '{"host": "%s"}'
SENT = {"resourceType": "Patient", "id": "p", "birthDate": "1966-03-10", "gender": "female"}
UNUSABLE = "too much, cut off, of another, or with an error in it"
ELSE = "this service's own server has somebody else under the patient's id (another "


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        ({}, None),
        ({"birthDate": "1966-03"}, None),
        ({"birthDate": "1966"}, None),
        ({"birthDate": "1966-04"}, "birthDate"),
        ({"birthDate": "1966-03-11"}, "birthDate"),
        ({"birthDate": None}, None),
        ({"birthDate": 1966}, None),
        ({"gender": "male"}, "gender"),
        ({"gender": "Female "}, None),
        ({"gender": "other"}, None),
        ({"gender": "unknown"}, None),
        ({"birthDate": "1901-01-01", "gender": "male"}, "birthDate and gender"),
    ],
)
def test_what_two_patients_of_one_id_contradict_each_other_in(other: dict[str, Any], fields: str | None) -> None:
    held = {**SENT, **other}
    assert contradiction(SENT, held) == fields
    assert contradiction(held, SENT) == fields
    assert contradiction({}, held) is None


def test_the_own_patient_is_asked_for_beside_the_data(stub: Stub, make_fetcher: MakeFetcher) -> None:
    stub.route = ward(Patient=fhir(SENT))
    fetcher = make_fetcher(fetch_from="own", fhir_conn=OWN % stub.base)
    fetched = fetcher.fetch(Call(None), sepsis(), ("lactate",), "p", T, patient=SENT)
    assert (fetched.unobtained, fetched.problems, len(fetched.contents)) == ({}, {}, 1)  # the data alone are handed on
    assert sorted(target.partition("?")[0] for target in stub.targets()) == ["/fhir/Observation", "/fhir/Patient/p"]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (fhir(SENT | {"birthDate": "1931-05-02"}), f"{ELSE}birthDate)"),
        (fhir(SENT | {"gender": "male"}), f"{ELSE}gender)"),
        (outcome(404), "the FHIR server does not know it (404)"),
        (outcome(500), "the FHIR server refused or failed (500)"),
        (fhir(searchset([])), UNUSABLE),
        (fhir({"resourceType": "Group", "id": "p"}), UNUSABLE),
        (fhir(SENT | {"id": "q"}), UNUSABLE),
    ],
    ids=[
        "born on another day",
        "of another sex",
        "unknown there",
        "server failing",
        "an empty Bundle",
        "no Patient",
        "another",
    ],
)
def test_nobody_else_s_data_are_taken(stub: Stub, make_fetcher: MakeFetcher, held: Any, words: str) -> None:
    stub.route = ward(Patient=held)
    fetcher = make_fetcher(fetch_from="own", fhir_conn=OWN % stub.base)
    fetched = fetcher.fetch(
        Call(None), sepsis(), ("lactate",), "p", T, partial={"wbc": "http://x"}, patient=SENT
    )  # fmt: skip
    assert fetched.contents == ()
    assert fetched.base_url is None
    assert fetched.unobtained.keys() == {"lactate"}
    assert fetched.problems.keys() == {"wbc"}
    assert fetched.failed == {"lactate", "wbc"}
    for said in (*fetched.unobtained.values(), *fetched.problems.values()):
        assert said.endswith(words)
        assert "19" not in said


def test_the_ehr_s_own_server_means_its_own_patients(stub: Stub, make_fetcher: MakeFetcher) -> None:
    stub.route = ward(Patient=fhir(SENT | {"birthDate": "1931-05-02"}))
    fetched = make_fetcher(stub.base).fetch(
        Call(stub.base, Authorization()), sepsis(), ("lactate",), "p", T, patient=SENT
    )
    assert len(fetched.contents) == 1
    assert len(stub.targets()) == 1


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    published(folder, "1", -1.0)
    return folder


@pytest.fixture
def server() -> Any:
    """Our own server: somebody else has the id p there, and somebody was screened high under it."""
    with SandboxServer() as sandbox:
        (person, *values) = chart("p", SICK)
        sandbox.load([{**person, "birthDate": "1931-05-02"}, *values])
        yield sandbox


def test_a_chart_is_not_completed_with_somebody_else_s_values(
    server: SandboxServer, models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = {"fhir_conn": OWN % server.base_url, "fetch_from": "own"}
    with running(tmp_path / "state", models, **told) as app:
        refused = post(app.test_client(), asked(chart("p", SICK), leave_out=("heart_rate",)))
    assert refused.status_code == 412
    assert f"{ELSE}birthDate)" in refused.json["issue"][0]["diagnostics"]
    assert "do they share their ids?" in caplog.text
    assert "1931" not in caplog.text + refused.text


@pytest.mark.parametrize("only_screened", [False, True])
def test_somebody_else_s_screening_is_not_shown(
    server: SandboxServer, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_screened: bool
) -> None:
    told = {"fhir_conn": OWN % server.base_url, "fetch_from": "nowhere", "earlier_screening": timedelta(hours=24)}
    empty = [chart("p", {})[0], observation("heart_rate", 80.0, who="p")]
    with running(tmp_path / "state", models, **told) as app:
        if only_screened:
            screen = parts(app).screens["sepsis-risk"]
            monkeypatch.setattr(screen, "schema", sepsis().model_copy(update={"only_screened": True}))
            answer = post(app.test_client(), asked(empty))
            assert answer.status_code == 412
            said = answer.json["issue"][0]["diagnostics"]
        else:
            found = card(app.test_client(), asked(empty))
            assert "%" not in found["summary"]
            said = found["detail"]
    assert "the last screening could not be looked up" in said
    assert "somebody else" in said


def test_an_ehr_whose_patients_have_other_ids_there_is_not_looked_up_there(stub: Stub) -> None:
    stub.route = ward(Patient=fhir(SENT))
    told = Settings(auth="off", fetch_from="own", fhir_conn=OWN % stub.base, fetch_seconds=5.0)
    with closing(Fetcher(told, (), strangers=("https://b.example.org",))) as fetcher:
        fetched = fetcher.fetch(Call(None), sepsis(), ("lactate",), "p", T, iss="https://b.example.org")
        assert fetched.unobtained == {"lactate": f"not sent, and not obtained: {reasons.OTHER_IDS}"}
        assert fetcher.sources.of_screenings(Call(None), "p", "https://b.example.org") == reasons.OTHER_IDS
        assert stub.connections == 0
        assert not fetcher.fetch(Call(None), sepsis(), ("lactate",), "p", T, iss="https://a.example.org").unobtained


def test_several_ehrs_that_do_not_say_so_stop_the_start(models: Path, tmp_path: Path) -> None:
    entry = "  - {{iss: https://{0}.example.org, jku: https://{0}.example.org/jwks.json{1}}}\n"
    file = tmp_path / "ehrs.yaml"
    told = {
        "auth": "required",
        "base_url": "https://cds.example.org",
        "ehrs": file,
        "fhir_conn": OWN % "https://x.org/r4",
    }
    file.write_text("ehrs:\n" + entry.format("a", "") + entry.format("b", ", own_patients: false"))
    with (
        pytest.raises(SchemaError, match=r"ehrs\.0\.own_patients: is missing"),
        running(tmp_path / "s", models, **told),
    ):
        pass
    file.write_text("ehrs:\n" + entry.format("a", ", own_patients: true") + entry.format("b", ", own_patients: false"))
    with running(tmp_path / "state", models, **told) as app:
        assert (
            parts(app).answers.fetcher.sources.of_screenings(Call(None), "p", "https://b.example.org")
            == reasons.OTHER_IDS
        )
