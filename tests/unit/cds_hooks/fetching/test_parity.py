"""CH-28, CH-55: whatever part of the data was sent, exactly the rest is fetched, and the score is the same bit for bit."""

import itertools
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from tests.charts import (
    BASE,
    MEDIANS,
    ROOT,
    SICK,
    WEIGHTS,
    WELL,
    T,
    chart,
    observation,
    patient,
    result,
    rule_bundle,
    sepsis,
)
from tests.unit.cds_hooks.fetching.conftest import Authorization, Call, MakeFetcher

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.server import SandboxServer
from screening.fhir_client.auth import BearerAuth
from screening.fhir_client.client import FhirClient
from screening.fhir_client.settings import ClientSettings
from screening.outcome import PatientResult
from screening.queries import queries
from screening.schema import Schema, parse_schema

TOKEN = "s4ndboxT0ken"
# Eight keys: two more features of one code, so that an Observation may come by several searches.
MORE = """
  heart_rate_max: {fhir_resource: Observation, code: 8867-4, code_system: "http://loinc.org", unit: /min, range: [1, 300], aggregate: max}
"""  # noqa: E501


def schema() -> Schema:
    return parse_schema((ROOT / "include/schemas/sepsis.yaml").read_text() + MORE)


SCHEMA = schema()
KEYS = ("patient", *(feature.name for feature in SCHEMA.of("Observation")))
# A search's page may cut the chart anywhere: more values than a page holds, outside the window, and of somebody else.
RECORD = {
    who: [
        *chart(who, values),
        *(observation("heart_rate", 70.0 + 0.7 * n, who=who, hours=1 + n / 7) for n in range(30)),
        observation("lactate", 9.9, who=who, hours=30),
        observation("wbc", 99.0, who=who, hours=-1),
    ]
    for who, values in (("p", SICK), ("q", WELL), ("r", {"heart_rate": 80.1}))
}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(behaviour=Behaviour(bearer_token=TOKEN, default_count=10, max_count=10)) as sandbox:
        for resources in RECORD.values():
            sandbox.load(resources)
        yield sandbox


def sent(who: str) -> dict[str, Any]:
    """The whole prefetch of a patient, as an EHR would make it."""
    everything = RECORD[who]
    found: dict[str, Any] = {"patient": everything[0]}
    for feature in SCHEMA.of("Observation"):
        codes = {(one.system, one.code) for one in feature.codes}
        mine = [
            one
            for one in everything[1:]
            for coding in one["code"]["coding"]
            if (coding["system"], coding["code"]) in codes
        ]
        found[feature.name] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": one} for one in mine],
        }
    return found


def answer(contents: tuple[Any, ...], who: str) -> PatientResult:
    return result(list(contents), rule_bundle(medians=MEDIANS), schema=SCHEMA, cohort=[who], base_url=BASE)


def bits(result: PatientResult) -> bytes:
    return b"" if result.probability is None else struct.pack("<d", result.probability)


def without_versions(result: PatientResult) -> tuple[str, ...]:
    return tuple(source.split("/_history/")[0] for source in result.basis)


CHOICES = [("p", given) for given in ((), KEYS, KEYS[:6], KEYS[2:], KEYS[::2], ("lactate",), KEYS[1:])]
CHOICES += [(who, given) for who in ("q", "r") for given in ((), KEYS[:4])]


@pytest.mark.parametrize(("who", "given"), CHOICES, ids=[f"{who}, {len(given)} sent" for who, given in CHOICES])
def test_ch28_ch55_the_rest_is_fetched_and_the_score_is_the_same(
    server: SandboxServer, make_fetcher: MakeFetcher, who: str, given: tuple[str, ...]
) -> None:
    whole = sent(who)
    expected = answer(tuple(whole.values()), who)
    call = Call(server.base_url, Authorization(TOKEN), patient_id=who)
    missing = [key for key in KEYS if key not in given]
    fetched = make_fetcher(server.base_url).fetch(call, SCHEMA, missing, who, T)
    assert fetched.unobtained == fetched.problems == {}
    found = answer((*(whole[key] for key in given), *fetched.contents), who)
    assert found.outcome is expected.outcome
    assert bits(found) == bits(expected)
    assert found.risk_level is expected.risk_level
    assert without_versions(found) == without_versions(expected)


def test_ch55_six_of_eight_keys_sent_are_exactly_two_requests(make_fetcher: MakeFetcher) -> None:
    assert len(KEYS) == 8
    with SandboxServer() as sandbox:
        sandbox.load(RECORD["q"])
        fetcher = make_fetcher(sandbox.base_url)
        for missing in itertools.combinations(KEYS, 2):
            sandbox.stats.reset()
            fetched = fetcher.fetch(Call(sandbox.base_url), SCHEMA, missing, "q", T)
            assert fetched.unobtained == {}
            assert sum(sandbox.stats.to_json()["requests"].values()) == 2


def test_ch55_what_is_fetched_is_what_the_batch_reads(server: SandboxServer, make_fetcher: MakeFetcher) -> None:
    call = Call(server.base_url, Authorization(TOKEN), patient_id="p")
    fetched = make_fetcher(server.base_url).fetch(call, SCHEMA, KEYS, "p", T)
    with FhirClient(ClientSettings(server.base_url), BearerAuth(TOKEN)) as client:
        batch = tuple(found.resources for found in client.get_each(queries(SCHEMA, "p", T)))
    assert answer(fetched.contents, "p") == answer(batch, "p")
    assert answer(batch, "p").probability is not None


def test_ch29_a_key_of_null_is_not_fetched_and_is_no_data(server: SandboxServer, make_fetcher: MakeFetcher) -> None:
    call = Call(server.base_url, Authorization(TOKEN), patient_id="p")
    missing = [key for key in KEYS if key not in ("lactate", "wbc")]  # sent as null and as an empty Bundle
    fetched = make_fetcher(server.base_url).fetch(call, SCHEMA, missing, "p", T)
    found = answer((None, {"resourceType": "Bundle", "type": "searchset", "total": 0}, *fetched.contents), "p")
    assert {one.feature for one in found.inputs if one.count} == {*WEIGHTS} - {
        "lactate",
        "wbc",
        "age",
        "gender_encoded",
    }


def test_the_record_holds_what_this_is_about() -> None:
    assert patient("p") == RECORD["p"][0]
    assert answer(tuple(sent("p").values()), "p").probability != answer(tuple(sent("q").values()), "q").probability
    assert answer(tuple(sent("r").values()), "r").probability is None
    assert sepsis().feature_names == SCHEMA.feature_names[:-1]
