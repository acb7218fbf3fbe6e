"""The champion before: what champion.json remembers, and where one rollback and several lead."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model.conftest import dumped

from screening.errors import ModelError
from screening.model import registry
from screening.model.champions import Champion, history, in_force, pointer, with_promotion
from screening.model.registry import champion, promote, publish
from screening.model.rollback import rollback


@pytest.fixture
def models(tmp_path: Path, content: Callable[..., dict[str, Any]]) -> Path:
    """A registry with versions 1 to 4, 1 promoted."""
    home = tmp_path / "models"
    for version in "1234":
        publish(
            home, "sepsis", version, model=dumped(content(note=version)), synthetic=True, training_data="invented",
            created=datetime(2026, 3, 1, tzinfo=UTC), metrics={}, model_card="", promoted=version == "1",
        )  # fmt: skip
    return home


def pointed(models: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((models / "sepsis" / "champion.json").read_text())
    return found


def test_the_first_champion_has_no_history(models: Path) -> None:
    before = (models / "sepsis" / "champion.json").read_bytes()
    assert set(pointed(models)) == {"version", "sha256"}
    promote(models, "sepsis", "1")
    assert (models / "sepsis" / "champion.json").read_bytes() == before


def test_rollbacks_lead_back_one_promotion_each(models: Path) -> None:
    for version in "23":
        promote(models, "sepsis", version)
    assert rollback(models, "sepsis").version == champion(models, "sepsis").version == "2"
    assert rollback(models, "sepsis").version == champion(models, "sepsis").version == "1"
    before = pointed(models)
    with pytest.raises(
        ModelError, match=r"nothing to roll back to, .* promote a version instead; there is: 1, 2, 3, 4"
    ):
        rollback(models, "sepsis")
    assert pointed(models) == before
    told = [(one["version"], one.get("rollback", False)) for one in before["history"]]
    assert told == [("1", False), ("2", False), ("3", False), ("2", True), ("1", True)]


def test_a_promotion_after_a_rollback_counts_from_there(models: Path) -> None:
    for version in "23":
        promote(models, "sepsis", version)
    rollback(models, "sepsis")
    promote(models, "sepsis", "4")
    assert rollback(models, "sepsis").version == "2"
    promote(models, "sepsis", "1")  # once champion, and champion again
    assert rollback(models, "sepsis").version == "2"


def test_promoting_the_champion_again_adds_nothing(models: Path) -> None:
    promote(models, "sepsis", "2")
    before = pointed(models)
    promote(models, "sepsis", "2")
    assert pointed(models) == before
    assert rollback(models, "sepsis").version == "1"


def test_a_pointer_of_an_older_release_has_nothing_to_roll_back_to_until_the_next_promotion(models: Path) -> None:
    promote(models, "sepsis", "2")
    found = pointed(models)
    del found["history"]
    (models / "sepsis" / "champion.json").write_text(json.dumps(found))
    assert champion(models, "sepsis").version == "2"
    with pytest.raises(ModelError, match="no champion before 2 is remembered: promote a version instead"):
        rollback(models, "sepsis")
    promote(models, "sepsis", "3")
    assert rollback(models, "sepsis").version == "2"


def break_model(models: Path) -> None:
    with (models / "sepsis" / "1" / "model.pkl").open("ab") as file:
        file.write(b"x")


def replace_version(models: Path) -> None:
    shutil.rmtree(models / "sepsis" / "1")
    shutil.copytree(models / "sepsis" / "4", models / "sepsis" / "1")
    path = models / "sepsis" / "1" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "1"}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda models: shutil.rmtree(models / "sepsis" / "1"), "cannot roll back to 1: .*no version '1'"),
        (break_model, "cannot roll back to 1: .*its sha256 is .* promote a version instead; there is: 1, 2, 3, 4"),
        (replace_version, "cannot roll back to 1: it was champion with sha256 .* now: promote a version instead"),
    ],
)
def test_a_champion_before_that_cannot_be_trusted_is_refused_and_none_is_skipped(
    models: Path, damage: Callable[[Path], None], told: str
) -> None:
    promote(models, "sepsis", "2")
    before = pointed(models)
    damage(models)
    with pytest.raises(ModelError, match=told):
        rollback(models, "sepsis")
    assert pointed(models) == before
    assert champion(models, "sepsis").version == "2"


OTHER = {"version": "2", "sha256": "b" * 64}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (lambda present: [], "does not end with the champion"),
        (lambda present: present, "does not end with the champion"),
        (lambda present: [present, OTHER], "does not end with the champion"),
        (lambda present: [OTHER, {**present, "sha256": "b" * 64}], "does not end with the champion"),
        (lambda present: ["1", present], "lacks version and sha256"),
        (lambda present: [{"version": "2"}, present], "lacks version and sha256"),
        (lambda present: [OTHER, {**present, "rollback": 1}], "a rollback that is no bool"),
        (lambda present: [{**OTHER, "version": "../1"}, present], "is no version of a model"),
        (lambda present: [OTHER, {**present, "rollback": True}], "was not the champion before"),
        (lambda present: [{**present, "rollback": True}], "was not the champion before"),
    ],
)
def test_a_history_changed_by_hand_is_refused_and_the_champion_still_loads(
    models: Path, told: Callable[[dict[str, Any]], Any], words: str
) -> None:
    present = pointed(models)
    (models / "sepsis" / "champion.json").write_text(json.dumps({**present, "history": told(present)}))
    with pytest.raises(ModelError, match=words):
        rollback(models, "sepsis")
    assert champion(models, "sepsis").version == "1"
    promote(models, "sepsis", "2")  # mends it: the history begins anew
    assert set(pointed(models)) == {"version", "sha256"}


def test_a_broken_pointer_is_mended_by_a_promotion(models: Path) -> None:
    path = models / "sepsis" / "champion.json"
    path.write_text("{")
    with pytest.raises(ModelError, match="is broken"):
        rollback(models, "sepsis")
    promote(models, "sepsis", "2")
    assert champion(models, "sepsis").version == "2"
    path.unlink()
    with pytest.raises(ModelError, match="there is no champion"):
        rollback(models, "sepsis")


def test_a_wrong_sha256_in_the_pointer_gives_way_to_the_right_one(models: Path) -> None:
    promote(models, "sepsis", "2")
    found = pointed(models)
    found["sha256"] = found["history"][-1]["sha256"] = "0" * 64
    (models / "sepsis" / "champion.json").write_text(json.dumps(found))
    promote(models, "sepsis", "2")
    assert [one.version for one in history(models, "sepsis")] == ["1", "2"]
    assert champion(models, "sepsis").version == "2"
    assert rollback(models, "sepsis").version == "1"


def test_a_rollback_that_is_killed_leaves_the_champion(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    promote(models, "sepsis", "2")
    before = pointed(models)
    for place, name in ((registry, "write_durably"), (Path, "replace")):
        with monkeypatch.context() as then:
            then.setattr(place, name, killed)
            with pytest.raises(Killed):
                rollback(models, "sepsis")
        assert pointed(models) == before
    assert sorted(path.name for path in (models / "sepsis").iterdir()) == ["1", "2", "3", "4", "champion.json"]


@given(st.lists(st.sampled_from([*"1234", "back"]), max_size=30))
def test_any_series_of_promotions_and_rollbacks_is_a_stack(series: list[str]) -> None:
    champions: tuple[Champion, ...] = (Champion("1", "sha-1"),)
    stack = ["1"]
    for step in series:
        if step != "back":
            champions = with_promotion(champions, step, f"sha-{step}")
            stack += [step] if stack[-1] != step else []
        elif len(stack) > 1:
            stack.pop()
            champions = (*champions, Champion(stack[-1], f"sha-{stack[-1]}", rollback=True))
        assert [one.version for one in in_force(champions, Path("champion.json"))] == stack
        assert pointer(champions)["version"] == stack[-1]
