"""Discovery lists every screen for every hook, in the words of CDS Hooks 2.0.1, and nothing empty."""

import re
from typing import Any

import pytest
from tests.charts import heart_rate_schema, sepsis

from cds_hooks.discovery import NOT_A_DEVICE, discovery, service_id, title
from cds_hooks.prefetch_templates import templates
from cds_hooks.settings import Settings
from screening.schema import Schema


def listed(*schemas: Schema, **settings: Any) -> list[dict[str, Any]]:
    found = discovery([(service_id(one), one) for one in schemas], Settings(auth="off", **settings))
    assert list(found) == ["services"]
    return list(found["services"])


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict | list) and value:
        return [leaf for part in (value.values() if isinstance(value, dict) else value) for leaf in leaves(part)]
    return [value]


def renamed(name: str, **more: Any) -> Schema:
    return heart_rate_schema().model_copy(update={"name": name, **more})


def test_ch01_ch02_a_service_has_its_members() -> None:
    assert listed(sepsis()) == [
        {
            "hook": "patient-view",
            "id": "sepsis-risk",
            "title": "Sepsis risk",
            "description": "Risk of a coded sepsis diagnosis, from the first look at vitals and labs of one day. "
            "Research software, not a medical device.",
            "prefetch": templates(sepsis()),
            "usageRequirements": "Keys of the prefetch that are not sent are fetched from fhirServer, where the service "
            "knows that server: this needs fhirAuthorization with read access to Patient, Observation.",
            "version": "1.0.0",
        }
    ]


def test_ch03_no_screen_is_an_empty_list() -> None:
    assert listed() == []


def test_ch04_f27_a_service_is_listed_for_every_hook_under_one_id_and_no_other_is_lost() -> None:
    found = listed(sepsis(), renamed("acute_kidney_injury"), hooks=("patient-view", "encounter-start"))
    assert [(one["id"], one["hook"]) for one in found] == [
        ("sepsis-risk", "patient-view"), ("sepsis-risk", "encounter-start"),
        ("acute-kidney-injury-risk", "patient-view"), ("acute-kidney-injury-risk", "encounter-start"),
    ]  # fmt: skip
    assert found[0] | {"hook": "encounter-start"} == found[1]


@pytest.mark.parametrize("fetch_from", ["ehr", "own", "nowhere"])
def test_ch48_nothing_is_null_or_empty_and_all_is_text(fetch_from: str) -> None:
    conn = {"fhir_conn": "{}"} if fetch_from == "own" else {}
    found = listed(sepsis(), renamed("x", description=" "), fetch_from=fetch_from, **conn)
    assert all(isinstance(leaf, str) and leaf.strip() for leaf in leaves(found))
    assert all(NOT_A_DEVICE in one["description"] for one in found)


def test_ch02_what_is_said_of_fetching_is_what_is_set() -> None:
    said = [
        listed(sepsis(), fetch_from=one, fhir_conn="{}")[0]["usageRequirements"] for one in ("ehr", "own", "nowhere")
    ]
    assert [words in text for words, text in zip(("fhirServer", "itself", "not fetched"), said, strict=True)] == [
        True
    ] * 3
    assert len(set(said)) == 3


@pytest.mark.parametrize(("version", "told"), [
    ("1.0.0", "1.0.0"), ("1.0", "1.0.0"), ("2", "2.0.0"), ("1.0.0-rc.1+b2", "1.0.0-rc.1+b2"), ("0.1", "0.1.0"),
    ("v1", None), ("1.0.0.0", None), ("01.0", None), ("2026-03", None), ("1.", None), ("1.0\n", None), ("١.0", None),
])  # fmt: skip
def test_ch02_a_version_is_semver_or_left_out(version: str, told: str | None) -> None:
    assert listed(renamed("x", version=version))[0].get("version") == told


@pytest.mark.parametrize(("name", "identity", "words"), [
    ("sepsis", "sepsis-risk", "Sepsis risk"), ("AKI_48h", "AKI-48h-risk", "AKI 48h risk"),
    ("a__b_", "a--b--risk", "A b risk"),
])  # fmt: skip
def test_a_screens_id_and_title(name: str, identity: str, words: str) -> None:
    assert service_id(renamed(name)) == identity
    assert title(renamed(name)) == words
    assert re.fullmatch(r"[A-Za-z0-9-]+", identity)  # stands in a URL as it is


def test_ch07_today_is_asked_for_only_where_set_and_never_of_records_of_the_past() -> None:
    assert "today" not in str(listed(sepsis()))
    assert listed(sepsis(), prefetch_today=True)[0]["prefetch"] == templates(sepsis(), today=True)
