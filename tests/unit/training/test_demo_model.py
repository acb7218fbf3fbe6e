"""The demo model is what training makes of the invented hospital, byte for byte, and says what it is."""

import json
from pathlib import Path

import pytest
from tests.charts import ROOT

from screening.readers.mimic_tables import CsvTables
from screening.schema import load_schema
from screening.training import run, staged
from screening.training.plan import INVENTED_PATIENTS, load_plan
from screening.training.source import invented

KEPT = ROOT / "include" / "models" / "sepsis" / "1.0.0"


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model file of the stages that `make model` runs."""
    folder = tmp_path_factory.mktemp("rebuilt")
    plan = load_plan(ROOT / "include" / "training" / "sepsis.yaml", candidates=["xgboost"], bootstrap=100)
    job = run.Job(load_schema(ROOT / "include" / "schemas" / "sepsis.yaml"), plan, folder / "staging")
    source = invented(folder / "mimic", INVENTED_PATIENTS)
    tables = CsvTables(Path(source.place))
    run.locate(job, tables, source.described)
    run.cohort(job, tables)
    run.extract(job, tables)
    run.features(job)
    run.fit(job, "xgboost")
    run.evaluate(job)
    return staged.load_bytes(job.folder, "model.pkl")


def test_the_demo_model_is_rebuilt_byte_for_byte(rebuilt: bytes) -> None:
    assert rebuilt == (KEPT / "model.pkl").read_bytes()


def test_manifest_card_and_gate_say_what_it_is() -> None:
    manifest = json.loads((KEPT / "manifest.json").read_text())
    assert (manifest["synthetic"], manifest["tiny"], manifest["gate"]["passed"]) == (True, False, True)
    assert "the patients are invented" in (KEPT / "model_card.md").read_text()
    assert "Not for clinical use" in (KEPT / "model_card.md").read_text()
    assert any("invented" in sentence for sentence in json.loads((KEPT / "model_card.json").read_text())["warnings"])
