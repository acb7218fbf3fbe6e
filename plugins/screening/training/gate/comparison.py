"""The new model held against the present champion, on the same patients, none of whom the new one ever saw.

The champion is loaded from the registry and asked as screening asks it. Where the two cannot be compared the reason is told,
and what can be done: the gate then refuses, and nothing fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from screening.errors import ModelError
from screening.model.bundle import ModelBundle
from screening.model.layout import POINTER, segment
from screening.model.metadata import is_number
from screening.model.registry import champion as load_champion
from screening.schema import Schema
from screening.scoring import check_fits
from screening.training.data import Bools, Floats, TrainingSet
from screening.training.gate.paired import Paired, Scored, paired
from screening.training.learning.folds import untouched
from screening.training.plan import TrainingPlan


class Standing(NamedTuple):
    """Which model is champion, and of what kind; `synthetic` is None where it does not tell."""

    version: str
    sha256: str
    synthetic: bool | None
    tiny: bool


@dataclass(frozen=True)
class Comparison:
    """What the comparison found.

    Attributes
    ----------
    champion
        None where there is none yet, or (`problem` then says so) it cannot be loaded.
    problem
        Why the two cannot be compared and what to do; "" where they were, or where there is no champion.
    figures
        `auprc`, `auroc` and `f1`; empty where nothing was compared.
    remarks
        Sentences that a reader of the figures must know.
    """

    champion: Standing | None = None
    problem: str = ""
    figures: Mapping[str, Paired] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def compare(
    new: ModelBundle, models_dir: Path, name: str, test: TrainingSet, schema: Schema, plan: TrainingPlan
) -> Comparison:
    """Hold a model against the champion of the registry.

    Parameters
    ----------
    new
        The new model, as it would be served.
    models_dir, name
        The registry, and the model in it; either may not exist yet.
    test
        The untouched patients' stays; columns by the schema's names.
    plan
        Its `bootstrap` says how many resamples, its `seed` which.
    """
    if not (models_dir / segment(name, "name") / POINTER).exists():
        return Comparison()
    try:
        champion = load_champion(models_dir, name)
    except ModelError as error:
        return Comparison(
            problem=f"the champion cannot be loaded: {error}. Promote a version that can, then train again"
        )
    standing = Standing(champion.version, champion.sha256, champion.synthetic, champion.tiny)
    try:
        check_fits(champion, schema)
    except ModelError as error:
        return Comparison(
            standing,
            f"the champion cannot be asked with this schema: {error}. Train with the schema it was made for, or give the "
            "schema another name under `model`, so that a line of models of its own begins",
        )
    return _compared(new, champion, standing, test, plan)


def _compared(
    new: ModelBundle, champion: ModelBundle, standing: Standing, test: TrainingSet, plan: TrainingPlan
) -> Comparison:
    remarks = _remarks(new, champion, test, plan)
    mine, answered = answers(new, test)
    theirs, also = answers(champion, test)
    both = answered & also
    if not both.all():
        remarks.append(f"{int((~both).sum())} of {len(both)} stays lack what one of the two needs, and are left out")
    if not both.any():
        return Comparison(
            standing,
            "no untouched stay has what both models need: publish the champion anew with its training medians "
            "(metadata.imputation)",
            remarks=tuple(remarks),
        )
    found = paired(
        test.labels[both],
        test.subjects[both],
        Scored(mine[both], new.threshold),
        Scored(theirs[both], champion.threshold),
        resamples=plan.bootstrap,
        seed=plan.seed,
    )
    return Comparison(standing, figures=found, remarks=tuple(remarks))


def answers(bundle: ModelBundle, rows: TrainingSet) -> tuple[Floats, Bools]:
    """Ask a model about stays, as screening does: columns by name, stored medians for what is missing.

    Returns
    -------
    (probabilities, answered)
        float64 (n,), NaN where the model has no answer; bool (n,).
    """
    filled = bundle.impute(columns_of(bundle, rows))
    answered = ~filled.unscorable
    found = np.full(len(rows), np.nan)
    if answered.any():
        found[answered] = bundle.predict(filled.matrix[answered])
    return found, answered


def columns_of(bundle: ModelBundle, rows: TrainingSet) -> Floats:
    """Return the columns that a model asks for, by name and in its order, float64 (n, f)."""
    columns = [rows.feature_names.index(name) for name in bundle.feature_names]
    return np.ascontiguousarray(rows.values[:, columns])


def _remarks(new: ModelBundle, champion: ModelBundle, test: TrainingSet, plan: TrainingPlan) -> list[str]:
    lacking = [name for name in test.feature_names if name not in champion.feature_names]
    # a champion of invented patients has seen none of the real ones, whatever it left out
    strange = champion.synthetic and not new.synthetic
    told = (
        "the champion learned from invented patients" if champion.synthetic else "",
        "the champion was published on too few patients to judge it" if champion.tiny else "",
        f"the champion does without {', '.join(lacking)}" if lacking else "",
        _label(champion, plan),
        "" if strange else _seen(champion, test, plan),
    )
    return [sentence for sentence in told if sentence]


def _label(champion: ModelBundle, plan: TrainingPlan) -> str:
    told = champion.metadata.get("label")
    ours = {"name": plan.label.name, "version": plan.label.version}
    if not isinstance(told, Mapping) or dict(told) == ours:
        return ""
    return (
        f"the champion learned another label ({told.get('name')} {told.get('version')}) than it is judged by here "
        f"({plan.label.name} {plan.label.version})"
    )


def _seen(champion: ModelBundle, test: TrainingSet, plan: TrainingPlan) -> str:
    """Say from how many of these patients the champion may have learned, so that it looks better than it is."""
    told = champion.metadata.get("untouched")
    kept = told if isinstance(told, Mapping) else {}
    share, salt = kept.get("share"), kept.get("salt")
    if share is None or not is_number(share) or not isinstance(salt, str):
        return "the champion does not tell whom it left out: it may have learned from these patients, and look too good"
    patients = np.unique(test.subjects)
    seen = int((~untouched(patients, share, salt)).sum())
    if not seen:
        return ""
    return (
        f"the champion left out other patients (salt {salt}, share {share:g}; here {plan.untouched.salt}, "
        f"{plan.untouched.share:g}): it may have learned from {seen} of these {len(patients)}, and look too good"
    )
