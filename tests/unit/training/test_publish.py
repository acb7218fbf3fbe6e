"""What passed the gate appears whole or not at all, and the champion stands until then; what did not is kept aside."""

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import pytest
from tests.charts import ROOT

from screening.errors import DataFileError, FatalError, ModelError
from screening.model import layout, registry
from screening.model.listing import figure, listing
from screening.model.registry import champion, load_version
from screening.model_checks import check_file, refused
from screening.schema import Schema, load_schema
from screening.training.data import TrainingSet
from screening.training.gate.verdict import Kind, Rule, Ruling, Verdict
from screening.training.learning.artifact import model_content
from screening.training.learning.fit import fit
from screening.training.learning.folds import folds
from screening.training.plan import TrainingPlan, load_plan, parse_plan
from screening.training.publish import Origin, Product, keep_refused, next_version, publish

Make = Callable[..., TrainingSet]
MakeProduct = Callable[..., Product]
WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
PASSED = Verdict((Rule("positives", Kind.EVIDENCE, Ruling.PASSED, "600 of 20"),), tiny=False)
REFUSED = Verdict((Rule("too good", Kind.INTEGRITY, Ruling.REFUSED, "AUROC 0.95; alarm above 0.9"),), tiny=False)
EVALUATION = {"synthetic": False, "parts": {"test": {"auroc": {"value": 0.75, "low": 0.7, "high": 0.8}}}}
FILES = ["manifest.json", "metrics.json", "model.pkl", "model_card.json", "model_card.md"]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(ROOT / "include" / "schemas" / "sepsis.yaml")


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    return load_plan(ROOT / "include" / "training" / "sepsis.yaml")


@pytest.fixture(scope="module")
def origin(plan: TrainingPlan) -> Origin:
    sources = {"icustays": {"rows": 140, "sha256": "ab" * 32}, "labevents": {"rows": 107_727, "sha256": "cd" * 32}}
    return Origin(plan, sources, "MIMIC-IV demo 2.2", "a.weber", WHEN)


@pytest.fixture(scope="module")
def product(training_set: Make, schema: Schema, plan: TrainingPlan) -> MakeProduct:
    """Make a product; `note` makes another file of the same model."""
    data = training_set(patients=150, seed=1)
    simple = plan.model_copy(update={"candidates": {"logistic_regression": {}}})
    fitted = fit("logistic_regression", {}, data, folds(data.labels, data.subjects, 4, 1), 1)

    def product(note: str = "", *, synthetic: bool = False, tiny: bool = False) -> Product:
        content = model_content(fitted, data, schema, simple, metrics={}, synthetic=synthetic, tiny=tiny)
        content["metadata"]["note"] = note
        file = io.BytesIO()
        joblib.dump(content, file)
        return Product(file.getvalue(), {**EVALUATION, "synthetic": synthetic}, "# Card\n", {"name": "sepsis"})

    return product


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def against(models: Path, verdict: Verdict = PASSED) -> Verdict:
    """Return a verdict that was given beside the champion there is."""
    return replace(verdict, champion=layout.read_pointer(models, "sepsis"))


