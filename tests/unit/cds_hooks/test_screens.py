"""The model in force: exchanged without a mixed answer, and never one that cannot be verified."""

import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from tests.charts import SICK, WEIGHTS, chart, result
from tests.unit.cds_hooks.sidecars import SCHEMA_FILE, asked, card, model_bytes, parts, post, published, running

from cds_hooks import screens as module
from cds_hooks.model_source import Mark, ModelSource
from cds_hooks.refusals import Refusal
from cds_hooks.screens import Screen, Screens
from cds_hooks.settings import Settings, SettingsError
from screening.errors import ModelError
from screening.model.bundle import ModelBundle
from screening.model.registry import promote
from screening.model.rollback import rollback

BUNDLES: dict[str, ModelBundle] = {}
PERCENT: dict[str, str] = {}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with three versions of a model that differ in what they answer; the first is the champion."""
    models = tmp_path_factory.mktemp("registry") / "models"
    for version, intercept in (("1", 0.0), ("2", -1.0), ("3", -1.5)):
        BUNDLES[version] = published(models, version, intercept, promoted=version == "1")
        probability = result(chart("p", SICK), BUNDLES[version]).probability
        assert probability is not None
        assert probability > 0.5
        PERCENT[version] = f"HIGH: {probability * 100:g}%"
    assert len(set(PERCENT.values())) == 3
    return models


@pytest.fixture
def models(origin: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(origin, tmp_path / "models"))


@pytest.fixture
def app(models: Path, tmp_path: Path) -> Iterator[Flask]:
    with running(tmp_path / "state", models) as made:
        yield made


def version_of(answer: dict[str, Any]) -> str:
    """Return the version that a card names, after checking that all of the card belongs to it."""
    (link,) = answer["links"]
    version = str(link["url"].split("/")[-2])
    assert f"model sepsis {version}, sha256 {BUNDLES[version].sha256[:12]}" in answer["detail"]
    assert PERCENT[version] in answer["detail"]
    assert answer["source"]["url"] == link["url"]
    return version


def answered(app: Flask) -> str:
    return version_of(card(app.test_client(), asked()))


def health(app: Flask) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/health")
    return answer.status_code, answer.json["services"]["sepsis-risk"]  # type: ignore[index]


def test_a_promotion_is_answered_by_at_the_next_call(app: Flask, models: Path) -> None:
    assert answered(app) == "1"
    promote(models, "sepsis", "2")
    assert answered(app) == "2"
    assert health(app) == (
        200,
        {
            "ready": True,
            "schema": {"name": "sepsis", "version": "1.0.0"},
            "model": {"name": "sepsis", "version": "2", "sha256": BUNDLES["2"].sha256},
        },
    )


def test_a_rollback_too(app: Flask, models: Path) -> None:
    promote(models, "sepsis", "2")
    assert answered(app) == "2"
    rollback(models, "sepsis")
    assert answered(app) == "1"


def test_between_two_looks_the_disk_is_not_asked(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "state", models, check_every=3600) as app:
        promote(models, "sepsis", "2")
        assert answered(app) == "1"
        screen = parts(app).screens["sepsis-risk"]
        screen._looked -= 3601  # a worker that had nothing to do for an hour
        assert answered(app) == "2"


def test_no_request_is_dropped_or_mixed_while_champions_change(app: Flask, models: Path) -> None:
    stop, seen, odd = threading.Event(), set(), []

    def call() -> None:
        client = app.test_client()
        while not stop.is_set():
            answer = post(client, asked())
            if answer.status_code != 200:
                odd.append(answer.text)
                return
            seen.add(version_of(answer.json["cards"][0]))

    def watched() -> None:
        try:
            call()
        except AssertionError as error:
            odd.append(str(error))

    threads = [threading.Thread(target=watched) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(12):
            promote(models, "sepsis", "231"[turn % 3])
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert odd == []
    assert seen == {"1", "2", "3"}
    assert answered(app) == "1"


def test_a_promotion_while_a_model_is_loaded_is_not_lost(
    app: Flask, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ModelSource.load

    def overtaken(self: ModelSource) -> ModelBundle:
        found = load(self)
        monkeypatch.setattr(ModelSource, "load", load)
        promote(models, "sepsis", "3")
        return found

    promote(models, "sepsis", "2")
    monkeypatch.setattr(ModelSource, "load", overtaken)
    assert answered(app) == "2"
    assert answered(app) == "3"


def test_a_promotion_while_the_process_starts_is_not_lost(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ModelSource.load

    def overtaken(self: ModelSource) -> ModelBundle:
        found = load(self)
        monkeypatch.setattr(ModelSource, "load", load)
        promote(models, "sepsis", "2")
        return found

    monkeypatch.setattr(ModelSource, "load", overtaken)
    with running(tmp_path / "state", models) as app:
        assert answered(app) == "2"


def test_two_promotions_in_one_tick_of_the_file_system_s_clock_are_two(app: Flask, models: Path) -> None:
    pointer = models / "sepsis/champion.json"
    promote(models, "sepsis", "2")
    assert answered(app) == "2"
    told, when = pointer.read_text(), pointer.stat()
    changed = told.replace(BUNDLES["2"].sha256, BUNDLES["3"].sha256).replace('"version": "2"', '"version": "3"')
    pointer.write_text(changed)
    os.utime(pointer, ns=(when.st_atime_ns, when.st_mtime_ns))
    now = pointer.stat()
    assert (now.st_mtime_ns, now.st_size, now.st_ino) == (when.st_mtime_ns, when.st_size, when.st_ino)
    assert answered(app) == "3"


def test_one_loads_and_nobody_waits_for_it(app: Flask, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load, loading, go, loads = ModelSource.load, threading.Event(), threading.Event(), []

    def slow(self: ModelSource) -> ModelBundle:
        loads.append(threading.get_ident())
        loading.set()
        assert go.wait(10)
        return load(self)

    monkeypatch.setattr(ModelSource, "load", slow)
    promote(models, "sepsis", "2")
    found: list[str] = []
    finder = threading.Thread(target=lambda: found.append(answered(app)))
    finder.start()
    try:
        assert loading.wait(10)
        assert [answered(app) for _ in range(3)] == ["1"] * 3
    finally:
        go.set()
        finder.join(10)
    assert found == ["2"]
    assert len(loads) == 1
    assert answered(app) == "2"


# ---- what cannot be verified answers nobody


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another model.pkl": (lambda m: flip(m / "sepsis/1/model.pkl"), "is not the one that was published"),
    "another model's file": (lambda m: shutil.copy(m / "sepsis/2/model.pkl", m / "sepsis/1"), "is not the one that was"),
    "no model.pkl": (lambda m: (m / "sepsis/1/model.pkl").unlink(), "no such file"),
    "a renamed model.pkl": (lambda m: (m / "sepsis/1/model.pkl").rename(m / "sepsis/1/model.bak"), "no such file"),
    "no manifest": (lambda m: (m / "sepsis/1/manifest.json").unlink(), "manifest.json: no such file"),
    "a manifest of another hash": (
        lambda m: (m / "sepsis/1/manifest.json").write_text(
            (m / "sepsis/1/manifest.json").read_text().replace(BUNDLES["1"].sha256, BUNDLES["2"].sha256)
        ),
        "one was changed by hand",
    ),
    "no pointer": (lambda m: (m / "sepsis/champion.json").unlink(), "there is no champion"),
    "a pointer that is no JSON": (lambda m: (m / "sepsis/champion.json").write_text('{"version": "1"'), "is broken"),
    "an empty pointer": (lambda m: (m / "sepsis/champion.json").write_text(""), "is broken"),
    "a pointer of another hash": (
        lambda m: (m / "sepsis/champion.json").write_text(json.dumps({"version": "1", "sha256": BUNDLES["2"].sha256})),
        "one was changed by hand",
    ),
    "a pointer to no version": (
        lambda m: (m / "sepsis/champion.json").write_text(json.dumps({"version": "9", "sha256": BUNDLES["2"].sha256})),
        "has no version '9'",
    ),
    "a pointer that leads elsewhere": (
        lambda m: (m / "sepsis/champion.json").write_text(json.dumps({"version": "../1", "sha256": BUNDLES["1"].sha256})),
        "is no version of a model",
    ),
    "no version's folder": (lambda m: shutil.rmtree(m / "sepsis/1"), "has no version '1'"),
    "no folder of the model": (lambda m: shutil.rmtree(m / "sepsis"), "no model 'sepsis'"),
    "no registry": (lambda m: shutil.rmtree(m), "no such folder"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_ch43_ch83_what_cannot_be_verified_is_503_until_it_can_be(
    app: Flask, models: Path, origin: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    break_it, words = BROKEN[name]
    assert answered(app) == "1"
    break_it(models)
    refused = post(app.test_client(), asked())
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert str(models) not in refused.text
    status, said = health(app)
    assert (status, said["ready"]) == (503, False)
    assert words in said["problem"]
    assert str(models) not in said["problem"]
    assert words in caplog.text
    listed = app.test_client().get("/cds-services").json
    assert listed is not None
    assert [one["id"] for one in listed["services"]] == ["sepsis-risk"]
    assert post(app.test_client(), asked()).status_code == 503
    shutil.copytree(origin, models, dirs_exist_ok=True)
    assert answered(app) == "1"
    assert health(app)[0] == 200


def test_what_is_mended_within_one_tick_is_found_all_the_same(app: Flask, models: Path) -> None:
    path = models / "sepsis/1/model.pkl"
    whole, when = path.read_bytes(), path.stat()
    flip(path)
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert post(app.test_client(), asked()).status_code == 503
    path.write_bytes(whole)
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert answered(app) == "1"


def test_what_no_mark_tells_is_found_after_a_while(app: Flask, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = models / "sepsis/1/model.pkl"
    whole = path.read_bytes()
    flip(path)
    assert post(app.test_client(), asked()).status_code == 503
    same = parts(app).screens["sepsis-risk"]._mark
    monkeypatch.setattr(ModelSource, "mark", lambda self: same)
    path.write_bytes(whole)
    assert post(app.test_client(), asked()).status_code == 503
    monkeypatch.setattr(module, "RETRY_EVERY", 0.0)
    assert answered(app) == "1"


def test_the_new_champion_s_file_counts_and_not_the_old_one_s(app: Flask, models: Path) -> None:
    flipped = models / "sepsis/2/model.pkl"
    whole = flipped.read_bytes()
    promote(models, "sepsis", "2")
    flip(flipped)
    assert post(app.test_client(), asked()).status_code == 503
    flipped.write_bytes(whole)  # champion.json and the old champion's files are as they were
    assert answered(app) == "2"


def test_whatever_is_raised_the_model_before_is_not_the_champion_any_more(
    app: Flask, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ModelSource.load

    def broken(self: ModelSource) -> ModelBundle:
        raise MemoryError

    promote(models, "sepsis", "2")
    monkeypatch.setattr(ModelSource, "load", broken)
    assert post(app.test_client(), asked()).status_code == 500
    assert post(app.test_client(), asked()).status_code == 503
    monkeypatch.setattr(ModelSource, "load", load)
    promote(models, "sepsis", "3")
    assert answered(app) == "3"


def test_a_champion_that_does_not_fit_the_schema_answers_nobody(app: Flask, models: Path) -> None:
    published(models, "4", names=(*WEIGHTS, "troponin"))
    assert post(app.test_client(), asked()).status_code == 503
    assert "troponin" in health(app)[1]["problem"]
    promote(models, "sepsis", "1")
    assert answered(app) == "1"


def test_what_is_in_force_is_read_once(models: Path, tmp_path: Path) -> None:
    screen = Screens(Settings(auth="off", models=models, state=tmp_path, schemas=SCHEMA_FILE), 0.0)["sepsis-risk"]
    held = screen.current()
    promote(models, "sepsis", "2")
    assert screen.current() is not held
    assert (held.bundle.version, screen.current().bundle.version) == ("1", "2")
    (models / "sepsis/champion.json").unlink()
    with pytest.raises(Refusal) as caught:
        screen.current()
    assert caught.value.status == 503
    assert screen.loaded is None


# ---- at start


def started(models: Path, **settings: Any) -> Screen:
    return Screens(Settings(auth="off", models=models, **{"schemas": SCHEMA_FILE} | settings))["sepsis-risk"]


MISSING = (
    "no registry", "no folder of the model", "no pointer", "a pointer to no version", "no version's folder",
    "no model.pkl", "a renamed model.pkl",
)  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_ch03_ch43_a_missing_model_lets_the_process_start_and_a_false_one_does_not(models: Path, name: str) -> None:
    break_it, words = BROKEN[name]
    break_it(models)
    if name in MISSING:
        assert started(models).state == "there is no model"
    else:
        with pytest.raises(ModelError, match=r"sepsis\.yaml: ") as caught:
            started(models)
        assert words in str(caught.value)


def test_a_hash_that_does_not_match_says_whose_and_what_to_do(models: Path) -> None:
    path = models / "sepsis/1/model.pkl"
    flip(path)
    with pytest.raises(ModelError) as caught:
        started(models)
    said = str(caught.value)
    for words in ("sepsis.yaml", str(path), BUNDLES["1"].sha256[:12], "was not loaded", "Restore it"):
        assert words in said


def test_a_model_that_does_not_fit_the_schema_keeps_the_process_from_starting(models: Path) -> None:
    published(models, "4", names=(*WEIGHTS, "troponin"))
    with pytest.raises(ModelError, match="troponin"):
        started(models)


def test_a_model_that_comes_after_the_start_is_found(origin: Path, tmp_path: Path) -> None:
    models = tmp_path / "later"
    with running(tmp_path / "state", models) as app:
        assert post(app.test_client(), asked()).status_code == 503
        assert health(app)[0] == 503
        assert app.test_client().get("/health/live").status_code == 200
        shutil.copytree(origin, models)
        assert answered(app) == "1"


def test_a_registry_that_is_copied_piece_by_piece_is_found_when_it_is_whole(origin: Path, tmp_path: Path) -> None:
    models = tmp_path / "later"
    with running(tmp_path / "state", models) as app:
        for part in ("champion.json", "1/manifest.json", "1/model.pkl"):
            assert post(app.test_client(), asked()).status_code == 503
            (models / "sepsis/1").mkdir(parents=True, exist_ok=True)
            shutil.copy(origin / "sepsis" / part, models / "sepsis" / part)
        assert answered(app) == "1"


def test_schemas_that_cannot_be_served_are_refused_with_a_sentence(models: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no schema"):
        Screens(Settings(auth="off", models=models, schemas=tmp_path))
    text = SCHEMA_FILE.read_text().replace("schedule:", "# schedule:")
    for name, content, words in (
        ("a", text.replace("model: sepsis\n", ""), "names no model"),
        ("b", text.replace("outcome:", "# outcome:"), "has no outcome"),
        ("c", text + "\nonly_screened: true\n", "until the next night"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "sepsis.yaml").write_text(content)
        with pytest.raises(SettingsError, match=words):
            Screens(Settings(auth="off", models=models, schemas=folder, system_actions=True))
    twice = tmp_path / "twice"
    twice.mkdir()
    for name in ("one.yaml", "two.yaml"):
        (twice / name).write_text(text)
    with pytest.raises(SettingsError, match="two schemas"):
        Screens(Settings(auth="off", models=models, schemas=twice))


# ---- CDS_MODEL_FILE


def test_a_model_file_is_taken_and_taken_anew_when_it_changes(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.pkl"
    path.write_bytes(model_bytes(0.0))
    own = {"model_file": path, "allow_unverified_model": True}
    with running(tmp_path / "state", models, **own) as app:
        before = card(app.test_client(), asked())
        said = health(app)[1]
        assert any("loaded unverified" in warning for warning in said["warnings"])
        draft = tmp_path / "draft"
        draft.write_bytes(model_bytes(-1.0))
        draft.replace(path)
        after = card(app.test_client(), asked())
        assert PERCENT["1"] in before["detail"]
        assert PERCENT["2"] in after["detail"]
        assert before["links"] != after["links"]
        path.unlink()
        assert post(app.test_client(), asked()).status_code == 503
        path.write_bytes(b"no model")
        assert post(app.test_client(), asked()).status_code == 503
        path.write_bytes(model_bytes(0.0))
        assert PERCENT["1"] in card(app.test_client(), asked())["detail"]


def test_a_model_file_behind_a_link_that_moves_is_the_new_one(models: Path, tmp_path: Path) -> None:
    link = tmp_path / "model.pkl"
    link.symlink_to(models / "sepsis/1/model.pkl")
    with running(tmp_path / "state", models, model_file=link) as app:
        assert answered(app) == "1"
        link.unlink()
        link.symlink_to(models / "sepsis/2/model.pkl")
        assert answered(app) == "2"
        (models / "sepsis/2/manifest.json").unlink()
        assert post(app.test_client(), asked()).status_code == 503


def test_a_model_file_that_nobody_vouches_for_is_refused_at_start(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.pkl"
    path.write_bytes(model_bytes())
    with pytest.raises(ModelError, match="no manifest"):
        started(models, model_file=path)
    flip(models / "sepsis/1/model.pkl")
    with pytest.raises(ModelError, match="is not the one that was published"):
        started(models, model_file=models / "sepsis/1/model.pkl")
    assert started(models, model_file=tmp_path / "none.pkl").state == "there is no model"


def test_a_mark_is_the_same_as_long_as_nothing_changes(models: Path) -> None:
    source = ModelSource(Settings(auth="off", models=models), "sepsis")
    first = source.mark()
    assert first == source.mark()
    assert None not in (first.pointer, first.manifest, first.model)
    (models / "sepsis/1/model_card.md").write_text("changed")
    assert first == source.mark()
    shutil.rmtree(models)
    assert source.mark() == Mark(None, None, None)


def test_a_change_is_told_in_the_log_once(app: Flask, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    promote(models, "sepsis", "2")
    for _ in range(3):
        answered(app)
    told = [record.getMessage() for record in caplog.records if record.name == module.__name__]
    assert told == [f"sepsis-risk: model sepsis 2 is in force, sha256 {BUNDLES['2'].sha256}"]
