"""P4: what an EHR sends for the prefetch templates makes the row that the batch makes, or is called a part."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import pandas as pd
import pytest
from tests.parity.edges import cut, prefetched
from tests.unit.cds_hooks.hook_requests import hook_request
from werkzeug.test import Client

from cds_hooks.hook_request import parse
from cds_hooks.prefetch import Prefetch, sort_out
from cds_hooks.prefetch_templates import templates
from fhir_sandbox.app import create_app
from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.store import Store
from screening.features import FeatureMatrix, featurize
from screening.queries import queries
from screening.readers.fhir import read
from screening.schema import Schema
from screening.synthetic import Dirt, Hospital, fhir_resources

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DIRT = Dirt(missing_lactate=0.4, comparator=0.05, string_value=0.05, cancelled=0.05, entered_in_error=0.1)
SIZE = 16


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """Store patients of an invented hospital, as two kinds of servers write them; half of them are charted often."""
    store = Store()
    seldom, often = Hospital(SIZE // 2, 4, NOW, DIRT, 6.0), Hospital(SIZE // 2, 5, NOW, DIRT, 60.0)
    store.load(
        [one for person in seldom.patients() for one in fhir_resources(person, "loinc")], "http://localhost/fhir"
    )
    store.load([one for person in often.patients() for one in fhir_resources(person, "mimic")], "http://localhost/fhir")
    yield store
    store.close()


def server(store: Store, **behaviour: Any) -> Client:
    return create_app(store, Behaviour(**behaviour)).test_client()


def answer(ehr: Client, url: str) -> Any:
    response = ehr.get(f"/fhir/{url}")
    assert response.status_code == 200
    return orjson.loads(response.data)


def people(ehr: Client) -> list[str]:
    return [entry["resource"]["id"] for entry in answer(ehr, "Patient?_count=1000")["entry"]]


def batch(ehr: Client, schema: Schema, who: str) -> FeatureMatrix:
    contents = [answer(ehr, url + ("&_count=1000" if "?" in url else "")) for url in queries(schema, who, NOW)]
    assert not any(link["relation"] == "next" for one in contents for link in one.get("link", ()))
    return featurize(read(contents, schema, patient_ids=[who]), schema, NOW, patient_ids=[who])


def sorted_out(ehr: Client, schema: Schema, who: str) -> tuple[Prefetch, int]:
    """Return the prefetch as an EHR answers the templates, and how many pages of it had a next one."""
    sent = prefetched(partial(answer, ehr), templates(schema), who)
    body = orjson.dumps(hook_request(sent, context={"patientId": who}))
    request = parse(body, ("patient-view",), strict_instance=True)
    return sort_out(request, schema, prediction_time=NOW, require_patient_match=True), cut(sent)


def equal(one: FeatureMatrix, other: FeatureMatrix) -> bool:
    try:
        for a, b in ((one.rows, other.rows), (one.cells, other.cells), (one.basis, other.basis)):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(("page", "parts_expected", "others_expected"), [(1000, 0, 0), (60, 8, 0), (10, 15, 8)])
def test_ch55_p4_a_prefetch_is_the_batchs_row_or_is_called_a_part(
    store: Store, schema: Schema, page: int, parts_expected: int, others_expected: int
) -> None:
    generous, ehr = server(store), server(store, max_count=page, default_count=min(20, page))
    parts = others = pages_cut = 0
    for who in people(generous):
        found, cut_keys = sorted_out(ehr, schema, who)
        assert (found.problems, found.absent) == ({}, ())
        mine = featurize(read(found.contents, schema, patient_ids=[who]), schema, NOW, patient_ids=[who])
        same = equal(mine, batch(generous, schema, who))
        assert same or found.partial, who
        parts, others, pages_cut = parts + bool(found.partial), others + (not same), pages_cut + cut_keys
    assert (parts, others) == (parts_expected, others_expected)
    assert pages_cut > parts  # some were cut and are whole all the same
