"""The registry of models: folders and JSON, no service. Publish a version, point at the champion, load what is verified.

::

    MODELS_DIR/NAME/VERSION/{model.pkl, manifest.json, metrics.json, model_card.md}    never changed once there
    MODELS_DIR/NAME/champion.json                                                      {version, sha256, history}

A version appears whole or not at all, and the pointer moves last: whoever is killed in between leaves the old champion.
What a kill leaves half done begins with a dot, is looked at by nobody and in nobody's way, and may be deleted. Beside the
Markdown card there may be a `model_card.json`.
`promote` points at any version, `rollback.rollback` at the champion before; `champions` tells what is remembered. `files`
loads a model by its file, published or not.
"""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from screening.errors import ModelError
from screening.model.bundle import ModelBundle, load_bundle
from screening.model.champions import Champion, history, pointer, with_promotion
from screening.model.layout import (
    CARD,
    CARD_JSON,
    MANIFEST,
    METRICS,
    MODEL,
    POINTER,
    as_json,
    model_folder,
    read_manifest,
    read_pointer,
    segment,
    sync_folder,
    version_folder,
    write_durably,
    writing,
)
from screening.model.layout import versions as versions
from screening.model.versions import installed

log = logging.getLogger(__name__)


def champion(models_dir: Path, name: str) -> ModelBundle:
    """Load the version that champion.json names.

    Raises
    ------
    ModelError
        The registry, the model, its champion.json or the version it names is missing or broken; pointer, manifest and
        model file do not agree on the sha256 (nothing is unpickled then); or as `load_bundle`.
    """
    version, sha256 = read_pointer(models_dir, name)
    folder = version_folder(models_dir, name, version)
    manifest = read_manifest(folder, name, version)
    if manifest["sha256"] != sha256:
        raise ModelError(
            f"{folder}: champion.json has sha256 {sha256[:12]}…, manifest.json {manifest['sha256'][:12]}…: one was changed "
            "by hand. Promote the version anew if its files can be trusted"
        )
    return _load(folder, manifest)


def load_version(models_dir: Path, name: str, version: str) -> ModelBundle:
    """Load one published version, champion or not.

    Raises
    ------
    ModelError
        As `champion`, but for the pointer.
    """
    folder = version_folder(models_dir, name, version)
    return _load(folder, read_manifest(folder, name, version))


def publish(
    models_dir: Path,
    name: str,
    version: str,
    *,
    model: bytes,
    synthetic: bool,
    training_data: Any,
    created: datetime,
    metrics: Mapping[str, Any],
    model_card: str,
    model_card_json: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    promoted: bool,
) -> ModelBundle:
    """Publish a version, whole or not at all; it is loaded and asked before it appears.

    May be repeated: the very same model under the same version is left as it is, and promoted if so wanted.

    Parameters
    ----------
    model
        The content of model.pkl, as joblib writes it. Timestamps do not belong in it: equal training gives equal bytes.
    synthetic
        Whether the training data are invented patients; every result says so.
    training_data
        Description of the training data, as JSON: sources with their sha256, counts, or a sentence.
    created
        When it was trained; timezone-aware.
    metrics, model_card
        The content of metrics.json (no NaN) and of model_card.md.
    model_card_json
        The content of model_card.json; None writes none.
    more
        Further keys of the manifest.
    promoted
        True makes it the champion.

    Raises
    ------
    ModelError
        The name or version is not fit, or taken by another model; the model cannot be loaded; metrics, card or manifest are
        no JSON; or the disk is full. Nothing is published then, but where the disk was full only for the pointer: the
        version is whole, and the champion is the one it was.
    """
    home = models_dir / segment(name, "name")
    final = home / segment(version, "version")
    if created.tzinfo is None:
        raise ModelError("created has no zone")
    manifest = {
        **(more or {}),
        "name": name,
        "version": version,
        "sha256": hashlib.sha256(model).hexdigest(),
        "created": created.astimezone(UTC).isoformat(timespec="seconds"),
        "synthetic": synthetic,
        "training_data": training_data,
        "versions": installed(),
    }
    files = {MODEL: model, METRICS: as_json(metrics, METRICS), CARD: model_card.encode()}
    if model_card_json is not None:
        files[CARD_JSON] = as_json(model_card_json, CARD_JSON)
    with writing(final):
        home.mkdir(parents=True, exist_ok=True)
        model_folder(models_dir, name)
        if not final.exists():
            _appear(final, files, manifest)
    bundle = load_version(models_dir, name, version)
    if bundle.sha256 != manifest["sha256"]:
        raise ModelError(
            f"{final}: this version is taken by another model; versions are never changed: choose a new one"
        )
    if promoted:
        promote(models_dir, name, version)
    return bundle


def promote(models_dir: Path, name: str, version: str) -> None:
    """Make a published version the champion, after loading it: one atomic replacement of champion.json.

    Where champion.json is missing or broken, the history of champions begins anew with this version.

    Raises
    ------
    ModelError
        As `load_version`; the champion is then the one it was.
    """
    bundle = load_version(models_dir, name, version)
    known: tuple[Champion, ...] = ()
    if (models_dir / name / POINTER).exists():
        try:
            known = history(models_dir, name)
        except ModelError as error:  # promoting is how a broken pointer is mended
            log.warning("the history of champions begins anew: %s", error)
    point(models_dir, name, with_promotion(known, version, bundle.sha256))


def point(models_dir: Path, name: str, champions: Sequence[Champion]) -> None:
    """Replace champion.json in one step by the last of these champions, with the others as its history."""
    home = models_dir / name
    draft = home / f".{POINTER}.{uuid4().hex}"
    with writing(home / POINTER):
        try:
            write_durably(draft, as_json(pointer(champions), POINTER))
            draft.replace(home / POINTER)
        finally:
            draft.unlink(missing_ok=True)
    sync_folder(home)


def names(models_dir: Path) -> tuple[str, ...]:
    """Return the names of all models, sorted.

    Raises
    ------
    ModelError
        The registry does not exist.
    """
    if not models_dir.is_dir():
        raise ModelError(f"{models_dir}: no such folder: it should hold the models, one folder each")
    return tuple(
        sorted(entry.name for entry in models_dir.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    )


def _load(folder: Path, manifest: Mapping[str, Any]) -> ModelBundle:
    bundle = load_bundle(
        folder / MODEL,
        expected_sha256=manifest["sha256"],
        name=manifest["name"],
        version=manifest["version"],
        manifest=manifest,
    )
    if list(bundle.feature_names) != manifest["feature_names"]:
        raise ModelError(f"{folder}: the manifest's feature_names are not those of the model: publish it anew")
    return bundle


def _appear(final: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write a version's folder beside its place, try it out, and rename it there."""
    draft = final.parent / f".{final.name}.{uuid4().hex}"
    draft.mkdir()
    try:
        for file, content in files.items():
            write_durably(draft / file, content)
        tried = load_bundle(draft / MODEL, expected_sha256=manifest["sha256"])
        write_durably(draft / MANIFEST, as_json({**manifest, "feature_names": tried.feature_names}, MANIFEST))
        sync_folder(draft)
        try:
            draft.rename(final)
        except OSError as error:
            if not final.is_dir():
                raise ModelError(f"{final}: cannot be published: {error.strerror}") from error
            # Somebody else published this version meanwhile; whether it is the same model is for the caller to see.
        sync_folder(final.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
