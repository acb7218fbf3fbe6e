"""Patients to show: some of each risk level, found in FHIR files with a model, written for the point of care and a server.

Only values that the reader counts are written, so that nothing which it drops (another subject's value, a retracted one)
comes back as a value when references are left out. What was written is read and scored again before it is given.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import orjson

from screening.data_files import contents
from screening.demo_bundles import parts, prefetch, transaction
from screening.errors import DataFileError, FatalError, FhirFatalError, ResultError, TemporaryError
from screening.feature_matrix import FeatureMatrix
from screening.features import PredictionTime, featurize
from screening.fhir_client.client import FhirClient
from screening.fhir_client.exchange import Answer
from screening.model.bundle import ModelBundle
from screening.observations import Reading
from screening.outcome import Outcome, PatientResult, RiskLevel
from screening.readers.fhir import read
from screening.readers.fhir_content import unwrap
from screening.readers.fhir_fields import reference
from screening.schema import Schema
from screening.scoring import score

Resource = dict[str, Any]

LEVELS = (RiskLevel.HIGH, RiskLevel.MODERATE, RiskLevel.LOW)
FILES = ("prefetch", "transaction")


@dataclass(frozen=True)
class Look:
    """How a patient is looked at: with which schema and model, as of when, and in which zone.

    Attributes
    ----------
    moment
        A prediction time, or `latest`: each patient as of the newest value that counts.
    zone
        The site's, for times without one; None drops such times.
    """

    schema: Schema
    model: ModelBundle
    moment: PredictionTime
    zone: tzinfo | None = None

    def at(self, files: Iterable[Any]) -> tuple[Reading, FeatureMatrix, list[PatientResult]]:
        """Read FHIR content and score everybody in it."""
        reading = read(files, self.schema, zone=self.zone)
        matrix = featurize(reading, self.schema, self.moment, zone=self.zone)
        return reading, matrix, score(matrix, self.schema, self.model)


@dataclass(frozen=True)
class DemoPatient:
    """One patient that was found.

    Attributes
    ----------
    name
        Level and number, `high-1`; the files' names begin with it.
    content
        File kind (`FILES`) → what it holds.
    """

    name: str
    result: PatientResult
    content: dict[str, Resource]


def find(paths: Sequence[Path], look: Look, *, per_level: int = 1, minimal: bool = False) -> list[DemoPatient]:
    """Find patients of each level and make their files' content; fewer of a level where there are no more.

    Parameters
    ----------
    paths
        FHIR files and folders; they are read twice, so that only the chosen patients' resources are held.
    minimal
        Only the resources whose values were used, and not all that hold a value of the schema's features.

    Raises
    ------
    DataFileError
        As `contents`; and where there is no Patient.
    ResultError
        Where what would be written does not score as the patient does.
    """
    reading, matrix, results = look.at(contents(list(paths)))
    if not reading.records:
        raise DataFileError("the files hold no Patient: add the file with the Patients (MimicPatient.ndjson.gz)")
    chosen = {f"{level.value}-{n}": one for level in LEVELS for n, one in enumerate(_of(level, results)[:per_level], 1)}
    rows = (matrix.basis if minimal else reading.observations)[["patient_id", "feature", "source"]]
    sources: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for who, feature, source in rows.drop_duplicates().itertuples(index=False):
        sources[who][feature].append(source)
    wanted = {one.patient_id for one in chosen.values()}
    held = _resources(paths, {source for who in wanted for some in sources[who].values() for source in some}, wanted)
    return [_made(name, one, sources[one.patient_id], held, look) for name, one in chosen.items()]


def _of(level: RiskLevel, results: list[PatientResult]) -> list[PatientResult]:
    """Return the patients of a level, the clearest and most complete first."""
    mine = [one for one in results if one.outcome is Outcome.SCORED and one.risk_level is level]
    probabilities = sorted(one.probability or 0.0 for one in mine)
    clear = {
        RiskLevel.HIGH: 1.0,
        RiskLevel.MODERATE: probabilities[len(mine) // 2] if mine else 0.0,
        RiskLevel.LOW: 0.0,
    }[level]
    return sorted(mine, key=lambda one: (len(one.imputed), abs((one.probability or 0.0) - clear), one.patient_id))


def _resources(paths: Sequence[Path], sources: set[str], patients: set[str]) -> dict[str, Resource]:
    """Read the files again and hold what is wanted, by `Type/id` with the version where it is known."""
    held: dict[str, Resource] = {}
    for content in contents(list(paths)):
        for _, resource in unwrap(content, Counter()):
            source = reference(resource)
            mine = resource.get("resourceType") == "Patient" and resource.get("id") in patients
            if mine or source in sources:
                held[f"Patient/{resource['id']}" if mine else source] = resource
    return held


def _made(
    name: str, result: PatientResult, sources: dict[str, list[str]], held: dict[str, Resource], look: Look
) -> DemoPatient:
    patient = held.get(f"Patient/{result.patient_id}")
    if patient is None or any(not source for some in sources.values() for source in some):
        raise DataFileError(f"Patient/{result.patient_id}: it or a value of it has no id: its files cannot be made")
    by_feature = {
        feature: [held[source] for source in sorted(sources[feature]) if source in held and held[source] is not patient]
        for feature in look.schema.feature_names
        if feature in sources
    }
    once = {id(one): one for some in by_feature.values() for one in some}
    made = {"prefetch": prefetch(patient, by_feature), "transaction": transaction(patient, once.values())}
    for kind, content in made.items():
        (again,) = look.at([orjson.loads(orjson.dumps(content))])[2]
        if _said(again) != _said(result):
            raise ResultError(
                f"Patient/{result.patient_id}: its {kind} does not score as the patient does, so it is not written"
            )
    return DemoPatient(name, result, made)


def _said(result: PatientResult) -> tuple[Any, ...]:
    inputs = [(one.feature, one.value, one.imputed) for one in result.inputs]
    return result.probability, result.risk_level, result.prediction_time, inputs


def write(patients: Iterable[DemoPatient], folder: Path) -> list[Path]:
    """Write each patient's files as NAME.prefetch.json and NAME.transaction.json, in place of older ones.

    Raises
    ------
    DataFileError
        Where a file cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for patient in patients:
            for kind in FILES:
                path = folder / f"{patient.name}.{kind}.json"
                path.write_bytes(orjson.dumps(patient.content[kind], option=orjson.OPT_INDENT_2) + b"\n")
                written.append(path)
    except OSError as error:
        raise DataFileError(f"{folder}: the files cannot be written: {error.strerror or error}") from None
    return written


def upload(client: FhirClient, patient: DemoPatient) -> list[Answer]:
    """Load a patient's transaction; return an answer for each entry, the Patient's first: 201 created, 200 there already.

    Raises
    ------
    FhirFatalError, TemporaryError
        Where the server refuses an entry, or keeps failing; what it took before stays, and a repeat does not double it.
    """
    answers: list[Answer] = []
    for bundle in parts(patient.content["transaction"]):
        some = client.transact(bundle)
        for entry, answer in zip(bundle["entry"], some, strict=True):
            if isinstance(answer.error, TemporaryError):
                raise answer.error
            if answer.error is not None:
                kind = entry["resource"]["resourceType"]
                raise FhirFatalError(
                    f"{patient.name}: the server refused a resource of type {kind} (HTTP {answer.status}): does it take "
                    "transactions with conditional creates?",
                    status=answer.status,
                ) from answer.error
        answers += some[1:] if answers else some  # each part begins with the Patient
    if answers[0].location is None:
        raise FatalError(f"{patient.name}: the server does not tell the id of the Patient it created")
    return answers
