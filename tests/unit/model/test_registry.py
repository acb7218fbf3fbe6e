import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.model.conftest import NAMES, dumped, rows

from screening.errors import ModelError
from screening.model import layout, registry
from screening.model.bundle import ModelBundle
from screening.model.files import load_file
from screening.model.registry import champion, load_version, promote, publish

WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
Publish = Callable[..., ModelBundle]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def put(models: Path, content: Callable[..., dict[str, Any]]) -> Publish:
    """Publish a version; the same arguments publish the same bytes, `note` makes others."""

    def put(version: str = "1.0.0", *, promoted: bool = True, note: str = "", **changed: Any) -> ModelBundle:
        arguments: dict[str, Any] = {
            "model": dumped(content(note=note)),
            "synthetic": True,
            "training_data": {"source": "invented", "rows": 400},
            "created": WHEN,
            "metrics": {"auroc": 0.7},
            "model_card": "# Card\n",
            "promoted": promoted,
        }
        return publish(models, "sepsis", version, **{**arguments, **changed})

    return put


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_published_is_the_champion(models: Path, put: Publish) -> None:
    given = put()
    found = champion(models, "sepsis")
    assert (found.name, found.version, found.sha256) == ("sepsis", "1.0.0", given.sha256)
    assert (found.predict(rows(5)) == given.predict(rows(5))).all()
    assert found.synthetic is True
    assert files(models) == [
        "sepsis/1.0.0/manifest.json",
        "sepsis/1.0.0/metrics.json",
        "sepsis/1.0.0/model.pkl",
        "sepsis/1.0.0/model_card.md",
        "sepsis/champion.json",
    ]


def test_the_manifest_tells_what_the_model_is(models: Path, put: Publish) -> None:
    put(more={"git_sha": "abc", "sha256": "not this"})
    manifest = json.loads((models / "sepsis/1.0.0/manifest.json").read_text())
    assert set(manifest) == {*layout.MANIFEST_KEYS, "git_sha"}
    assert manifest["sha256"] == hashlib.sha256((models / "sepsis/1.0.0/model.pkl").read_bytes()).hexdigest()
    assert manifest["created"] == "2026-03-01T12:30:00+00:00"
    assert manifest["feature_names"] == NAMES
    assert manifest["synthetic"] is True
    assert manifest["training_data"] == {"source": "invented", "rows": 400}
    assert {"python", "numpy", "sklearn", "xgboost"} <= set(manifest["versions"])


def test_a_card_for_machines_lies_beside_where_it_is_given(models: Path, put: Publish) -> None:
    put("1")
    put("2", note="other", model_card_json={"name": "sepsis", "evidence": None})
    assert not (models / "sepsis/1/model_card.json").exists()
    assert json.loads((models / "sepsis/2/model_card.json").read_text()) == {"name": "sepsis", "evidence": None}
    assert [load_version(models, "sepsis", version).version for version in "12"] == ["1", "2"]
    with pytest.raises(ModelError, match=r"model_card\.json: cannot be written as JSON"):
        put("3", note="third", model_card_json={"auroc": float("nan")})
    assert layout.versions(models, "sepsis") == ("1", "2")


def test_a_challenger_is_kept_and_not_promoted(models: Path, put: Publish) -> None:
    put("1")
    put("2", promoted=False, note="other")
    assert champion(models, "sepsis").version == "1"
    assert load_version(models, "sepsis", "2").metadata["note"] == "other"
    promote(models, "sepsis", "2")
    assert champion(models, "sepsis").version == "2"
    promote(models, "sepsis", "1")
    assert champion(models, "sepsis").version == "1"


def test_the_same_may_be_published_again_and_another_may_not(models: Path, put: Publish) -> None:
    put(promoted=False)
    before = {name: (models / name).read_bytes() for name in files(models)}
    put(created=datetime(2027, 1, 1, tzinfo=UTC))
    assert {name: (models / name).read_bytes() for name in before} == before
    assert champion(models, "sepsis").version == "1.0.0"
    with pytest.raises(ModelError, match="taken by another model"):
        put(note="other")
    assert {name: (models / name).read_bytes() for name in before} == before


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


