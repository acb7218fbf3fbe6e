"""P5: 350 Observations over four pages give the vector of one page."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.charts import SICK, T, bundle, observation, patient

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening import stages, staging
from screening.features import featurize
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.model.bundle import ModelBundle
from screening.observations import Reading
from screening.readers.fhir import read
from screening.schema import Schema
from screening.scoring import score

COUNT, PAGE = 350, 100


@pytest.fixture(scope="module")
def readings() -> list[dict[str, Any]]:
    """Return the Observations of a day; thirds and sevenths, whose sum depends on the order of adding."""
    names = list(SICK)
    found = []
    for number in range(COUNT):
        name = names[number % len(names)]
        value = SICK[name] * (1 + (number % 7) / 70 - number % 3 / 90)
        found.append(observation(name, value, hours=23.5 * number / COUNT, id=f"o{number}"))
    return found


def vector(reading: Reading, schema: Schema) -> bytes:
    matrix = featurize(reading, schema, T)
    assert matrix.cells["count"].sum() == COUNT
    return bytes(matrix.rows[list(schema.feature_names)].to_numpy("float64").tobytes())


def pages(readings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [bundle(*readings[start : start + PAGE]) for start in range(0, COUNT, PAGE)]


def test_p5_the_sum_depends_on_the_order(readings: list[dict[str, Any]]) -> None:
    """Else the tests below could not fail."""
    rates = np.array([one["valueQuantity"]["value"] for one in readings[:: len(SICK)]])
    assert len({float(np.add.accumulate(np.roll(rates, turn))[-1]) for turn in range(len(rates))}) > 1


def test_p5_pages_in_any_order_are_read_as_one(readings: list[dict[str, Any]], schema: Schema) -> None:
    one = vector(read([patient(), bundle(*readings)], schema), schema)
    assert len(pages(readings)) == 4
    for order in permutations(pages(readings)):
        assert vector(read([*order, patient()], schema), schema) == one


def test_p5_pages_of_a_server_are_read_as_one(
    readings: list[dict[str, Any]], schema: Schema, model: ModelBundle, tmp_path: Path
) -> None:
    one = vector(read([patient(), bundle(*readings)], schema), schema)
    direct = score(featurize(read([patient(), bundle(*readings)], schema), schema, T), schema, model)
    with SandboxServer(behaviour=Behaviour(max_count=PAGE)) as server:
        server.load([patient(), *readings])
        with FhirClient(ClientSettings(base_url=server.base_url)) as client:
            assert len(list(client.search_pages("Observation", [("patient", "p")]))) == 4
            stages.fetch(client, schema, ["p"], T, tmp_path, base_url=server.base_url)
    stages.featurize(tmp_path, schema, ["p"], T)
    stages.predict(tmp_path, schema, model)
    assert vector(staging.load_reading(tmp_path), schema) == one
    assert [result.probability for result in staging.load_results(tmp_path)] == [direct[0].probability]
    assert direct[0].probability is not None
