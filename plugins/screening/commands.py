"""What each command of the command line does; it prints, and returns the exit status."""

import json
from argparse import Namespace
from collections import Counter
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import TypeAdapter

from screening.data_files import contents
from screening.errors import FatalError
from screening.feature_matrix import FeatureMatrix
from screening.features import featurize as compute
from screening.model.bundle import ModelBundle
from screening.model.files import load_file
from screening.model.registry import champion
from screening.observations import Reading
from screening.outcome import Outcome, PatientResult
from screening.readers.fhir import read
from screening.schema import Schema, load_schema
from screening.scoring import score as score_matrix


def schema_check(chosen: Namespace) -> int:
    """Print what a schema is, and how far data covers it; 1 where a feature that the data should have is never found."""
    schema = load_schema(chosen.schema)
    say(f"{schema.name} {schema.version}: {len(schema.features)} features, fingerprint {schema.fingerprint()[:12]}")
    for remark in _remarks(schema):
        say(f"note: {remark}")
    if not chosen.against:
        return 0
    matrix = compute(_reading(chosen.against, schema, None), schema, "latest")
    patients = len(matrix.rows)
    reasons: dict[str, Counter[str]] = {name: Counter() for name in ("", *schema.features)}
    for (_, name, reason), count in matrix.drops.items():
        reasons.setdefault(name, Counter())[reason] += count
    say(f"{patients} patients, each as of the newest value that counts")
    uncovered = 0
    for feature in schema.features.values():
        have = int(matrix.rows[feature.name].notna().sum())
        uncovered += have == 0
        dropped = ", ".join(f"{reason} {count}" for reason, count in _ranked(reasons[feature.name]))
        say(f"  {feature.name:<20} {have:>6} of {patients} patients{f'; dropped: {dropped}' if dropped else ''}")
    if reasons[""]:
        say("  of no feature: " + ", ".join(f"{reason} {count}" for reason, count in _ranked(reasons[""])))
    return 1 if uncovered else 0


def _remarks(schema: Schema) -> list[str]:
    found = []
    if schema.lookback is None:
        found.append("no window: values of any age count; add window: {lookback: 24h}")
    found += [
        f"{feature.name} has no range: an absurd value counts"
        for feature in schema.of("Observation")
        if feature.range is None and feature.how != "count"
    ]
    if "age_calculation" in schema.metadata:
        found.append("metadata.age_calculation only describes: age is completed years at the prediction time")
    return found


def featurize(chosen: Namespace) -> int:
    """Print the feature matrix."""
    _, matrix = _matrix(chosen)
    if chosen.json:
        rows = json.loads(matrix.rows.to_json(orient="records", date_format="iso"))
        say(json.dumps({"rows": rows, "dropped": _dropped(matrix)}, indent=1))
    else:
        say(matrix.rows.drop(columns=["encounter", "reason"]).to_string(index=False))
        _say_dropped(matrix)
    return 0


def score(chosen: Namespace) -> int:
    """Print a line a patient, and by which model; 1 where somebody could not be scored."""
    schema, matrix = _matrix(chosen)
    bundle = _bundle(chosen, schema.model or schema.name)
    results = score_matrix(matrix, schema, bundle)
    if chosen.json:
        body = TypeAdapter(list[PatientResult]).dump_python(results, mode="json")
        model = {name: getattr(bundle, name) for name in ("name", "version", "sha256", "synthetic", "tiny")}
        say(json.dumps({"model": model, "results": body, "dropped": _dropped(matrix)}, indent=1))
    else:
        for one in results:
            say(_sentence(one))
        say(named(bundle))
        _say_dropped(matrix)
    return 0 if all(one.outcome is Outcome.SCORED for one in results) else 1


def _sentence(one: PatientResult) -> str:
    if one.probability is None or one.risk_level is None:
        return f"Patient/{one.patient_id}: {one.outcome.value} ({', '.join(one.detail)})"
    imputed = f", imputed: {', '.join(one.imputed)}" if one.imputed else ""
    return f"Patient/{one.patient_id}: {one.risk_level.upper()} ({one.probability:.0%}) as of {one.prediction_time}{imputed}"


def seed(chosen: Namespace) -> int:
    """Load the synthetic hospital."""
    from screening.seeding import seed as load
    from screening.server_option import client_of
    from screening.synthetic import Hospital

    if chosen.now == "latest":
        raise FatalError("--now must be a time")
    hospital = Hospital(size=chosen.size, seed=chosen.seed, now=chosen.now)
    client = client_of(chosen)
    if client is None:
        raise FatalError("give --url or --connection")
    with client:
        client.capabilities()  # says what is wrong with the URL, where a refused transaction would not
        sent = load(
            client, hospital, named=True, style=chosen.style, ids=chosen.ids,
            progress=lambda count: say(f"{count} resources"),
        )  # fmt: skip
    say(f"{sent} resources of {chosen.size + 3} patients; the hospital's present is {chosen.now.isoformat()}")
    return 0


def parity(chosen: Namespace) -> int:
    """Hold MIMIC's tables against the same patients on FHIR; 1 where a difference has no cause in the data."""
    from screening.readers.mimic_tables import CsvTables
    from screening.training.parity import parity as compare
    from screening.training.plan import load_plan

    found = compare(
        CsvTables(chosen.mimic), contents([chosen.fhir]), load_schema(chosen.schema), load_plan(chosen.plan)
    )
    say(found.summary())
    return 0 if found.holds else 1


def _matrix(chosen: Namespace) -> tuple[Schema, FeatureMatrix]:
    schema, zone = load_schema(chosen.schema), zone_of(chosen.zone)
    reading = _reading(chosen.files, schema, zone)
    return schema, compute(reading, schema, chosen.prediction_time, zone=zone)


def _reading(files: list[Path], schema: Schema, zone: tzinfo | None) -> Reading:
    reading = read(contents(files), schema, zone=zone)
    if not reading.records:
        raise FatalError(
            "the files hold no Patient resource, and nobody can be scored without one: add the file with the Patients "
            "(Patient.ndjson of a bulk export)"
        )
    return reading


def zone_of(name: str | None) -> tzinfo | None:
    """Return the zone that `--zone` names.

    Raises
    ------
    FatalError
        For a name that is none.
    """
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: America is a folder
        raise FatalError(f"--zone {name!r} is no time zone of the IANA list, such as America/New_York") from None


def _bundle(chosen: Namespace, name: str) -> ModelBundle:
    if chosen.model is None:
        return champion(chosen.models, name)
    return load_file(chosen.model, models_dir=chosen.models, allow_unverified=chosen.allow_unverified)


def named(bundle: ModelBundle) -> str:
    """Return which model answers, with what must be known before its answers are believed."""
    marks = ["trained on invented patients"] if bundle.synthetic else []
    if bundle.tiny:
        marks.append("trained on too few patients to judge it by")
    return f"{bundle}: {', '.join(marks)}" if marks else str(bundle)


def _dropped(matrix: FeatureMatrix) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, feature, reason), count in matrix.drops.items():
        found[f"{feature or 'any'}: {reason}"] += count
    return dict(_ranked(found))


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return counts, the largest first; equal ones by name, so that the order of the files makes no difference."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _say_dropped(matrix: FeatureMatrix) -> None:
    for reason, count in _dropped(matrix).items():
        say(f"dropped {reason}: {count}")


def say(text: Any) -> None:
    """Print."""
    print(text)  # noqa: T201 - the command line's one way to speak
