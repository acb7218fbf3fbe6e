"""Whatever JSON a server sends, fetching returns: each key is fetched or told, and nothing is called but the server."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.charts import T, observation, sepsis
from tests.unit.cds_hooks.fetching.conftest import Call
from tests.unit.fhir_client.stub_server import Out, Stub, searchset

from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.settings import Settings
from screening.readers.fhir import read

KEYS = ("patient", "heart_rate")
NAMES = ["resourceType", "id", "type", "entry", "resource", "search", "mode", "link", "relation", "url", "total", "issue",
         "severity", "code", "meta", "subject", "fullUrl"]  # fmt: skip
TAILS = ["/../x", "//x", "@x", ":0", "\\x", "?é", "#x", "/[", "/%zz", "\x7f", "/ü"]
WORDS = [
    "Bundle",
    "Patient",
    "Observation",
    "OperationOutcome",
    "searchset",
    "next",
    "outcome",
    "match",
    "error",
    "p",
    "",
]
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=9)
VALUES = st.recursive(
    PLAIN | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Stub, Fetcher]]:
    stub = Stub()
    fetcher = Fetcher(Settings(auth="off", fetch_seconds=5), [(None, stub.base)])
    yield stub, fetcher
    fetcher.close()
    stub.close()


def check(server: tuple[Stub, Fetcher], body: bytes) -> None:
    stub, fetcher = server
    stub.route = lambda call: Out(200, body, {"Content-Type": "application/json"})
    fetched = fetcher.fetch(Call(stub.base), sepsis(), KEYS, "p", T)
    assert len(fetched.contents) + len(fetched.unobtained) == len(KEYS)
    read(fetched.contents, sepsis(), patient_ids=["p"])
    for one in threading.enumerate():
        if one.name.startswith("fhir-bounded"):
            one.join(2)
            assert not one.is_alive()


@given(changed=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
@settings(max_examples=60)
def test_any_change_to_a_searchset(server: tuple[Stub, Fetcher], changed: dict[str, Any]) -> None:
    check(server, json.dumps(searchset([observation()]) | changed).encode())


@given(value=VALUES)
@settings(max_examples=40)
def test_any_json(server: tuple[Stub, Fetcher], value: Any) -> None:
    check(server, json.dumps(value).encode())


@given(body=st.binary(max_size=200))
@settings(max_examples=40)
def test_any_bytes(server: tuple[Stub, Fetcher], body: bytes) -> None:
    check(server, body)


@given(tail=st.text(max_size=20) | st.sampled_from(TAILS), base=st.booleans())
@settings(max_examples=80)
def test_ch52_any_next_link(server: tuple[Stub, Fetcher], tail: str, base: bool) -> None:
    stub, _ = server
    check(server, json.dumps(searchset([observation()], (stub.base if base else "") + tail)).encode())
