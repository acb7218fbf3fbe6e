"""Patients to show: found in MIMIC-on-FHIR files, written so that they score the same again, and loaded without doubles."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.charts import ROOT, T, at, observation, patient

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening import demo_patients, stages, staging
from screening.__main__ import main
from screening.demo_bundles import ENTRIES, parts, prefetch, transaction
from screening.demo_patients import DemoPatient, Look, find, upload
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.registry import champion
from screening.outcome import Outcome, PatientResult
from screening.schema import load_schema
from screening.synthetic import Hospital, fhir_resources

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
MODELS = ROOT / "include" / "models"
LEVELS = ("high", "moderate", "low")
Resource = dict[str, Any]


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a hospital in MIMIC style, as ndjson by type, and its three named patients."""
    folder = tmp_path_factory.mktemp("charts")
    hospital = Hospital(30, 11, NOW)
    people = [*hospital.named(), *hospital.patients()]
    found = [resource for person in people for resource in fhir_resources(person, "mimic")]
    for kind in ("Observation", "Encounter", "Patient"):
        lines = [json.dumps(one) + "\n" for one in found if one["resourceType"] == kind]
        (folder / f"Mimic{kind}.ndjson").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def run(charts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command on the charts, into `tmp_path / "out"`."""

    def ran(*words: str) -> tuple[int, str, str]:
        status = main(["demo-patients", "--mimic-fhir", str(charts), "--out", str(tmp_path / "out"), *words])
        told = capsys.readouterr()
        return status, told.out, told.err

    return ran


def scored(file: Path, capsys: pytest.CaptureFixture[str]) -> Resource:
    assert main(["score", str(file), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["results"]
    return dict(one)


@pytest.mark.parametrize("words", [(), ("--minimal",)], ids=["all", "minimal"])
def test_each_file_scores_as_the_patient_does(
    run: Callable[..., Any], words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run("--per-level", "2", *words)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("model sepsis 1.0.0: trained on invented patients;")
    assert [line.split(":")[0] for line in lines[1:]] == [f"{level}-{n}" for level in LEVELS for n in (1, 2)]
    for line in lines[1:]:
        name, _, rest = line.partition(": ")
        who, probability = rest.split()[:2]
        shown = scored(tmp_path / "out" / f"{name}.prefetch.json", capsys)
        loaded = scored(tmp_path / "out" / f"{name}.transaction.json", capsys)
        assert f"Patient/{shown['patient_id']}" == who
        assert shown["risk_level"] == loaded["risk_level"] == name.split("-")[0]
        assert f"{shown['probability']:.4f}" == f"{loaded['probability']:.4f}" == probability
        assert [one["value"] for one in shown["inputs"]] == [one["value"] for one in loaded["inputs"]]


def test_minimal_files_hold_just_what_was_used(
    run: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {}
    for words in ((), ("--minimal",)):
        assert run(*words)[0] == 0
        for level in LEVELS:
            used = scored(tmp_path / "out" / f"{level}-1.prefetch.json", capsys)
            content = json.loads((tmp_path / "out" / f"{level}-1.transaction.json").read_text())
            sizes[(level, words)] = len(content["entry"])
            if words:
                assert len(content["entry"]) == len(used["basis"])
                assert len(content["entry"]) == 1 + sum(one["count"] for one in used["inputs"] if one["count"])
    assert all(sizes[(level, ("--minimal",))] < sizes[(level, ())] for level in LEVELS)


def test_the_same_charts_give_the_same_bytes(run: Callable[..., Any], charts: Path, tmp_path: Path) -> None:
    run()
    first = {file.name: file.read_bytes() for file in sorted((tmp_path / "out").iterdir())}
    for file in charts.iterdir():
        (tmp_path / file.name).write_text("".join(file.read_text().splitlines(keepends=True)[::-1]))
    turned = [str(tmp_path / file.name) for file in charts.iterdir()]
    (tmp_path / "turned").mkdir()
    for name in turned:
        Path(name).rename(tmp_path / "turned" / Path(name).name)
    assert main(["demo-patients", "--mimic-fhir", str(tmp_path / "turned"), "--out", str(tmp_path / "again")]) == 0
    assert {file.name: file.read_bytes() for file in sorted((tmp_path / "again").iterdir())} == first
    assert len(first) == 6


def test_a_level_with_too_few_is_told(run: Callable[..., Any]) -> None:
    status, out, _ = run("--per-level", "30")
    assert status == 1
    assert [line.split(":")[0] for line in out.splitlines() if "too few" in line] == [
        f"too few of level {level}" for level in LEVELS
    ]


def test_no_name_is_told(run: Callable[..., Any]) -> None:
    out = run()[1]
    assert "Patient_" not in out


def test_loading_twice_changes_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    schema, model = load_schema(ROOT / "include" / "schemas" / "sepsis.yaml"), champion(MODELS, "sepsis")
    with SandboxServer() as server, FhirClient(ClientSettings(base_url=server.base_url)) as client:
        status, first, _ = run("--minimal", "--upload", server.base_url)
        assert status == 0
        held = {kind: list(client.search(kind, [])) for kind in ("Patient", "Observation")}
        second = run("--minimal", "--upload", server.base_url)[1]
        assert {kind: list(client.search(kind, [])) for kind in held} == held
        assert len(held["Patient"]) == 3
        for line, again in zip(first.splitlines()[1:], second.splitlines()[1:], strict=True):
            count = line.split(" resources;")[0].split()[-1]
            assert line.endswith(f", {count} created, 0 there already")
            assert again.endswith(f", 0 created, {count} there already")
            identity = line.split("on the server Patient/")[1].split(",")[0]
            assert f"on the server Patient/{identity}," in again
            stages.fetch(client, schema, [identity], None, tmp_path / identity, base_url=server.base_url)
            stages.featurize(tmp_path / identity, schema, [identity], "latest")
            stages.predict(tmp_path / identity, schema, model)
            (result,) = staging.load_results(tmp_path / identity)
            assert f" {result.probability:.4f} as of" in line


def test_a_large_patient_is_loaded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [observation(hours=number / 100, id=f"o{number:02}") for number in range(45)]
    readings[0]["hasMember"] = [{"reference": "Observation/o01"}, {"reference": "Observation/o44"}]
    bundle = transaction(patient(), readings)
    cut = list(parts(bundle, 20))
    assert [len(part["entry"]) for part in cut] == [20, 20, 8]
    members = [part["entry"][1]["resource"].get("hasMember", []) for part in (bundle, cut[0])]
    assert [len(some) for some in members] == [2, 1]
    assert list(parts(bundle)) == [bundle]
    assert len(bundle["entry"]) < ENTRIES
    monkeypatch.setattr(demo_patients, "parts", partial(parts, entries=20))
    whole = DemoPatient("low-1", PatientResult("p", Outcome.SCORED), {"transaction": bundle})
    with SandboxServer() as server, FhirClient(ClientSettings(base_url=server.base_url)) as client:
        for status in (201, 200):
            answers = upload(client, whole)
            assert [answer.status for answer in answers] == [status] * 46
        (only,) = client.search("Patient", [])
        assert answers[0].location == f"Patient/{only['id']}"
        subjects = [one["subject"]["reference"] for one in client.search("Observation", [])]
        assert subjects == [f"Patient/{only['id']}"] * 45


def test_references_lead_into_the_bundle_or_are_left_out() -> None:
    kept = observation(
        id="kept",
        encounter={"reference": "Encounter/e", "display": "Visit of Doe"},
        performer=[{"reference": "Practitioner/doe", "display": "Doe"}],
        hasMember=[{"reference": "Observation/other/_history/3"}, {"reference": "Observation/gone"}],
        specimen={"reference": "#tube"},
        extension=[{"url": "urn:x", "valueReference": {"reference": "Device/d"}}, {"url": "urn:y", "valueString": "y"}],
        meta={"versionId": "7", "lastUpdated": at(1), "profile": ["urn:p"]},
    )
    person = patient(managingOrganization={"reference": "Organization/o"}, link=[{"type": "seealso"}])
    bundle = transaction(person, [kept, observation(id="other", hours=2)])
    head, one, other = bundle["entry"]
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["POST"] * 3
    assert not head["resource"].keys() & {"id", "managingOrganization", "link", "meta"}
    resource = one["resource"]
    assert not resource.keys() & {"id", "encounter", "performer"}
    assert resource["subject"] == {"reference": head["fullUrl"]}
    assert resource["hasMember"] == [{"reference": other["fullUrl"]}]
    assert resource["specimen"] == {"reference": "#tube"}
    assert resource["extension"] == [{"url": "urn:y", "valueString": "y"}]
    assert resource["meta"] == {"profile": ["urn:p"]}
    assert "Doe" not in json.dumps(bundle)
    assert kept["encounter"]["reference"] == "Encounter/e"  # what was given is not changed


def test_a_prefetch_has_no_key_for_what_the_chart_lacks() -> None:
    reading = observation(subject={"reference": "https://fhir.example.org/r4/Patient/p"})
    made = prefetch(patient(), {"heart_rate": [reading], "lactate": []})
    assert list(made) == ["patient", "heart_rate"]
    assert made["heart_rate"]["entry"][0]["resource"]["subject"] == {"reference": "Patient/p"}


def test_a_value_of_somebody_else_does_not_come_back_when_its_focus_is_left_out(tmp_path: Path) -> None:
    values = {"heart_rate": 80.0, "respiratory_rate": 16.0, "wbc": 7.0, "temperature": 36.9}
    chart = [patient(), *(observation(name, value, id=name.replace("_", "-")) for name, value in values.items())]
    unborn = observation(value=150.0, id="unborn", focus=[{"reference": "RelatedPerson/unborn"}])
    retracted = observation(value=30.0, id="retracted", status="entered-in-error")
    (tmp_path / "chart.json").write_text(json.dumps({"all": [*chart, unborn, retracted]}))
    look = Look(load_schema(ROOT / "include" / "schemas" / "sepsis.yaml"), champion(MODELS, "sepsis"), T)
    (found,) = find([tmp_path], look)
    assert len(found.content["transaction"]["entry"]) == len(chart)
    assert "RelatedPerson" not in json.dumps(found.content)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--upload", "http://fhir.example.org/r4"), "plain http to fhir.example.org"),
        (("--upload", "fhir_default"), "must be http://HOST/PATH or https://HOST/PATH"),
        (("--zone", "Mars/Olympus"), "--zone 'Mars/Olympus' is no time zone"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_written(
    run: Callable[..., Any], words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in err
    assert not (tmp_path / "out").exists()


def test_a_server_that_refuses_is_told_by_its_status(run: Callable[..., Any]) -> None:
    with SandboxServer(behaviour=Behaviour(conditional_writes=False)) as server:
        status, _, err = run("--minimal", "--upload", server.base_url)
        assert status == 2
        assert "400" in err
        with FhirClient(ClientSettings(base_url=server.base_url)) as client:
            assert list(client.search("Patient", [])) == []
