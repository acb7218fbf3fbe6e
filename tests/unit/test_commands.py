"""The command line: what it says of good files, and of files that it cannot use."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import joblib
import pytest
from tests.charts import ROOT

from fhir_sandbox.server import SandboxServer
from screening.__main__ import main
from screening.synthetic import Hospital, fhir_resources

SEPSIS = ROOT / "include" / "schemas" / "sepsis.yaml"
MODELS = ROOT / "include" / "models"
NOW = "2026-03-01T02:00:00+00:00"
PATIENT = {"resourceType": "Patient", "id": "a", "birthDate": "1950-01-01", "gender": "male"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write one file of each kind that the tests name: good ones and broken ones."""
    from datetime import datetime

    named = Hospital(size=0, seed=7, now=datetime.fromisoformat(NOW)).named()
    charts = [resource for person in named for resource in fhir_resources(person, "loinc")]
    lines = b"".join(json.dumps(resource).encode() + b"\n" for resource in charts)
    text = SEPSIS.read_text()
    files = {
        "good.ndjson": lines,
        "good.ndjson.gz": gzip.compress(lines, mtime=0),
        "cut.ndjson.gz": gzip.compress(lines, mtime=0)[:-200],
        "plain.json.gz": b"{}",
        "cut.json": json.dumps(PATIENT).encode()[:-9],
        "broken.ndjson": json.dumps(PATIENT).encode() + b'\n{"name": "Doe"\n',
        "other.json": b'{"status": "up"}',
        "values.json": json.dumps({"resourceType": "Observation", "id": "o"}).encode(),
        "data.csv": b"a,b\n",
        "unreadable.yaml": b"features: [",
        "binary.yaml": b"\xff\xfe",
        "unknown.yaml": text.replace("model: sepsis", "modle: sepsis").encode(),
        "lacking.yaml": text.replace("  lactate:", "  lactic:").encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    (tmp_path / "models").mkdir()
    shutil.copytree(MODELS, tmp_path / "changed")
    with (tmp_path / "changed" / "sepsis" / "1.0.0" / "model.pkl").open("ab") as file:
        file.write(b"x")
    return tmp_path


def run(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run a command line whose words beginning with @ are files of the folder."""
    words = [str(folder / word[1:]) if word.startswith("@") else word for word in command.split()]
    status = main(words)
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.mark.parametrize("file", ["@good.ndjson", "@good.ndjson.gz"])
def test_score_says_a_line_for_each_patient(folder: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(folder, f"score {file} --prediction-time {NOW}", capsys)
    assert (status, err) == (0, "")
    said = {
        line.split(":")[0]: line.split(": ")[1].split()[0] for line in out.splitlines() if line.startswith("Patient/")
    }
    assert said == {"Patient/demo-high": "HIGH", "Patient/demo-moderate": "MODERATE", "Patient/demo-low": "LOW"}


def test_score_as_json_is_the_whole_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(folder, f"score @good.ndjson --json --prediction-time {NOW}", capsys)
    results: list[dict[str, Any]] = json.loads(out)["results"]
    assert status == 0
    assert all(one["outcome"] == "scored" and one["basis"] and one["inputs"] for one in results)


def test_score_says_by_which_model_and_what_must_be_known_of_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(folder, f"score @good.ndjson --prediction-time {NOW}", capsys)
    assert "model sepsis 1.0.0: trained on invented patients\n" in out
    _, out, _ = run(folder, f"score @good.ndjson --json --prediction-time {NOW}", capsys)
    model = json.loads(out)["model"]
    assert (model["name"], model["version"], model["synthetic"], model["tiny"]) == ("sepsis", "1.0.0", True, False)
    assert model["sha256"] in (MODELS / "sepsis" / "champion.json").read_text()


def test_a_model_of_too_few_patients_is_called_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = joblib.load(MODELS / "sepsis" / "1.0.0" / "model.pkl")
    joblib.dump({**content, "metadata": {**content["metadata"], "synthetic": False, "tiny": True}}, folder / "few.pkl")
    _, out, _ = run(folder, "score @good.ndjson --model @few.pkl --allow-unverified", capsys)
    assert ": trained on too few patients to judge it by\n" in out


def test_a_patient_without_data_is_told_and_the_status_is_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "alone.json").write_text(json.dumps(PATIENT))
    status, out, _ = run(folder, f"score @alone.json --prediction-time {NOW}", capsys)
    assert status == 1
    assert out.startswith("Patient/a: insufficient_data (heart_rate, temperature, respiratory_rate")


def test_featurize_prints_the_matrix(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(folder, f"featurize @good.ndjson --json --prediction-time {NOW}", capsys)
    assert status == 0
    assert {row["patient_id"] for row in json.loads(out)["rows"]} == {"demo-high", "demo-moderate", "demo-low"}


def test_schema_check_counts_who_has_what(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(folder, f"schema check {SEPSIS} --against @good.ndjson", capsys)
    assert status == 0
    assert "heart_rate                3 of 3 patients" in out
    (folder / "alone.json").write_text(json.dumps(PATIENT))
    status, out, _ = run(folder, f"schema check {SEPSIS} --against @alone.json", capsys)
    assert status == 1
    assert "heart_rate                0 of 1 patients" in out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("score @none.json", ("none.json: no such file",)),
        (f"schema check {SEPSIS} --against @nowhere", ("nowhere: no such file or folder",)),
        ("score @empty", ("empty: the folder holds no .json, .ndjson, .json.gz, .ndjson.gz file",)),
        ("score @data.csv", ("data.csv: the name must end in .json, .ndjson",)),
        ("score @cut.json", ("cut.json: is not JSON, or is cut off", "export or copy the file anew")),
        ("score @broken.ndjson", ("broken.ndjson, line 2: is not JSON, or is cut off",)),
        ("score @cut.ndjson.gz", ("cut.ndjson.gz: cannot be read to its end (EOFError)", "export or copy it anew")),
        ("score @plain.json.gz", ("plain.json.gz: cannot be read to its end (BadGzipFile)", "export or copy it anew")),
        ("score @other.json", ("hold no Patient resource", "add the file with the Patients")),
        ("score @values.json", ("hold no Patient resource", "add the file with the Patients")),
        ("featurize @values.json", ("hold no Patient resource", "add the file with the Patients")),
        (f"schema check {SEPSIS} --against @values.json", ("hold no Patient resource", "add the file with the Patients")),
        ("score @good.ndjson --zone Mars/Olympus", ("--zone 'Mars/Olympus' is no time zone", "America/New_York")),
        ("score @good.ndjson --zone America", ("--zone 'America' is no time zone", "America/New_York")),
        ("score @good.ndjson --schema @lacking.yaml", ("needs feature(s) that the schema lacks: lactate",)),
        ("score @good.ndjson --models @models", ("no model 'sepsis'; there is: none",)),
        ("score @good.ndjson --models @changed", ("model.pkl", "sha256")),
        ("score @good.ndjson --model @other.json", ("no manifest in", "vouches for this file", "set allow_unverified")),
        ("score @good.ndjson --model @other.json --allow-unverified", ("other.json: cannot be unpickled", "damaged")),
        ("model show stroke", ("no model 'stroke'; there is: sepsis",)),
        ("schema check @unreadable.yaml", ("unreadable.yaml", "line 1", "not readable as YAML")),
        ("schema check @binary.yaml", ("binary.yaml", "cannot be read as UTF-8 text")),
        ("schema check @unknown.yaml", ("modle: unknown key; remove it or mend its spelling",)),
        ("schema check @none.yaml", ("none.yaml", "no such file")),
        ("seed --url fhir.example.org", ("must be http://HOST/PATH or https://HOST/PATH",)),
        ("seed --url http://fhir.example.org/r4", ("plain http to fhir.example.org", "use https, or set allow_http")),
        ("seed --url http://127.0.0.1:9/fhir --now latest", ("--now must be a time",)),
        ("seed --url http://127.0.0.1:9/fhir --size -1", ("0 to 4000000 patients",)),
    ],
    ids=lambda value: value.replace("@", "").replace(f"{SEPSIS}", "sepsis.yaml") if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_used_is_named(
    folder: Path, command: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(folder, command, capsys)
    assert status == 2
    assert "patient" not in out.lower()  # no half of an answer
    assert err.startswith("error: ")
    assert [word for word in words if word not in err] == [], err
    assert "Doe" not in err  # a broken file is not quoted: it may hold a patient


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("noon", "write `latest` or an ISO time such as 2026-03-01T02:00:00+00:00"),
        ("2026-03-01T02:00:00", "the time has no zone: write it like 2026-03-01T02:00:00+00:00"),
    ],
)
def test_a_prediction_time_that_is_none(
    folder: Path, given: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(folder, f"score @good.ndjson --prediction-time {given}", capsys)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


def test_a_server_that_cannot_be_reached(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from screening.fhir_client.retry import RetryPolicy

    monkeypatch.setattr(RetryPolicy, "pause", lambda *_: 0.0)
    status, _, err = run(folder, "seed --url http://127.0.0.1:9/fhir --size 1", capsys)
    assert status == 2
    assert "cannot be reached (http://127.0.0.1:9), 5 attempts" in err


def test_what_was_dropped_is_told_in_one_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [
        {
            "resourceType": "Observation", "id": name, "status": "cancelled", "subject": {"reference": "Patient/a"},
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        }
        for name, code in (("x", "9279-1"), ("y", "8867-4"), ("z", "6690-2"))
    ]  # fmt: skip
    told = []
    for number, order in enumerate((values, values[::-1])):
        (folder / f"{number}.json").write_text(json.dumps([PATIENT, *order]))
        told.append(
            run(folder, f"score @{number}.json --schema {SEPSIS} --models {MODELS} --prediction-time {NOW}", capsys)[1]
        )
    assert "dropped heart_rate: status: 1\ndropped respiratory_rate: status: 1\ndropped wbc: status: 1" in told[0]
    assert told[0] == told[1]


def test_a_url_beside_the_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SandboxServer() as server:
        status, _, err = run(folder, f"seed --url {server.root_url}/r4 --size 1", capsys)
        assert server.store.versions() == 0
    assert status == 2
    assert f"there is no FHIR server at the base URL {server.root_url}/r4" in err
