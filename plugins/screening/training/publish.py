"""Publishing what passed the gate, and keeping what did not where it can be looked at.

A version is a folder that appears whole, and the champion moves last (`screening.model.registry`), so that whoever is killed
or runs out of disk on the way leaves the champion that was. What the manifest tells of the model is read from the model
file itself; times stand in the manifest and the card alone, so that the same training gives the same model file, and
publishing it again changes nothing.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from screening.errors import FatalError, ModelError
from screening.model.bundle import ModelBundle
from screening.model.layout import (
    CARD,
    METRICS,
    MODEL,
    POINTER,
    as_json,
    read_manifest,
    read_pointer,
    segment,
    version_folder,
    versions,
)
from screening.model.registry import publish as publish_version
from screening.training.gate.verdict import Verdict
from screening.training.plan import TrainingPlan
from screening.training.staged import save_bytes

VERDICT = "verdict.json"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Product:
    """What a training run made.

    Attributes
    ----------
    model
        The content of model.pkl, as `screening.training.learning.artifact.model_bytes` returns it.
    evaluation
        The content of metrics.json.
    card, card_json
        The model card, in Markdown and for machines.
    """

    model: bytes
    evaluation: Mapping[str, Any]
    card: str
    card_json: Mapping[str, Any]


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, for its manifest.

    Attributes
    ----------
    plan
        The plan in force, with this run's changes.
    sources
        Table → `rows` and, of a file, `sha256`; as `MimicTables.fingerprint` tells them.
    described
        In a sentence, what data they are.
    approved_by
        Who approved; None where nobody was asked.
    created
        When; timezone-aware.
    """

    plan: TrainingPlan
    sources: Mapping[str, Any]
    described: str
    approved_by: str | None
    created: datetime


def publish(models_dir: Path, name: str, product: Product, verdict: Verdict, origin: Origin) -> ModelBundle:
    """Publish a model that passed the gate as a version of its own, and make it champion.

    May be repeated: a model that is published already keeps its version, and nothing changes.

    Raises
    ------
    FatalError
        The verdict refuses the model, or is of another one; or another model became champion since the gate compared.
    ModelError
        As `screening.model.registry.publish`.
    """
    metadata = _metadata(product.model)
    _refuse_unfit(models_dir, name, product, verdict, metadata)
    return publish_version(
        models_dir,
        name,
        next_version(models_dir, name, product.model),
        model=product.model,
        synthetic=metadata["synthetic"],
        training_data={
            "described": origin.described,
            "sources": dict(origin.sources),
            **metadata["counts"],
            "fingerprint": metadata["data_fingerprint"],
        },
        created=origin.created,
        metrics=product.evaluation,
        model_card=product.card,
        model_card_json=product.card_json,
        more={
            "approved_by": origin.approved_by,
            "candidate": metadata["candidate"],
            "gate": verdict.to_json(),
            "label": metadata["label"],
            "plan_sha256": origin.plan.fingerprint(),
            "schema_sha256": metadata["schema_sha256"],
            "seed": metadata["seed"],
            "tiny": metadata["tiny"],
        },
        promoted=True,
    )


def next_version(models_dir: Path, name: str, model: bytes) -> str:
    """Return the version under which a model file is, or will be, published.

    Where a version holds the very same file, that one. Else the highest x.y.z with one added to y and 0 for z; the first is
    1.0.0. Versions of another form do not count.
    """
    if not (models_dir / segment(name, "name")).is_dir():
        return "1.0.0"
    known = versions(models_dir, name)
    wanted = hashlib.sha256(model).hexdigest()
    for version in known:
        try:
            manifest = read_manifest(version_folder(models_dir, name, version), name, version)
        except ModelError:  # a broken version keeps its number, and is nobody's
            continue
        if manifest["sha256"] == wanted:
            return version
    numbers = [tuple(map(int, found.groups())) for version in known if (found := _VERSION.fullmatch(version))]
    if not numbers:
        return "1.0.0"
    major, minor, _ = max(numbers)
    return f"{major}.{minor + 1}.0"


def keep_refused(folder: Path, product: Product, verdict: Verdict) -> Path:
    """Keep a model that was not published in the run's report folder; return its file, for `model check --allow-unverified`.

    Raises
    ------
    DataFileError
        The folder cannot be written.
    """
    content = {
        MODEL: product.model,
        METRICS: as_json(product.evaluation, METRICS),
        CARD: product.card.encode(),
        VERDICT: as_json(verdict.to_json(), VERDICT),
    }
    for file, held in content.items():
        save_bytes(folder, file, held)
    return folder / MODEL


def _metadata(model: bytes) -> Mapping[str, Any]:
    import joblib

    content: Mapping[str, Any] = joblib.load(io.BytesIO(model))  # made by this run, never a file from elsewhere
    return content["metadata"]  # type: ignore[no-any-return]


def _refuse_unfit(models_dir: Path, name: str, product: Product, verdict: Verdict, metadata: Mapping[str, Any]) -> None:
    if not verdict.passed:
        raise FatalError(f"{name}: the gate refused this model; it is not published:\n{verdict.summary()}")
    for key, said in (("tiny", verdict.tiny), ("synthetic", product.evaluation["synthetic"])):
        if metadata[key] is not said:
            raise FatalError(
                f"{name}: the model file says {key}: {metadata[key]}, the gate judged one with {key}: {said}: train again"
            )
    pointed = (models_dir / segment(name, "name") / POINTER).exists()
    standing = read_pointer(models_dir, name) if pointed else None
    if standing == verdict.champion or (standing and standing[1] == hashlib.sha256(product.model).hexdigest()):
        return
    was, now = (each[0] if each else "none" for each in (verdict.champion, standing))
    raise FatalError(f"{name}: champion is {now}, and the gate compared with {was}: run the gate again")