def test_whenever_publishing_is_killed_the_champion_stands(
    models: Path, put: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("1")
    steps = 0
    died = True
    while died:
        left = steps

        def step(real: Callable[..., Any]) -> Callable[..., Any]:
            def stepped(*arguments: Any, **more: Any) -> Any:
                nonlocal left
                if left == 0:
                    raise Killed
                left -= 1
                return real(*arguments, **more)

            return stepped

        with monkeypatch.context() as then:
            for place, name in (
                (registry, "write_durably"),
                (registry, "sync_folder"),
                (Path, "rename"),
                (Path, "replace"),
            ):
                then.setattr(place, name, step(getattr(place, name)))
            then.setattr(shutil, "rmtree", lambda *_, **__: None)
            then.setattr(Path, "unlink", lambda *_, **__: None)
            try:
                put("2", note="other")
                died = False
            except Killed:
                steps += 1
        pointed = json.loads((models / "sepsis/champion.json").read_text())
        assert champion(models, "sepsis").version == pointed["version"]
        assert pointed["version"] in (("2",) if not died else ("1", "2"))
        assert layout.versions(models, "sepsis") in (("1",), ("1", "2"))
        if layout.versions(models, "sepsis") == ("1", "2"):
            assert load_version(models, "sepsis", "2").metadata["note"] == "other"
    assert steps >= 5


def test_a_refused_model_is_not_published(models: Path, put: Publish) -> None:
    put("1")
    for wrong in ({"model": dumped({"model": 1})}, {"metrics": {"auroc": float("nan")}}, {"training_data": {1, 2}}):
        with pytest.raises(ModelError):
            put("2", **wrong)
    with pytest.raises(ModelError, match="zone"):
        put("2", created=datetime(2026, 1, 1))  # noqa: DTZ001
    assert files(models / "sepsis") == [
        "1/manifest.json", "1/metrics.json", "1/model.pkl", "1/model_card.md", "champion.json",
    ]  # fmt: skip
    assert [entry.name for entry in (models / "sepsis").iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "../1", "a/b", "/etc", "-1", ".1", "1\n", "ä", "1" * 101, "champion.json", "1 2", "1\x00"]
)
def test_tricks_with_paths_are_refused(models: Path, put: Publish, bad: str) -> None:
    put()
    for ask in (
        lambda: load_version(models, "sepsis", bad),
        lambda: load_version(models, bad, "1.0.0"),
        lambda: champion(models, bad),
        lambda: promote(models, "sepsis", bad),
        lambda: put(bad),
    ):
        with pytest.raises(ModelError, match=r"is no (version|name) of a model"):
            ask()


def test_a_link_that_leads_outside_is_refused(models: Path, put: Publish, tmp_path: Path) -> None:
    put()
    (models / "sepsis/1.0.0").rename(tmp_path / "elsewhere")
    (models / "sepsis/1.0.0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="outside the registry"):
        champion(models, "sepsis")


def test_what_is_missing_is_named(models: Path, put: Publish) -> None:
    with pytest.raises(ModelError, match="models: no such folder"):
        champion(models, "sepsis")
    put(promoted=False)
    with pytest.raises(ModelError, match="no model 'aki'; there is: sepsis"):
        champion(models, "aki")
    with pytest.raises(
        ModelError, match=r"champion\.json: there is no champion .*promote one of its versions \(1\.0\.0\)"
    ):
        champion(models, "sepsis")
    with pytest.raises(ModelError, match=r"no version '9'; there is: 1\.0\.0"):
        load_version(models, "sepsis", "9")


def edit(path: Path, **changed: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_a_champion_of_a_version_that_is_gone_is_named(models: Path, put: Publish) -> None:
    put()
    edit(models / "sepsis/champion.json", version="0.9")
    with pytest.raises(ModelError, match=r"no version '0\.9'"):
        champion(models, "sepsis")
    edit(models / "sepsis/champion.json", version="../../etc")
    with pytest.raises(ModelError, match="is no version of a model"):
        champion(models, "sepsis")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b'"text"', b"[" * 100_000])
