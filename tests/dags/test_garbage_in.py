"""What is set up wrongly is refused with words that name the fix, at once, and before anything is written."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.dags.conftest import NOW, ROOT, Screening
from tests.unit.fhir_client.stub_server import Out, Stub, fhir

from fhir_sandbox.behaviour import LIKE, Behaviour
from fhir_sandbox.faults import Faults, Match, Rule
from fhir_sandbox.server import SandboxServer
from screening.errors import FatalError, FhirFatalError, FhirTemporaryError, TemporaryError

SEPSIS = ROOT / "include" / "schemas" / "sepsis.yaml"
NO_FHIR = ("not a FHIR resource in JSON", "check the base URL")
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}
MEND = "mend the schema's cohort"
BATCH = {
    "number": 1, "label": "batch 1", "patient_ids": ["a"], "prediction_time": NOW.isoformat(),
    "model": {"name": "sepsis", "version": "1.0.0", "sha256": "", "synthetic": True}, "run": {},
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_written(screening: Screening, hospital: list[str], server: SandboxServer) -> Iterator[None]:
    """Whatever a test of this file does, the server holds afterwards what it held before, and no report is made."""
    before = server.store.versions()
    yield
    assert server.store.versions() == before
    assert screening.assessments() == {}
    assert not list(screening.folder.glob("staging/**/*.parquet"))


def context(run_type: str = "manual", **params: Any) -> Any:
    """Return as much of a task's context as the operators read."""
    from screening_airflow.dag_factory import params as defaults

    run = SimpleNamespace(run_type=run_type, run_after=NOW, data_interval_end=NOW, start_date=NOW)
    whole = {name: param.value for name, param in defaults().items()} | params
    return {"params": whole, "dag_run": run, "run_id": "r", "ti": SimpleNamespace(try_number=1, max_tries=2)}


def cohort(run_type: str = "manual", **params: Any) -> list[dict[str, Any]]:
    """Execute the first task of a run."""
    from airflow.sdk import DAG

    from screening_airflow.dag_factory import params as defaults
    from screening_airflow.run_operators import CohortOperator

    given = context(run_type, **params)
    with DAG("garbage", schedule=None, params=defaults()):
        operator = CohortOperator(task_id="cohort", schema="sepsis.yaml", fhir_conn_id=given["params"]["fhir_conn_id"])
    return operator.execute(given)


def refused(*words: str, run_type: str = "manual", **params: Any) -> str:
    """Assert that the first task fails for good, with these words; return all of them."""
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException) as caught:
        cohort(run_type, **params)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    return message


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, server: SandboxServer) -> Callable[..., None]:
    """Change the connection; None leaves a field out."""

    def change(**fields: Any) -> None:
        whole = {"conn_type": "fhir", "host": server.base_url, "extra": {"attempts": 2}} | fields
        monkeypatch.setenv("AIRFLOW_CONN_FHIR_DEFAULT", json.dumps(whole))

    return change


def test_the_same_task_accepts_what_is_right(hospital: list[str]) -> None:
    """Without this, everything below could be refused for one and the same wrong reason."""
    (batch,) = cohort()
    assert set(batch["patient_ids"]) <= set(hospital)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text + "\nfeatures: [", ("sepsis.yaml", "line", "not readable as YAML")),
        (lambda text: text.replace("model: sepsis", "modle: sepsis"), ("modle: unknown key", "mend its spelling")),
        (lambda text: text.replace("min_observed: 3", "min_observed: many"), ("min_observed", "integer")),
        (lambda text: text.replace("  lactate:", "  lactic:"), ("needs feature(s) that the schema lacks: lactate",)),
        (lambda text: text.replace("unit: Cel", 'unit: "[degF]"'), ("other units", "temperature (Cel, the schema has")),
        (lambda text: text.replace("model: sepsis", "model: stroke"), ("no model 'stroke'", "there is: sepsis")),
        (lambda text: "", ("the file is empty", "needs name, version and features")),
    ],
    ids=["unreadable", "unknown key", "wrong type", "missing feature", "other unit", "no such model", "empty"],
)
def test_a_schema_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str], words: tuple[str, ...]
) -> None:
    changed = change(SEPSIS.read_text())
    assert changed != SEPSIS.read_text()
    (tmp_path / "sepsis.yaml").write_text(changed)
    monkeypatch.setenv("SCREENING_SCHEMAS", str(tmp_path))
    refused(*words)


def test_a_schema_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_SCHEMAS", str(tmp_path))
    refused("sepsis.yaml: 1 problem(s)", "no such file")


def break_the_file(home: Path) -> None:
    with (home / "1.0.0" / "model.pkl").open("ab") as file:
        file.write(b"x")


