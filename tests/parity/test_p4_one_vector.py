"""P4: screening, the library called with a Bundle at the point of care, and training give one vector and one probability."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from tests.parity.pairs import Pair

from fhir_sandbox.server import SandboxServer
from screening import stages, staging
from screening.features import featurize
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.bundle import ModelBundle
from screening.outcome import Outcome, PatientResult
from screening.readers.fhir import read
from screening.readers.mimic_tables import CsvTables
from screening.schema import Schema
from screening.scoring import score
from screening.synthetic import SyntheticPatient, fhir_resources
from screening.training.parity import mimic_matrix
from screening.training.plan import TrainingPlan
from screening.training.stays import all_stays

HOW_MANY = {Outcome.SCORED: 10, Outcome.INSUFFICIENT_DATA: 2}


class Look(NamedTuple):
    """One patient, looked at at one time: what training gave."""

    patient: SyntheticPatient
    moment: datetime
    vector: bytes
    result: PatientResult


@pytest.fixture(scope="module")
def looks(pair: Pair, schema: Schema, plan: TrainingPlan, model: ModelBundle) -> list[Look]:
    """Return the last stays of some patients as training sees them: ten that are scored and two that are not."""
    tables = CsvTables(pair.mimic)
    stays = all_stays(tables, schema, plan)
    matrix = mimic_matrix(tables, stays, schema, plan)
    results = {one.patient_id: one for one in score(matrix, schema, model)}
    rows = matrix.rows.set_index("patient_id")
    found: dict[Outcome, list[Look]] = {outcome: [] for outcome in HOW_MANY}
    for patient in pair.patients:
        stay = str(patient.stays[-1].stay_id)
        outcome = results[stay].outcome
        wanted = len(found.get(outcome, ())) < HOW_MANY.get(outcome, 0)
        if wanted and patient.anchor_year == patient.stays[0].registered.year:
            moment = rows.at[stay, "prediction_time"].to_pydatetime()
            found[outcome].append(Look(patient, moment, vector(rows.loc[[stay]], schema), results[stay]))
    return [look for some in found.values() for look in some]


def vector(rows: pd.DataFrame, schema: Schema) -> bytes:
    """Return a row's features as they lie in memory; every missing one as the same NaN."""
    values = rows[list(schema.feature_names)].to_numpy("float64")
    assert values.shape == (1, len(schema.feature_names))
    return bytes(np.where(np.isnan(values), np.nan, values).tobytes())


def told(result: PatientResult) -> tuple[Any, ...]:
    """Return what a result says, apart from who it is about and which resources it rests on."""
    inputs = [(one.feature, one.value, one.time, one.count, one.imputed) for one in result.inputs]
    return result.outcome, result.detail, result.probability, result.risk_level, result.contributions, inputs


def test_p4_there_are_scores_and_refusals_to_compare(looks: list[Look]) -> None:
    assert Counter(look.result.outcome for look in looks) == HOW_MANY
    assert len({look.result.probability for look in looks}) > 5
    assert any(len(look.patient.stays) > 1 for look in looks)


def test_p4_a_bundle_at_the_point_of_care(
    looks: list[Look], schema: Schema, plan: TrainingPlan, model: ModelBundle
) -> None:
    for look in looks:
        entries = [{"resource": one} for one in fhir_resources(look.patient, "mimic")]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
        matrix = featurize(read([bundle], schema, zone=plan.clock()), schema, look.moment, zone=plan.clock())
        assert vector(matrix.rows, schema) == look.vector
        assert told(score(matrix, schema, model)[0]) == told(look.result)


def test_p4_the_stages_of_screening(
    looks: list[Look], schema: Schema, plan: TrainingPlan, model: ModelBundle, tmp_path: Path
) -> None:
    with SandboxServer() as server, FhirClient(ClientSettings(base_url=server.base_url)) as client:
        server.load(resource for look in looks for resource in fhir_resources(look.patient, "mimic"))
        for number, look in enumerate(looks):
            folder, ids, zone = tmp_path / str(number), [look.patient.patient_id], plan.clock()
            stages.fetch(client, schema, ids, look.moment, folder, base_url=server.base_url, zone=zone)
            stages.featurize(folder, schema, ids, look.moment, zone=zone)
            stages.predict(folder, schema, model)
            assert vector(staging.load_matrix(folder).rows, schema) == look.vector
            assert told(staging.load_results(folder)[0]) == told(look.result)
