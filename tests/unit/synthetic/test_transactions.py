import copy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from screening.errors import FatalError, ResultError
from screening.synthetic import Dirt, Hospital, fhir_resources, fhir_transaction, fhir_transactions
from screening.synthetic.ids import SYNTHETIC_ID

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOSPITAL = Hospital(12, 5, NOW, Dirt(foreign_focus=0.1), vitals_per_day=4)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def everything() -> list[dict[str, Any]]:
    return [resource for patient in HOSPITAL.patients() for resource in fhir_resources(patient, "loinc")]


def test_client_ids_are_put_as_they_are() -> None:
    resources = everything()
    bundle = fhir_transaction(resources)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    assert [entry["resource"] for entry in bundle["entry"]] == resources
    for entry in bundle["entry"]:
        resource = entry["resource"]
        assert entry["request"] == {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}


def test_server_ids_are_posted_once_and_wired_by_urn() -> None:
    resources = everything()
    before = copy.deepcopy(resources)
    bundle = fhir_transaction(resources, "server")
    urls = Counter(entry["fullUrl"] for entry in bundle["entry"])
    assert set(urls.values()) == {1}
    for entry, original in zip(bundle["entry"], resources, strict=True):
        own = {"system": SYNTHETIC_ID, "value": original["id"]}
        assert "id" not in entry["resource"]
        assert own in entry["resource"]["identifier"]
        assert entry["request"] == {
            "method": "POST",
            "url": original["resourceType"],
            "ifNoneExist": f"identifier={SYNTHETIC_ID}|{original['id']}",
        }
        assert set(references(entry["resource"])) <= set(urls) | {"#unborn"}
    assert resources == before


def test_server_ids_keep_who_belongs_to_whom() -> None:
    resources = everything()
    entries = fhir_transaction(resources, "server")["entry"]
    names = {entry["fullUrl"]: f"{r['resourceType']}/{r['id']}" for entry, r in zip(entries, resources, strict=True)}
    for entry, original in zip(entries, resources, strict=True):
        back = [names.get(target, target) for target in references(entry["resource"])]
        assert back == list(references(original))
    assert any("#unborn" in list(references(resource)) for resource in resources)


def test_both_are_valid_bundles() -> None:
    resources = fhir_resources(HOSPITAL.patient(0), "mimic")[:20]
    for ids in ("client", "server"):
        Bundle.model_validate_json(json.dumps(fhir_transaction(resources, ids)))


def test_a_stranger_is_refused() -> None:
    resources = fhir_resources(HOSPITAL.patient(0), "loinc")
    with pytest.raises(ResultError, match="Patient/"):
        fhir_transaction(resources[1:], "server")
    with pytest.raises(FatalError):
        fhir_transaction(resources, "nobody")  # type: ignore[arg-type]


def test_what_an_earlier_bundle_loaded_is_found_by_its_identifier() -> None:
    patient, *rest = fhir_resources(HOSPITAL.patient(0), "loinc")
    bundle = fhir_transaction(rest, "server", elsewhere=[patient])
    encounter = bundle["entry"][0]["resource"]
    assert encounter["subject"]["reference"] == f"Patient?identifier={SYNTHETIC_ID}|{patient['id']}"


@pytest.mark.parametrize("ids", ["client", "server"])
def test_bundles_are_full_and_split_no_patient(ids: Any) -> None:
    bundles = list(fhir_transactions(HOSPITAL, "loinc", entries=400, ids=ids))
    sizes = [len(bundle["entry"]) for bundle in bundles]
    assert sum(sizes) == len(everything())
    assert max(sizes) <= 400
    assert len(sizes) < 12
    for bundle in bundles:
        assert bundle["entry"][0]["resource"]["resourceType"] == "Patient"


@pytest.mark.parametrize("ids", ["client", "server"])
def test_a_patient_over_the_limit_is_split_in_order(ids: Any) -> None:
    bundles = list(fhir_transactions(HOSPITAL, "loinc", entries=30, ids=ids))
    assert sum(len(bundle["entry"]) for bundle in bundles) == len(everything())
    known: set[str] = set()
    for bundle in bundles:
        assert len(bundle["entry"]) <= 30
        known |= {entry["fullUrl"] if ids == "server" else entry["request"]["url"] for entry in bundle["entry"]}
        known |= {
            f"{entry['request']['url']}?{entry['request']['ifNoneExist']}"
            for entry in bundle["entry"]
            if ids == "server"
        }
        for entry in bundle["entry"]:
            assert set(references(entry["resource"])) <= known | {"#unborn"}


def test_named_patients_can_be_loaded_too() -> None:
    (bundle,) = fhir_transactions(HOSPITAL.named(), "mimic", entries=1000)
    ids = {entry["resource"]["id"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Patient"}
    assert ids == {"demo-high", "demo-moderate", "demo-low"}


def test_too_small_a_limit_is_refused() -> None:
    with pytest.raises(FatalError, match="10"):
        next(fhir_transactions(HOSPITAL, "loinc", entries=9))
