"""F26: the peer answers 200 with no cards for whatever goes wrong, which is what it answers for a low risk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.cds.ehr import KEYS, LEVELS, NOW, Ehr, call, granting, no_data, sidecar, with_keys
from tests.unit.cds_hooks.hook_requests import TOKEN

from cds_hooks import live
from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening.synthetic import fhir_resources
from screening.synthetic.named import named_patients

ALL_CLEAR = {"cards": []}


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ehr]:
    with sidecar(state=tmp_path_factory.mktemp("state")) as made:
        yield made


def test_f26_only_a_low_risk_is_all_clear(ehr: Ehr) -> None:
    """Else the rest would pass for nothing."""
    assert [who for who in LEVELS if ehr.post(call(who)).json == ALL_CLEAR] == ["demo-low"]


@pytest.mark.parametrize("where", ["sort_out", "FhirReader", "featurize", "score", "outside_window"])
@pytest.mark.parametrize("error", [RuntimeError("x"), AssertionError("x"), KeyError("x"), OSError("x")], ids=repr)
def test_f26_an_exception_is_an_error(ehr: Ehr, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception) -> None:
    """The peer catches it and answers `{"cards": []}`."""

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(live, where, broken)
    answer = ehr.post(call("demo-low"))
    assert answer.status_code == 500
    assert answer.json["resourceType"] == "OperationOutcome"


def test_f26_what_was_not_sent_is_fetched_or_missed_by_name(tmp_path: Path) -> None:
    """The peer never fetches, and answers without cards."""
    with SandboxServer(behaviour=Behaviour(bearer_token=TOKEN)) as server:
        for person in named_patients(NOW):
            server.load(fhir_resources(person, "loinc"))
        (tmp_path / "ehrs.yaml").write_text(f"ehrs:\n  - fhir_servers: [{server.base_url}]\n")
        with sidecar(state=tmp_path / "state", ehrs=tmp_path / "ehrs.yaml", fetch_seconds=10.0) as ehr:
            assert ehr.card(granting(server.base_url))["indicator"] == "critical"
            assert ehr.post(granting(server.base_url, "demo-low")).json == ALL_CLEAR
            text = ehr.refused(412, call(without=KEYS))
            assert [key for key in KEYS if key not in text] == []


@pytest.mark.parametrize("who", LEVELS)
def test_f26_no_data_are_no_low_risk(ehr: Ehr, who: str) -> None:
    card = ehr.card(no_data(who))
    assert card["summary"].startswith("Sepsis risk not computed")


@pytest.mark.parametrize(
    "value",
    [
        None, "text", 7, [], [7], {}, {"resourceType": "Bundle", "entry": "x"}, {"resourceType": "Basic"},
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]},
    ],
    ids=str,
)  # fmt: skip
def test_f26_a_value_that_is_none_is_told(ehr: Ehr, value: Any) -> None:
    """The peer takes it for missing in silence, and shows 73 % instead of 90 %."""
    detail = ehr.card(with_keys(wbc=value))["detail"]
    (row,) = (line for line in detail.splitlines() if line.startswith("| White blood cells |"))
    assert "**imputed**" in row
    assert ("the EHR sent" in row) == (value not in (None, []))
    assert ehr.card(with_keys(heart_rate=value))["indicator"] == "info"