def rewrite_the_pointer(home: Path) -> None:
    (home / "champion.json").write_text(json.dumps({"version": "1.0.0", "sha256": "0" * 64}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_the_file, ("model.pkl", "sha256")),
        (rewrite_the_pointer, ("champion.json has sha256 000000000000", "Promote the version anew")),
        (lambda home: (home / "champion.json").unlink(),
         ("no champion of model 'sepsis'", "promote one of its versions (1.0.0)")),
        (lambda home: (home / "champion.json").write_text("{"), ("champion.json: is broken", "publish anew")),
        (lambda home: (home / "1.0.0" / "manifest.json").unlink(), ("manifest.json: no such file",)),
        (lambda home: shutil.rmtree(home.parent), ("no such folder", "should hold the models")),
    ],
    ids=["wrong sha256", "wrong pointer", "no champion", "broken pointer", "no manifest", "no registry"],
)  # fmt: skip
def test_a_model_that_cannot_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    shutil.copytree(ROOT / "include" / "models", tmp_path / "models")
    damage(tmp_path / "models" / "sepsis")
    monkeypatch.setenv("SCREENING_MODELS", str(tmp_path / "models"))
    refused(*words)


def test_a_server_that_cannot_be_reached_is_tried_again(connect: Callable[..., None]) -> None:
    """The one thing on this page that may pass: it is left to Airflow's retries."""
    from airflow.sdk import RetryAction

    from screening_airflow.dag_factory import RETRIES

    connect(host="http://127.0.0.1:9/fhir")
    with pytest.raises(
        FhirTemporaryError, match=r"metadata: cannot be reached \(http://127\.0\.0\.1:9\), 2 attempts"
    ) as it:
        cohort()
    assert RETRIES.evaluate(it.value, 1, 2).action is RetryAction.RETRY


@pytest.mark.parametrize(
    ("error", "action"),
    [(FatalError("x"), "fail"), (FhirFatalError("x"), "fail"), (TemporaryError("x"), "retry")],
    ids=lambda value: type(value).__name__,
)
def test_the_retry_policy_knows_the_tree_of_errors(error: Exception, action: str) -> None:
    from screening_airflow.dag_factory import RETRIES

    assert str(RETRIES.evaluate(error, 1, 2).action.value) == action


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Out(200, b'{"status": "up"}', JSON), NO_FHIR),
        (Out(200, b"<html>Sign in</html>", HTML), NO_FHIR),
        (fhir({"resourceType": "Patient", "id": "a"}), ("no CapabilityStatement", "check the base URL")),
        (fhir({"resourceType": "CapabilityStatement", "fhirVersion": "1.0.2"}), ("speaks FHIR 1.0.2", "R4 endpoint")),
        (Out(302, b"", {"Location": "http://sso.example.org/login"}),
         ("a redirect to http://sso.example.org/login", "final address")),
        (Out(403, b""), ("403", "lack the right")),
    ],
    ids=["JSON", "HTML", "another resource", "DSTU2", "redirect", "forbidden"],
)  # fmt: skip
def test_a_server_that_is_no_fhir_r4_server(connect: Callable[..., None], answer: Out, words: tuple[str, ...]) -> None:
    stub = Stub()
    stub.route = lambda call: answer
    try:
        connect(host=stub.base)
        refused(*words)
        assert len(stub.calls) == 1  # nothing but metadata was asked, and that once
    finally:
        stub.close()


def test_an_error_page_in_the_middle_is_no_empty_cohort(server: SandboxServer) -> None:
    server.faults = Faults(rules=(Rule(Match(path_regex="^/Encounter"), action="html"),))
    refused("Encounter", "not a FHIR resource in JSON", "check the base URL")


def test_a_base_url_beside_the_server(connect: Callable[..., None], server: SandboxServer) -> None:
    connect(host=f"{server.root_url}/r4")
    refused("metadata: 404", f"there is no FHIR server at the base URL {server.root_url}/r4")


def test_a_server_without_risk_assessments(server: SandboxServer) -> None:
    server.behaviour = LIKE["cerner"]
    refused("connection fhir_default does not take RiskAssessments", "run with dry_run")
    assert cohort(dry_run=True)


