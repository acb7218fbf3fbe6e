"""The four stages of a batch: fetch, featurize, predict, write. What an operator calls, and what `score` does in one go.

A patient that cannot be read or written is `failed` with a reason and costs nobody else; a server that is down raises
`TemporaryError`, so that the caller can repeat the stage. Every stage may be repeated: it overwrites its own files, and
writing is conditional on an identifier.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from screening import staging
from screening.errors import FhirFatalError, ResultError, TemporaryError
from screening.features import PredictionTime
from screening.features import featurize as compute
from screening.fhir_client.client import FhirClient
from screening.fhir_client.exchange import Answer
from screening.model.bundle import ModelBundle
from screening.observations import Drop, Reading
from screening.outcome import Outcome, PatientResult
from screening.patient_records import PatientRecord, patient_table
from screening.queries import queries
from screening.readers.fhir import FhirReader
from screening.results import checks, risk_assessment
from screening.results.identity import search_by_identifier
from screening.results.risk_assessment import AssessmentContext
from screening.results.summary import Line
from screening.schema import Schema
from screening.scoring import score

log = logging.getLogger(__name__)


def fetch(
    client: FhirClient,
    schema: Schema,
    patient_ids: Sequence[str],
    prediction_time: datetime | None,
    folder: staging.Folder,
    *,
    base_url: str,
    zone: tzinfo | None = None,
    tolerate: bool = False,
) -> Counter[str]:
    """Ask the server for a batch of patients and write their observations table.

    Parameters
    ----------
    prediction_time
        None asks for all times (mode `latest`).
    tolerate
        Count a patient whose requests failed temporarily as failed (a last try), instead of raising.

    Returns
    -------
    Counter
        `patients`, `values`, `dropped`, `unreadable`: for the log.

    Raises
    ------
    TemporaryError
        The server is down, or kept failing for some patient, and `tolerate` is off.
    """
    asked = [(patient_id, url) for patient_id in patient_ids for url in queries(schema, patient_id, prediction_time)]
    answers = client.get_each([url for _, url in asked])
    by_patient: dict[str, list[Answer]] = {}
    for (patient_id, _), answer in zip(asked, answers, strict=True):
        by_patient.setdefault(patient_id, []).append(answer)
    problems = {patient_id: _problem(patient_id, mine, tolerate) for patient_id, mine in by_patient.items()}
    unread = [
        PatientRecord(patient_id, problem=problem, source=f"Patient/{patient_id}")
        for patient_id, problem in problems.items()
        if problem
    ]
    # Who cannot be read has no data, not even what comes unasked with another patient's answer.
    readable = frozenset(patient_id for patient_id, problem in problems.items() if problem is None)
    reader = FhirReader(schema, readable, base_url, zone)
    for patient_id in by_patient:
        if patient_id in readable:
            for answer in by_patient[patient_id]:
                reader.add(answer.resources)
    reading = reader.reading()
    whole = Reading(reading.observations, _joined(reading, unread), reading.drops)
    staging.save_reading(folder, whole)
    return Counter(
        patients=len(by_patient), values=len(whole.observations), dropped=whole.drops.total(), unreadable=len(unread)
    )


def _problem(patient_id: str, answers: list[Answer], tolerate: bool) -> str | None:
    """Return why a patient cannot be read; "" for one that does not exist; None where all is well."""
    first = answers[0]
    if first.status == 404:
        return ""
    for answer in answers:
        if isinstance(answer.error, TemporaryError) and not tolerate:
            raise answer.error
        if answer.error is not None:
            return "deleted on the server (410)" if answer.status == 410 else _reason(answer)
    found = first.resources[0] if first.resources else {}
    if found.get("resourceType") != "Patient" or found.get("id") != patient_id:
        return "the server answered the read of the Patient with something else"
    return None


def _reason(answer: Answer) -> str:
    if isinstance(answer.error, TemporaryError):
        return f"a request kept failing{f' with HTTP {answer.status}' if answer.status else ''}"
    return str(answer.error)  # the client's words say what was refused and what to do; they hold a path and no query


def _joined(reading: Reading, unread: list[PatientRecord]) -> Any:
    import pandas as pd

    return pd.concat([reading.patients, patient_table(unread)], ignore_index=True) if unread else reading.patients


def featurize(
    folder: staging.Folder,
    schema: Schema,
    patient_ids: Sequence[str],
    prediction_time: PredictionTime,
    *,
    zone: tzinfo | None = None,
) -> Counter[str]:
    """Turn the batch's observations table into its feature matrix; returns `patients` and `dropped` for the log."""
    matrix = compute(staging.load_reading(folder), schema, prediction_time, patient_ids=list(patient_ids), zone=zone)
    staging.save_matrix(folder, matrix)
    return Counter(patients=len(matrix.rows), dropped=matrix.drops.total())


