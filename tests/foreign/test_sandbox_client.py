"""HealthChain's SandboxClient, in its own environment, gets the right cards from our sidecar."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.charts import ROOT
from tests.foreign.conftest import SCHEMA, Send
from tests.unit.hook_client.stub import CARD, StubService

from screening.data_files import contents
from screening.features import featurize
from screening.model.bundle import ModelBundle
from screening.model.files import load_file
from screening.model.registry import champion
from screening.outcome import Outcome, PatientResult
from screening.readers.fhir import read
from screening.schema import Schema, load_schema
from screening.scoring import score

MODELS = ROOT / "include" / "models"
INDICATORS = {"high": "critical", "moderate": "warning"}


def by_batch(folder: Path, pattern: str, schema: Schema, model: ModelBundle) -> dict[str, PatientResult]:
    """Return what the batch path says of each file's patient, by patient id."""
    found = {}
    for file in folder.glob(pattern):
        (one,) = score(featurize(read(contents([file]), schema), schema, "latest"), schema, model)
        found[one.patient_id] = one
    return found


def fits(response: dict[str, Any], result: PatientResult) -> None:
    """Check the cards that the client gave back against a result of the batch path."""
    cards = response["cards"]  # an error of any sort is `{}` to this client
    if result.outcome is Outcome.SCORED and result.risk_level == "low":
        assert cards == []
        return
    (card,) = cards
    UUID(card["uuid"])
    if result.outcome is Outcome.SCORED:
        assert result.risk_level is not None
        assert result.probability is not None
        level, percent = re.fullmatch(r"Sepsis\b.*Risk: (\w+) \((\d+)%\)", card["summary"]).groups()  # type: ignore[union-attr]
        assert (level.lower(), card["indicator"]) == (result.risk_level, INDICATORS[result.risk_level])
        assert abs(int(percent) - 100 * result.probability) <= 1
    else:
        assert result.outcome is Outcome.INSUFFICIENT_DATA
        assert card["indicator"] == "info"
        assert "%" not in card["summary"]


def test_ch23_ch27_ch33_ch35_ch60_what_this_client_sends(send: Send, invented_files: Path) -> None:
    """The peculiarities that CDS_REQUIRE_PATIENT_MATCH=false, CDS_CLINICIANS_ONLY=false and CDS_AUTH=off are there for."""
    with StubService(strict=False) as stub:
        exchange = send(f"{stub.url}/cds-services/sepsis-risk", invented_files, "*_patient.json")
    assert exchange.keys() == {"demo-high", "demo-moderate", "demo-low"}
    assert [one["response"] for one in exchange.values()] == [{"cards": []}] * 3
    assert len(stub.bodies) == 3
    for body in stub.bodies:
        assert body.keys() == {"hook", "hookInstance", "context", "prefetch"}
        assert str(UUID(body["hookInstance"])) == body["hookInstance"]
        assert re.fullmatch(r"\d{7}", body["context"]["patientId"])
        assert re.fullmatch(r"(Practitioner|PractitionerRole|Patient|RelatedPerson)/\d{1,5}", body["context"]["userId"])
        assert body["prefetch"]["patient"]["id"] in exchange


def test_ch43_this_client_takes_an_error_for_an_empty_answer(send: Send, invented_files: Path) -> None:
    """Not even `cards` is in it: a test that asked for `.get("cards", [])` alone would take an error for a low risk."""
    with StubService() as stub:  # which refuses a patientId that is not the prefetched Patient's
        exchange = send(f"{stub.url}/cds-services/sepsis-risk", invented_files, "*_patient.json")
    assert [one["response"] for one in exchange.values()] == [{}] * 3


def test_ch40_a_card_comes_through_this_client_whole(send: Send, invented_files: Path) -> None:
    with StubService(strict=False) as stub:
        stub.default = (200, {"cards": [CARD]})
        exchange = send(f"{stub.url}/cds-services/sepsis-risk", invented_files, "demo-high_patient.json")
    assert exchange["demo-high"]["response"] == {"cards": [CARD]}


def test_ch08_invented_patients_get_the_cards_of_the_batch_path(
    send: Send, sidecar: Callable[..., str], invented_files: Path
) -> None:
    expected = by_batch(invented_files, "*_patient.json", load_schema(SCHEMA), champion(MODELS, "sepsis"))
    assert [expected[f"demo-{level}"].risk_level for level in ("high", "moderate", "low")] == [
        "high",
        "moderate",
        "low",
    ]
    exchange = send(sidecar(), invented_files, "*_patient.json")
    assert exchange.keys() == expected.keys()
    for patient, one in exchange.items():
        fits(one["response"], expected[patient])


def test_ch08_the_tutorial_s_files_get_the_cards_of_the_batch_path(
    send: Send, sidecar: Callable[..., str], real_data: Path
) -> None:
    """With our schema two of them have too little in one day: an info card, and not "low"."""
    folder = real_data / "healthchain-demo-patients"
    expected = by_batch(folder, "*_patient.json", load_schema(SCHEMA), champion(MODELS, "sepsis"))
    exchange = send(sidecar(), folder, "*_patient.json")
    assert exchange.keys() == expected.keys()
    for patient, one in exchange.items():
        fits(one["response"], expected[patient])


def test_ch08_the_tutorial_s_files_model_and_schema_get_the_tutorial_s_cards(
    send: Send, sidecar: Callable[..., str], real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "healthchain-demo-patients"
    yaml, model = tmp_path / "sepsis_vitals.yaml", folder / "sepsis_model.pkl"
    yaml.write_text((folder / "sepsis_vitals.yaml").read_text() + "\nmissing: impute\n")
    bundle = load_file(model, models_dir=MODELS, allow_unverified=True)
    expected = by_batch(folder, "*_patient.json", load_schema(yaml), bundle)
    assert sorted(round(one.probability or 0, 2) for one in expected.values())[1:] == pytest.approx(
        [0.58, 0.9], abs=0.02
    )
    url = sidecar(CDS_SCHEMAS=str(yaml), CDS_MODEL_FILE=str(model), CDS_ALLOW_UNVERIFIED_MODEL="true")
    exchange = send(url, folder, "*_patient.json")
    assert exchange.keys() == expected.keys()
    for patient, one in exchange.items():
        fits(one["response"], expected[patient])