def whole(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_passed_is_published_whole_and_is_champion(
    models: Path, product: MakeProduct, origin: Origin, schema: Schema
) -> None:
    given = product()
    bundle = publish(models, "sepsis", given, PASSED, origin)
    assert (bundle.name, bundle.version, bundle.tiny, bundle.synthetic) == ("sepsis", "1.0.0", False, False)
    assert champion(models, "sepsis").sha256 == hashlib.sha256(given.model).hexdigest()
    folder = models / "sepsis" / "1.0.0"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert (folder / "model.pkl").read_bytes() == given.model
    assert json.loads((folder / "metrics.json").read_text()) == EVALUATION
    assert (folder / "model_card.md").read_text() == "# Card\n"
    assert json.loads((folder / "model_card.json").read_text()) == {"name": "sepsis"}
    assert not refused(check_file(folder / "model.pkl", schema, models))
    listed, problem = listing(models, "sepsis")
    assert (problem, listed[0].problems) == ("", ())
    assert figure(listed[0].metrics, "auroc") == (0.75, 0.7, 0.8)


def test_the_manifest_tells_where_the_model_comes_from_and_why_it_passed(
    models: Path, product: MakeProduct, origin: Origin, plan: TrainingPlan, schema: Schema
) -> None:
    given = product(tiny=True)
    waived = Rule("positives", Kind.EVIDENCE, Ruling.WAIVED, "5 of 20; waived")
    verdict = Verdict((waived, Rule("schema", Kind.INTEGRITY, Ruling.PASSED, "the same")), tiny=True)
    bundle = publish(models, "sepsis", given, verdict, origin)
    manifest = json.loads((models / "sepsis/1.0.0/manifest.json").read_text())
    metadata = joblib.load(io.BytesIO(given.model))["metadata"]
    assert manifest["gate"] == json.loads(json.dumps(verdict.to_json()))
    assert [rule["verdict"] for rule in manifest["gate"]["rules"]] == ["waived", "passed"]
    assert manifest["approved_by"] == "a.weber"
    assert manifest["created"] == "2026-03-01T12:30:00+00:00"
    assert manifest["training_data"] == {
        "described": "MIMIC-IV demo 2.2",
        "sources": origin.sources,
        **metadata["counts"],
        "fingerprint": metadata["data_fingerprint"],
    }
    assert manifest["label"] == {"name": "coded sepsis", "version": "1"}
    assert manifest["plan_sha256"] == plan.fingerprint()
    assert manifest["schema_sha256"] == schema.fingerprint()
    assert (manifest["seed"], manifest["candidate"]) == (plan.seed, "logistic_regression")
    assert (manifest["tiny"], manifest["synthetic"]) == (True, False)
    assert {"python", "numpy", "sklearn", "xgboost"} <= set(manifest["versions"])
    assert bundle.tiny
    assert b"2026" not in given.model.replace(str(plan.seed).encode(), b"")


def test_publishing_again_changes_nothing(models: Path, product: MakeProduct, origin: Origin) -> None:
    publish(models, "sepsis", product("first"), PASSED, origin)
    publish(models, "sepsis", product("second"), against(models), origin)
    before = whole(models)
    later = replace(origin, created=datetime(2027, 1, 1, tzinfo=UTC), approved_by="another")
    # once more as it was asked, with the champion of then; and as a run of today asks it
    for verdict in (replace(PASSED, champion=("1.0.0", "ab" * 32)), against(models)):
        assert publish(models, "sepsis", product("second"), verdict, later).version == "1.1.0"
        assert whole(models) == before


@pytest.mark.parametrize(
    ("there", "next_one"),
    [
        ((), "1.0.0"),
        (("1.0.0",), "1.1.0"),
        (("1.9.0", "1.10.3"), "1.11.0"),
        (("2.0.1", "1.99.0"), "2.1.0"),
        (("trial", "1.0", "v3.0.0", "4.0.0-rc1"), "1.0.0"),
        (("trial", "0.3.0"), "0.4.0"),
    ],
)
def test_the_next_version(models: Path, product: MakeProduct, there: tuple[str, ...], next_one: str) -> None:
    assert next_version(models, "sepsis", b"") == "1.0.0"
    for version in there:
        (models / "sepsis" / version).mkdir(parents=True)
    models.joinpath("sepsis", ".9.0.0.draft").mkdir(parents=True)
    assert next_version(models, "sepsis", b"") == next_one


def test_a_file_that_is_published_keeps_its_version_and_a_broken_one_its_number(
    models: Path, product: MakeProduct, origin: Origin
) -> None:
    notes = ("first", "second", "third", "fourth")
    for note in notes[:3]:
        publish(models, "sepsis", product(note), PASSED if note == "first" else against(models), origin)
    found = [next_version(models, "sepsis", product(note).model) for note in notes]
    assert found == ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]
    (models / "sepsis/1.2.0/manifest.json").write_text("{")
    assert next_version(models, "sepsis", product("third").model) == "1.3.0"