def test_a_server_that_does_not_know_us(connect: Callable[..., None], server: SandboxServer) -> None:
    connect(password="wrong")
    server.behaviour = Behaviour(bearer_token="right")
    refused("401", "check the credentials of the connection")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"cohort": "Encounter?class=AMB"}, ("the cohort is empty: Encounter names no patient", MEND)),
        ({"cohort": "Group/none"}, ("the cohort's Group/none is not on the server", MEND)),
        ({"cohort": "everybody"}, ("must read like Encounter?class=IMP or Patient?active=true",)),
        ({"cohort": "Encounter?colour=red"}, ("the server refused the cohort's search", "Encounter: 400", MEND)),
        ({"patient_ids": ["Doe, Jane"]}, ("no logical id", "letters, digits, - and . only", "mend it")),
        ({"patient_ids": ["a"], "cohort": "Patient?active=true"}, ("give patient_ids or cohort, not both",)),
        ({"prediction_time": "2026-03-01T02:00:00"}, ("has no zone", "2026-03-01T02:00:00+00:00")),
        ({"prediction_time": "yesterday"}, ("must be `latest` or an ISO time", "2026-03-01T02:00:00+00:00")),
        ({"dryrun": True}, ("unknown param dryrun", "mend its spelling", "known: patient_ids, cohort", "dry_run")),
        ({"prediction_time": "latest"}, ("search needs a prediction time", "a search without {prediction_time}")),
    ],
    ids=[
        "empty cohort", "no such group", "no search", "unknown search parameter", "no ids", "ids and cohort", "no zone",
        "no time", "no such param", "latest",
    ],
)  # fmt: skip
def test_params_that_cannot_be_meant(params: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refused(*words, **params)
    assert "Doe" not in message  # what stands where an id should may be a name


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_prediction_time_for_a_run_that_has_its_own(run_type: str) -> None:
    refused(f"a {run_type} run", "leave prediction_time empty", run_type=run_type, prediction_time=NOW.isoformat())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "fhir.example.org/r4"}, ("base URL with its scheme", "https://fhir.example.org/r4")),
        ({"host": None}, ("base URL with its scheme", "https://fhir.example.org/r4")),
        ({"host": "http://fhir.example.org/r4"}, ("plain http to fhir.example.org", "use https, or set allow_http")),
        ({"port": 8080}, ("write port and path into the host",)),
        ({"extra": {"page": 10}}, ("unknown extra page", "known: allow_http, verify, page_size")),
        ({"extra": "{zone"}, ("the extra is no JSON object", '{"zone": "Europe/Berlin"}')),
        ({"extra": {"page_size": 0}}, ("page_size: must be a whole number from 1 to 10000",)),
        ({"extra": {"zone": "Mars/Olympus"}}, ("zone 'Mars/Olympus' is no time zone", "America/New_York")),
        ({"extra": {"zone": 2}}, ("zone 2 is no time zone", "America/New_York")),
        ({"login": "reader"}, ("a login without a password", "only a password for a bearer token")),
        ({"password": "two words"}, ("bearer token: empty, or with spaces",)),
    ],
    ids=[
        "no scheme", "no host", "plain http", "port", "unknown extra", "extra is no JSON", "page size", "bad zone",
        "zone is no text", "login alone", "bad token",
    ],
)  # fmt: skip
def test_a_connection_that_cannot_be_used(
    connect: Callable[..., None], fields: dict[str, Any], words: tuple[str, ...]
) -> None:
    connect(**fields)
    message = refused("connection fhir_default: ", *words)
    assert "two words" not in message


@pytest.mark.parametrize("stage", ["FeaturizeOperator", "PredictOperator", "WriteRiskAssessmentsOperator"])
def test_a_task_cleared_after_its_staging_is_gone(stage: str) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException

    from screening.model.registry import champion
    from screening_airflow import operators

    sha256 = champion(ROOT / "include" / "models", "sepsis").sha256
    batch = BATCH | {"model": BATCH["model"] | {"sha256": sha256}}  # type: ignore[operator]
    with DAG("screening_sepsis", schedule=None):
        operator = getattr(operators, stage)(task_id="stage", schema="sepsis.yaml", batch=batch)
    with pytest.raises(
        AirflowFailException, match=r"parquet is missing.*clear the batch from its first task \(fetch\) on"
    ):
        operator.execute(context())


def test_a_run_with_a_missing_connection_fails_at_once(screening: Screening, airflow_home: Path, capfd: Any) -> None:
    """A whole run by Airflow: one try, no second, and the task's log holds the words."""
    assert screening.run(prediction_time=NOW.isoformat(), fhir_conn_id="nowhere") == "failed"
    assert tries(screening.last) == {"cohort": ("failed", 1)}
    told = capfd.readouterr()
    assert "there is no connection nowhere: make one of type fhir" in told.out + told.err + logs(airflow_home)


def test_a_run_with_a_wrong_param_fails_at_once(screening: Screening, airflow_home: Path, capfd: Any) -> None:
    assert screening.run(prediction_time="noon") == "failed"
    assert tries(screening.last) == {"cohort": ("failed", 1)}
    told = capfd.readouterr()
    assert "prediction_time must be `latest` or an ISO time" in told.out + told.err + logs(airflow_home)


def test_a_run_with_a_misspelled_param_writes_nothing(screening: Screening, airflow_home: Path, capfd: Any) -> None:
    """Airflow takes any configuration: without our check this run would write where a dry run was meant."""
    assert screening.run(dryrun=True) == "failed"
    assert tries(screening.last) == {"cohort": ("failed", 1)}
    told = capfd.readouterr()
    assert "unknown param dryrun" in told.out + told.err + logs(airflow_home)


def tries(run_id: str) -> dict[str, tuple[str, int]]:
    """Return state and number of tries of the first task of a run."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run_id)).all()
        return {one.task_id: (str(one.state), one.try_number) for one in found if one.task_id == "cohort"}


def logs(home: Path) -> str:
    """Return all that the tasks logged into files."""
    return "".join(path.read_text() for path in home.rglob("*.log"))