def predict(folder: staging.Folder, schema: Schema, bundle: ModelBundle) -> Counter[str]:
    """Score the batch's feature matrix; returns how many patients had each outcome."""
    results = score(staging.load_matrix(folder), schema, bundle)
    staging.save_results(folder, results)
    return Counter(one.outcome.value for one in results)


def write(
    client: FhirClient | None, folder: staging.Folder, context: AssessmentContext, *, tolerate: bool = False
) -> tuple[list[Line], Counter[Drop]]:
    """Write one RiskAssessment for each scored patient of the batch; return every patient's line, and the drops.

    Conditional on the identifier: a repeat finds what is there (`unchanged`), and mends it where the data changed since
    (`amended`).

    Parameters
    ----------
    client
        None writes nothing (dry run) and builds and checks all the same.
    tolerate
        See `fetch`.

    Raises
    ------
    TemporaryError
        The server is down or kept failing, and `tolerate` is off.
    """
    results = staging.load_results(folder)
    lines = {one.patient_id: _line(one) for one in results}
    built: list[tuple[str, dict[str, Any]]] = []
    for one in results:
        if one.outcome is Outcome.SCORED:
            try:
                resource = risk_assessment.build(one, context)
                checks.check(resource)
            except ResultError as error:
                lines[one.patient_id] = _failed(lines[one.patient_id], str(error))
            else:
                built.append((one.patient_id, resource))
    if client is None:
        for patient_id, _ in built:
            lines[patient_id] = replace(lines[patient_id], write="dry_run")
    else:
        keys = [search_by_identifier(resource) for _, resource in built]
        answers = client.create_each([resource for _, resource in built], keys)
        for (patient_id, resource), answer in zip(built, answers, strict=True):
            lines[patient_id] = _written(client, lines[patient_id], resource, answer, tolerate)
    return list(lines.values()), staging.load_matrix(folder).drops


def _line(one: PatientResult) -> Line:
    return Line(
        one.patient_id,
        one.outcome.value,
        one.detail,
        probability=one.probability,
        risk_level=one.risk_level.value if one.risk_level else None,
        imputed=one.imputed,
        prediction_time=one.prediction_time.isoformat() if one.prediction_time else None,
    )


def _failed(line: Line, reason: str) -> Line:
    return replace(line, outcome=Outcome.FAILED.value, detail=(reason,), probability=None, risk_level=None, imputed=())


def _written(client: FhirClient, line: Line, ours: dict[str, Any], answer: Answer, tolerate: bool) -> Line:
    how = "created"
    if answer.error is None and answer.status == 200:
        theirs = answer.resources[0]
        how = "unchanged"
        if not checks.same_content(ours, theirs):
            how = "amended"
            answer = _amend(client, ours, answer)
    if answer.error is not None:
        if isinstance(answer.error, TemporaryError) and not tolerate:
            raise answer.error
        reason = _reason(answer)
        log.warning("RiskAssessment of Patient/%s was not written: %s", line.patient_id, reason)
        return _failed(line, f"RiskAssessment not written: {reason}")
    return replace(line, resource=answer.location or f"RiskAssessment/{answer.resources[0]['id']}", write=how)


def _amend(client: FhirClient, ours: dict[str, Any], found: Answer) -> Answer:
    """Put the changed content in place of the version that was found.

    Not where theirs was retracted, nor where the server tells no version: then the patient is failed, with that reason.
    """
    try:
        resource = checks.superseded(ours, found.resources[0])
    except ResultError as error:
        return Answer(found.status, error=error)
    version = found.etag or found.resources[0].get("meta", {}).get("versionId")
    if not version:
        refusal = FhirFatalError("the server tells no version of its RiskAssessment: it cannot be amended safely")
        return Answer(found.status, error=refusal)
    return client.update(resource, if_match=version)