@pytest.mark.parametrize("name", ["champion.json", "1.0.0/manifest.json"])
def test_broken_json_is_named(models: Path, put: Publish, name: str, raw: bytes) -> None:
    put()
    (models / "sepsis" / name).write_bytes(raw)
    with pytest.raises(ModelError, match=f"{name}: is broken"):
        champion(models, "sepsis")


@pytest.mark.parametrize("changed", [{"version": None}, {"version": 1}, {"sha256": "ab"}, {"sha256": None}])
def test_a_pointer_that_points_at_nothing_is_refused(models: Path, put: Publish, changed: dict[str, Any]) -> None:
    put()
    edit(models / "sepsis/champion.json", **changed)
    with pytest.raises(ModelError, match=r"champion\.json: needs version"):
        champion(models, "sepsis")


def test_any_disagreement_over_the_sha256_is_refused(models: Path, put: Publish) -> None:
    put()
    home = models / "sepsis"
    good = (home / "champion.json").read_text()
    edit(home / "champion.json", sha256="ab" * 32)
    with pytest.raises(ModelError, match=r"champion\.json has sha256 abababababab…"):
        champion(models, "sepsis")
    (home / "champion.json").write_text(good)
    with (home / "1.0.0/model.pkl").open("ab") as file:
        file.write(b"x")
    for ask in (lambda: champion(models, "sepsis"), lambda: load_version(models, "sepsis", "1.0.0")):
        with pytest.raises(ModelError, match=r"model\.pkl: its sha256 is"):
            ask()
    with pytest.raises(ModelError, match="its sha256 is"):
        load_file(home / "1.0.0/model.pkl", models_dir=models, allow_unverified=True)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "aki"}, "manifest of 'aki'"),
        ({"version": "2"}, "'2', not of"),
        ({"sha256": "AB" * 32}, "64 hexadecimal"),
        ({"synthetic": "yes"}, "synthetic must be"),
        ({"feature_names": NAMES[::-1]}, "not those of the model"),
    ],
)
def test_a_manifest_of_something_else_is_refused(
    models: Path, put: Publish, changed: dict[str, Any], told: str
) -> None:
    put()
    edit(models / "sepsis/1.0.0/manifest.json", **changed)
    with pytest.raises(ModelError, match=told):
        load_version(models, "sepsis", "1.0.0")


@pytest.mark.parametrize("key", layout.MANIFEST_KEYS)
def test_a_manifest_without_a_key_is_refused(models: Path, put: Publish, key: str) -> None:
    put()
    path = models / "sepsis/1.0.0/manifest.json"
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != key}))
    with pytest.raises(ModelError, match=f"lacks {key}"):
        champion(models, "sepsis")


def test_a_file_without_a_voucher_loads_only_on_demand(models: Path, put: Publish, tmp_path: Path) -> None:
    put()
    loose = tmp_path / "mine.pkl"
    shutil.copy(models / "sepsis/1.0.0/model.pkl", loose)
    inside = models / "sepsis/1.0.0/other.pkl"
    shutil.copy(loose, inside)
    for path in (loose, inside):
        with pytest.raises(ModelError, match=r"runs whatever code it holds.*allow_unverified"):
            load_file(path, models_dir=models)
        found = load_file(path, models_dir=models, allow_unverified=True)
        assert found.manifest == {}
        assert "loaded unverified" in found.warnings[-1]


def test_a_file_beside_which_no_manifest_lies_has_no_voucher(models: Path, put: Publish) -> None:
    put()
    (models / "sepsis/1.0.0/manifest.json").unlink()
    with pytest.raises(ModelError, match="allow_unverified"):
        load_file(models / "sepsis/1.0.0/model.pkl", models_dir=models)


def test_a_published_file_is_loaded_verified(models: Path, put: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    found = load_file(models / "sepsis/1.0.0/model.pkl", models_dir=models)
    assert (found.name, found.version, found.warnings) == ("sepsis", "1.0.0", ())
    monkeypatch.chdir(models.parent)
    assert load_file(Path("models/sepsis/1.0.0/model.pkl"), models_dir=models).manifest["name"] == "sepsis"