def test_what_was_refused_does_not_enter_the_registry(models: Path, product: MakeProduct, origin: Origin) -> None:
    with pytest.raises(FatalError, match=r"the gate refused this model; it is not published:[^~]*AUROC 0\.95"):
        publish(models, "sepsis", product(), REFUSED, origin)
    with pytest.raises(FatalError, match="not published"):
        publish(models, "sepsis", product(), Verdict((), tiny=False), origin)
    assert not models.exists()


@pytest.mark.parametrize("key", ["tiny", "synthetic"])
def test_a_model_that_is_not_what_was_judged_is_refused(
    models: Path, product: MakeProduct, origin: Origin, key: str
) -> None:
    other = replace(product(**{key: True}), evaluation=EVALUATION)
    with pytest.raises(FatalError, match=f"the model file says {key}: True, the gate judged one with {key}: False"):
        publish(models, "sepsis", other, PASSED, origin)
    assert not models.exists()


def test_another_champion_than_the_gate_compared_with_is_not_replaced(
    models: Path, product: MakeProduct, origin: Origin
) -> None:
    publish(models, "sepsis", product("first"), PASSED, origin)
    judged = against(models)
    publish(models, "sepsis", product("second"), judged, origin)
    before = whole(models)
    with pytest.raises(
        FatalError, match=r"champion is 1\.1\.0, and the gate compared with 1\.0\.0: run the gate again"
    ):
        publish(models, "sepsis", product("third"), judged, origin)
    with pytest.raises(FatalError, match=r"champion is 1\.1\.0, and the gate compared with none"):
        publish(models, "sepsis", product("third"), PASSED, origin)
    assert whole(models) == before
    assert publish(models, "sepsis", product("third"), against(models), origin).version == "1.2.0"


def test_a_refused_model_is_kept_where_it_can_be_looked_at(
    tmp_path: Path, models: Path, product: MakeProduct, schema: Schema
) -> None:
    given, folder = product(), tmp_path / "runs" / "1" / "refused"
    path = keep_refused(folder, given, REFUSED)
    assert path == folder / "model.pkl"
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "metrics.json", "model.pkl", "model_card.md", "verdict.json",
    ]  # fmt: skip
    assert path.read_bytes() == given.model
    assert Verdict.from_json(json.loads((folder / "verdict.json").read_text())) == REFUSED
    assert json.loads((folder / "metrics.json").read_text()) == EVALUATION
    assert not refused(check_file(path, schema, models, allow_unverified=True))
    with pytest.raises(ModelError, match="allow_unverified"):
        check_file(path, schema, models)
    assert keep_refused(folder, product("second"), REFUSED).read_bytes() == product("second").model


def test_a_plan_has_the_fingerprint_of_its_values(plan: TrainingPlan) -> None:
    text = (ROOT / "include" / "training" / "sepsis.yaml").read_text()
    assert parse_plan(f"# another comment\n{text}").fingerprint() == plan.fingerprint()
    assert parse_plan(text, seed=1).fingerprint() != plan.fingerprint()
    assert parse_plan(text, candidates=["xgboost"]).fingerprint() != plan.fingerprint()


def stands(models: Path, *, new: str) -> bool:
    """Check that a registry with champion 1.0.0 holds 1.1.0 whole or not at all; return whether 1.1.0 is champion."""
    version = champion(models, "sepsis").version
    there = layout.versions(models, "sepsis")
    assert there in (("1.0.0",), ("1.0.0", "1.1.0"))
    if there == ("1.0.0", "1.1.0"):
        assert sorted(path.name for path in (models / "sepsis" / "1.1.0").iterdir()) == FILES
        assert load_version(models, "sepsis", "1.1.0").metadata["note"] == new
    assert version in there
    listed, problem = listing(models, "sepsis")
    assert (problem, [one.problems for one in listed]) == ("", [()] * len(there))
    return version == "1.1.0"


