"""What the registry holds is listed whole: broken versions with what is wrong, and no model's code is run for it."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.model.conftest import dumped

from screening.errors import ModelError
from screening.model import artifact
from screening.model.files import vouched
from screening.model.listing import Figure, Listed, figure, listing
from screening.model.registry import names, publish, versions


@pytest.fixture
def models(tmp_path: Path, content: Callable[..., dict[str, Any]]) -> Path:
    """A registry of three versions of one model: 1.9, 1.10 (champion) and 2.0, which is tiny."""
    home = tmp_path / "models"
    for version in ("1.9", "1.10", "2.0"):
        publish(
            home, "sepsis", version, model=dumped(content(note=version)), synthetic=True, training_data="invented",
            created=datetime(2026, 3, 1, tzinfo=UTC), metrics={"auroc": 0.7}, model_card="# Card\n",
            more={"tiny": version == "2.0"}, promoted=version == "1.10",
        )  # fmt: skip
    return home


def listed(models: Path) -> dict[str, Listed]:
    return {one.version: one for one in listing(models, "sepsis")[0]}


def test_every_version_is_listed_in_its_order_and_nothing_is_unpickled(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("unpickled")

    monkeypatch.setattr(artifact, "_unpickled", never)
    found, problem = listing(models, "sepsis")
    assert [(one.version, one.champion, one.problems) for one in found] == [
        ("1.9", False, ()), ("1.10", True, ()), ("2.0", False, ()),
    ]  # fmt: skip
    assert problem == ""
    assert [one.manifest["tiny"] for one in found] == [False, False, True]
    assert {one.metrics["auroc"] for one in found} == {0.7}


@pytest.mark.parametrize(
    ("file", "raw", "told", "readable"),
    [
        ("model.pkl", b"other", "its sha256 is", True),
        ("model.pkl", None, "the model file cannot be read: no such file", True),
        ("manifest.json", b"{", "manifest.json: is broken", False),
        ("manifest.json", None, "manifest.json: no such file", False),
        ("metrics.json", b"[]", "metrics.json: is broken", True),
        ("model_card.md", None, "model_card.md: no such file", True),
    ],
)
def test_a_broken_version_is_listed_with_what_is_wrong(
    models: Path, file: str, raw: bytes | None, told: str, readable: bool
) -> None:
    path = models / "sepsis" / "2.0" / file
    path.unlink()
    if raw is not None:
        path.write_bytes(raw)
    found = listed(models)
    assert len(found) == 3
    assert found["1.9"].problems == found["1.10"].problems == ()
    (problem,) = found["2.0"].problems
    assert told in problem
    assert bool(found["2.0"].manifest) is readable


def test_all_that_is_wrong_with_a_version_is_told(models: Path) -> None:
    for file in ("model.pkl", "metrics.json", "model_card.md"):
        (models / "sepsis" / "2.0" / file).unlink()
    assert len(listed(models)["2.0"].problems) == 3


def test_what_is_no_version_but_lies_there_is_not_hidden(models: Path, tmp_path: Path) -> None:
    (models / "sepsis" / "bad name").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (models / "sepsis" / "linked").symlink_to(tmp_path / "elsewhere")
    found = listed(models)
    assert "is no version of a model" in found["bad name"].problems[0]
    assert "outside the registry" in found["linked"].problems[0]


def point(models: Path, **changed: Any) -> None:
    path = models / "sepsis" / "champion.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_a_pointer_that_leads_nowhere_is_told(models: Path) -> None:
    point(models, version="9")
    assert listing(models, "sepsis")[1] == "champion.json names 9, which is not there: promote another version"
    point(models, version="1.9")
    assert "not that of 1.9: promote the version anew" in listing(models, "sepsis")[1]
    (models / "sepsis" / "champion.json").write_text("{")
    assert "champion.json: is broken" in listing(models, "sepsis")[1]
    (models / "sepsis" / "champion.json").unlink()
    found, problem = listing(models, "sepsis")
    assert "there is no champion" in problem
    assert not any(one.champion for one in found)


def test_names_and_versions(models: Path, tmp_path: Path) -> None:
    (models / ".draft").mkdir()
    (models / "aki").mkdir()
    (models / "README").write_text("no model")
    assert names(models) == ("aki", "sepsis")
    assert versions(models, "sepsis") == ("1.10", "1.9", "2.0")
    assert versions(models, "aki") == ()
    assert listing(models, "aki")[0] == []
    with pytest.raises(ModelError, match="none: no such folder"):
        names(tmp_path / "none")
    with pytest.raises(ModelError, match="no model 'stroke'; there is: aki, sepsis"):
        listing(models, "stroke")


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"auroc": 0.7}, Figure(0.7)),
        ({"auroc": {"value": 0.7, "low": 0.6, "high": 0.8}}, Figure(0.7, 0.6, 0.8)),
        ({"auroc": {"value": None, "low": None, "high": None}}, None),
        ({"parts": {"test": {"auroc": {"value": 1, "low": None, "high": 1}}}}, Figure(1.0, None, 1.0)),
        ({"parts": {"train": {"auroc": {"value": 0.99, "low": 0.9, "high": 1}}}}, None),
        ({"auroc": "high"}, None),
        ({"auroc": True}, None),
        ({"parts": []}, None),
        ({}, None),
    ],
)
def test_a_figure_is_found_at_the_top_or_in_the_untouched_part(
    metrics: dict[str, Any], expected: Figure | None
) -> None:
    assert figure(metrics, "auroc") == expected


def test_a_figure_is_written_with_its_interval() -> None:
    assert str(Figure(0.7124)) == "0.712"
    assert str(Figure(0.7124, 0.61, 0.8)) == "0.712 (0.610 to 0.800)"


def test_a_published_file_is_vouched_for_and_a_copy_is_not(models: Path, tmp_path: Path) -> None:
    path = models / "sepsis" / "2.0" / "model.pkl"
    assert vouched(path, models, allow_unverified=False) == ("sepsis", "2.0")
    copy = Path(shutil.copy(path, tmp_path / "mine.pkl"))
    assert vouched(copy, models, allow_unverified=True) is None
    with pytest.raises(ModelError, match="set allow_unverified"):
        vouched(copy, models, allow_unverified=False)
