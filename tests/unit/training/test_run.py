"""The stages from the first table to the champion, on a small invented hospital."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.mimic import PLAN, SCHEMA

from screening.errors import DataFileError, FatalError
from screening.model.registry import champion
from screening.readers.mimic_tables import CsvTables
from screening.schema import parse_schema
from screening.synthetic import Hospital, write_mimic_csv
from screening.training import run, staged
from screening.training.gate.comparison import answers
from screening.training.learning.fit import probabilities
from screening.training.plan import GateLimits, Untouched
from screening.training.run import Job

WHEN = datetime(2026, 3, 8, 18, tzinfo=UTC)
CANDIDATE = "xgboost"
SMALL = PLAN.model_copy(
    update={
        "candidates": {CANDIDATE: {"n_estimators": 20, "max_depth": 2}},
        "bootstrap": 100,
        "folds": 3,
        "untouched": Untouched(share=0.4, salt="sepsis"),
        "gate": GateLimits(max_auroc=1.0, max_latency_ms=1000.0),
    }
)


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that went on to its evaluation."""
    home = tmp_path_factory.mktemp("run")
    write_mimic_csv(Hospital(150, 3, WHEN), home / "mimic")
    job, tables = Job(SCHEMA, SMALL, home / "staging"), CsvTables(home / "mimic")
    run.locate(job, tables, run.Described("MIMIC-IV, folder mimic", False))
    run.cohort(job, tables)
    run.extract(job, tables)
    run.features(job)
    run.fit(job, CANDIDATE)
    assert run.evaluate(job)["tiny"]
    return job.folder


@pytest.fixture
def job(evaluated: Path, tmp_path: Path) -> Job:
    shutil.copytree(evaluated, tmp_path / "staging")
    return Job(SCHEMA, SMALL, tmp_path / "staging")


def gated(job: Job, *, allow_tiny: bool = True) -> dict[str, Any]:
    home = job.folder.parent
    return run.gate(job, home / "models", home / "report", allow_tiny=allow_tiny, today=WHEN)


def published(job: Job) -> Any:
    return run.publish(job, job.folder.parent / "models", created=WHEN, approved_by="a.weber")


def test_a_tiny_model_that_was_asked_for_is_champion_and_says_what_it_is(job: Job, tmp_path: Path) -> None:
    assert gated(job)["accepted"]
    bundle = published(job)
    assert champion(tmp_path / "models", "sepsis").sha256 == bundle.sha256
    assert (bundle.tiny, bundle.synthetic, bundle.version) == (True, True, "1.0.0")
    manifest = json.loads((tmp_path / "models/sepsis/1.0.0/manifest.json").read_text())
    assert manifest["training_data"]["described"] == "invented patients in the form of MIMIC-IV, folder mimic"
    assert manifest["approved_by"] == "a.weber"
    assert published(job).version == "1.0.0"  # once more changes nothing
    card = (tmp_path / "models/sepsis/1.0.0/model_card.md").read_text()
    assert "Synthetic data" in card
    assert "Tiny data" in card


def test_what_is_published_answers_as_what_was_evaluated_and_gives_reasons(job: Job) -> None:
    gated(job)
    bundle, test = published(job), run.split(job).test
    found, answered = answers(bundle, test)
    assert answered.all()
    fitted = staged.load_object(job.folder, f"fitted-{CANDIDATE}")
    assert found.tolist() == probabilities(fitted, test.values).tolist()
    reasons, margins = bundle.contributions(test.values), bundle.estimator.probabilities(test.values)
    constant = np.log(margins / (1 - margins)) - reasons.sum(axis=1)  # the model's own, the same for everybody
    assert constant == pytest.approx(np.full(len(test), constant[0]), abs=1e-5)


def test_a_model_that_is_refused_is_kept_and_not_published(job: Job, tmp_path: Path) -> None:
    verdict = gated(job, allow_tiny=False)
    assert not verdict["accepted"]
    assert any("positives" in reason for reason in verdict["reasons"])
    assert (tmp_path / "report" / run.REFUSED / "model.pkl").read_bytes() == (job.folder / "model.pkl").read_bytes()
    with pytest.raises(FatalError, match="the gate refused this model"):
        published(job)
    assert not (tmp_path / "models").exists()


def test_no_model_is_published_on_another_ones_verdict(job: Job, tmp_path: Path) -> None:
    gated(job)
    model = job.folder / "model.pkl"
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(FatalError, match="the gate judged another model"):
        published(job)
    assert not (tmp_path / "models").exists()


def test_without_the_gate_nothing_is_published(job: Job, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"verdict\.json of this run is missing"):
        published(job)
    assert not (tmp_path / "models").exists()


LATER: dict[str, Callable[[Job], Any]] = {
    "extract": lambda job: run.extract(job, CsvTables(job.folder)),
    "features": run.features,
    "fit": lambda job: run.fit(job, CANDIDATE),
    "evaluate": run.evaluate,
    "gate": gated,
    "publish": published,
}


@pytest.mark.parametrize("stage", LATER)
def test_a_plan_or_schema_that_was_edited_meanwhile_ends_the_run(job: Job, stage: str) -> None:
    other = SMALL.model_copy(update={"untouched": Untouched(share=0.4, salt="another")})
    with pytest.raises(FatalError, match="the plan changed since the run began: train again"):
        LATER[stage](replace(job, plan=other))
    text = (Path(__file__).parents[3] / "include" / "schemas" / "sepsis.yaml").read_text()
    wider = parse_schema(text.replace("range: [25, 45]", "range: [25, 113]"))
    with pytest.raises(FatalError, match="the schema changed since the run began"):
        LATER[stage](replace(job, schema=wider))


def test_a_schema_that_tells_more_goes_on(job: Job) -> None:
    text = (Path(__file__).parents[3] / "include" / "schemas" / "sepsis.yaml").read_text()
    told = parse_schema(text.replace("display: Lactate\n", "display: Lactate in blood\n"))
    assert run.split(replace(job, schema=told)).test.stays.tolist() == run.split(job).test.stays.tolist()
