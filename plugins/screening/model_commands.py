"""What `python -m screening model …` does: look at the registry, move the champion, check a file before it is used."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from screening.commands import say
from screening.errors import ModelError
from screening.model.bundle import ModelBundle
from screening.model.champions import Champion, history, in_force
from screening.model.layout import CARD, METRICS, POINTER, read_json, read_pointer, version_folder
from screening.model.listing import Listed, figure, listing
from screening.model.registry import champion, load_version, names, promote
from screening.model.rollback import rollback
from screening.schema import load_schema

FIGURES = {"auroc": "AUROC", "auprc": "AUPRC", "f1": "F1", "brier": "Brier"}
"""Figures of metrics.json that are shown, and how."""


def model_list(chosen: Namespace) -> int:
    """Print every version of one model or of all; 1 where a version is broken or a model has no champion."""
    wanted = (chosen.name,) if chosen.name else names(chosen.models)
    troubled = False
    for name in wanted:
        versions, problem = listing(chosen.models, name)
        say(f"{name}{f': {problem}' if problem else ''}")
        for one in versions:
            say(_line(one))
        troubled = troubled or bool(problem) or any(one.problems for one in versions)
    if not wanted:
        say(f"{chosen.models} holds no model")
    return 1 if troubled else 0


def _line(one: Listed) -> str:
    marks = [mark for mark in ("synthetic", "tiny") if one.manifest.get(mark) is True]
    figures = [f"{FIGURES[key]} {found}" for key in ("auroc", "f1") if (found := figure(one.metrics, key))]
    told = [
        str(one.manifest["created"])[:10] if one.manifest else "",
        f"sha256 {one.manifest['sha256'][:12]}" if one.manifest else "",
        " ".join(marks),
        *figures,
        *(f"broken: {problem}" for problem in one.problems),
    ]
    return f"{'*' if one.champion else ' '} {one.version:<12} {'  '.join(part for part in told if part)}"


def model_show(chosen: Namespace) -> int:
    """Print what the champion, or one version, is; with `--card` its model card, with `--json` all of it as JSON."""
    models, name = chosen.models, chosen.name
    if chosen.card:
        say(_card(version_folder(models, name, chosen.version or read_pointer(models, name)[0]) / CARD))
        return 0
    bundle = load_version(models, name, chosen.version) if chosen.version else champion(models, name)
    told = _told(bundle, models)
    say(json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False, default=_plain) if chosen.json else _text(told))
    return 0


def _card(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {type(error).__name__}") from None


def _told(bundle: ModelBundle, models: Path) -> dict[str, Any]:
    champions, is_champion = _champions(models, bundle)
    return {
        "name": bundle.name,
        "version": bundle.version,
        "sha256": bundle.sha256,
        "champion": is_champion,
        "rollback_leads_to": champions[-2].version if len(champions) > 1 else None,
        "features": list(bundle.feature_names),
        "units": _mapping(bundle.metadata.get("units")),
        "aggregation": _mapping(bundle.metadata.get("aggregation")),
        "threshold": bundle.threshold,
        "calibration": bundle.metadata.get("calibration"),
        "imputation": bundle.imputation,
        "handles_missing": bundle.handles_missing,
        "synthetic": bundle.synthetic,
        "tiny": bundle.tiny,
        "manifest": bundle.manifest,
        "metrics": read_json(version_folder(models, bundle.name, bundle.version) / METRICS),
        "warnings": bundle.warnings,
    }


def _champions(models: Path, bundle: ModelBundle) -> tuple[list[Champion], bool]:
    """Return the champions in force, if champion.json tells them, and whether this version is the last of them."""
    try:
        found = in_force(history(models, bundle.name), models / bundle.name / POINTER)
    except ModelError:
        return [], False
    return found, found[-1].version == bundle.version


def _text(told: Mapping[str, Any]) -> str:
    marks = [mark for mark in ("champion", "synthetic", "tiny") if told[mark]]
    manifest, back = told["manifest"], told["rollback_leads_to"]
    figures = [f"{shown} {found}" for key, shown in FIGURES.items() if (found := figure(told["metrics"], key))]
    medians = ", ".join(f"{name} {value:g}" for name, value in told["imputation"].items())
    lines = [
        f"{told['name']} {told['version']}, sha256 {told['sha256']}",
        f"marks: {', '.join(marks) or 'none'}" + (f"; a rollback leads to {back}" if back and told["champion"] else ""),
        f"created: {manifest['created']}; training data: {json.dumps(manifest['training_data'], default=_plain)}",
        f"figures: {', '.join(figures) or 'none in metrics.json'}",
        f"features: {', '.join(_feature(told, name) for name in told['features'])}",
        f"threshold: {told['threshold']}; calibration: {json.dumps(told['calibration'], default=_plain)}",
        f"takes missing values: {'yes' if told['handles_missing'] else 'no'}; medians stored: {medians or 'none'}",
        *(f"note: {warning}" for warning in told["warnings"]),
    ]
    return "\n".join(lines)


def _feature(told: Mapping[str, Any], name: str) -> str:
    parts = [part for part in (told["units"].get(name), told["aggregation"].get(name)) if part]
    return f"{name} ({', '.join(parts)})" if parts else name


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a bundle's read-only parts."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def model_promote(chosen: Namespace) -> int:
    """Make a published version the champion."""
    promote(chosen.models, chosen.name, chosen.version)
    say(f"{chosen.name} {chosen.version} is champion")
    return 0


def model_rollback(chosen: Namespace) -> int:
    """Make the champion before the present one champion again."""
    left = read_pointer(chosen.models, chosen.name)[0]
    bundle = rollback(chosen.models, chosen.name)
    say(f"{bundle.name} {bundle.version} is champion again, after {left}")
    return 0


def model_check(chosen: Namespace) -> int:
    """Print every check of the load contract on a model file; 1 where it is refused."""
    from screening.model_checks import check_file, refused

    schema = load_schema(chosen.schema)
    checks = check_file(chosen.file, schema, chosen.models, allow_unverified=chosen.allow_unverified)
    say(f"{chosen.file} for schema {schema.name} {schema.version}")
    for check in checks:
        say(f"  {check.verdict:<9} {check.name:<20} {check.words}")
    if refused(checks):
        say("refused: it would not drop in")
        return 1
    notes = sum(check.verdict == "note" for check in checks)
    say(f"it drops in{f'; {notes} notes to read' if notes else ''}")
    return 0