def test_killed_at_any_step_the_champion_stands_and_the_next_run_publishes(
    tmp_path: Path, product: MakeProduct, origin: Origin
) -> None:
    publish(tmp_path / "before", "sepsis", product("first"), PASSED, origin)
    arguments = ("sepsis", product("second"), against(tmp_path / "before"), origin)
    joblib.dump(arguments, tmp_path / "arguments")
    around = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    around["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    program = "import sys, pathlib, tests.unit.training.killed_publishing as it; it.main(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        env=around,
        cwd=ROOT,
        check=False,
    )
    ends = [line.split() for line in done.stdout.splitlines()]
    assert [end for _, end in ends] == ["-9"] * (len(ends) - 1) + ["0"], done.stderr
    assert len(ends) > 20
    moved = []
    for folder, _ in ends:
        models = tmp_path / folder
        moved.append(stands(models, new="second"))
        assert publish(models, *arguments).version == "1.1.0"
        assert stands(models, new="second")
    assert moved == sorted(moved)  # until some step the old one, from then on the new one
    assert not moved[0]
    assert moved[-1]


def none_left(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full(path: Path, content: bytes) -> None:
    """Write as much as fits, which is half."""
    path.write_bytes(content[: len(content) // 2])
    none_left()


def test_a_disk_that_is_full_leaves_the_champion_and_nothing_half_done(
    models: Path, product: MakeProduct, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(models, "sepsis", product("first"), PASSED, origin)
    arguments = ("sepsis", product("second"), against(models), origin)
    real, refusals = registry.write_durably, []
    for room in range(10):
        left = room

        def write(path: Path, content: bytes) -> None:
            nonlocal left
            left -= 1
            (real if left >= 0 else full)(path, content)

        monkeypatch.setattr(registry, "write_durably", write)
        try:
            publish(models, *arguments)
            break
        except ModelError as error:
            refusals.append(str(error))
        assert not stands(models, new="second")
        assert not [entry.name for entry in (models / "sepsis").iterdir() if entry.name.startswith(".")]
    assert len(refusals) == len(FILES) + 1  # the pointer besides
    assert all("cannot be written: No space left on device. The champion is the one it was" in one for one in refusals)
    assert "1.1.0: cannot" in refusals[0]
    assert "champion.json: cannot" in refusals[-1]
    assert stands(models, new="second")


def test_a_refused_model_that_cannot_be_kept_says_so(
    tmp_path: Path, product: MakeProduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = product()
    monkeypatch.setattr(Path, "open", none_left)
    with pytest.raises(DataFileError, match="cannot be written: No space left on device: make room"):
        keep_refused(tmp_path, given, REFUSED)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 512 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("a small file system cannot be mounted here: that takes root, or CAP_SYS_ADMIN in a container")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_real_disk_that_is_full_at_any_byte_leaves_the_champion(
    small_disk: Path, product: MakeProduct, origin: Origin
) -> None:
    models, filler = small_disk / "models", small_disk / "filler"
    publish(models, "sepsis", product("first"), PASSED, origin)
    arguments = ("sepsis", product("second"), against(models), origin)
    refusals = []
    for pages in range(40):
        filler.unlink(missing_ok=True)
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        filler.write_bytes(b"x" * (free - 4096 * pages))
        try:
            publish(models, *arguments)
            break
        except ModelError as error:
            refusals.append(str(error))
        assert not stands(models, new="second")
        assert not [entry.name for entry in (models / "sepsis").iterdir() if entry.name.startswith(".")]
    assert stands(models, new="second")
    assert len(refusals) > len(FILES)
    assert all("No space left on device" in one for one in refusals)
