import copy

import pytest

from fhir_sandbox.references import check_and_rewrite, target
from fhir_sandbox.refusals import Refusal

URN = "urn:uuid:6f1c0e5e-0000-4000-8000-000000000001"
KNOWN = {URN: "Patient/77", "http://elsewhere/Patient/1": "Patient/78"}


def test_a_bundles_own_names_are_rewritten_wherever_they_link():
    resource = {
        "resourceType": "Provenance",
        "target": [{"reference": URN}],
        "contained": [{"resourceType": "Group", "member": [{"entity": {"reference": "http://elsewhere/Patient/1"}}]}],
        "policy": [URN],
        "extension": [{"url": "x", "valueUri": URN}],
        "text": {"status": "generated", "div": f'<div><a href="{URN}">him</a><img src="{URN}"/>{URN}</div>'},
    }
    check_and_rewrite(resource, KNOWN, complete=True)
    assert resource["target"] == [{"reference": "Patient/77"}]
    assert resource["contained"][0]["member"][0]["entity"]["reference"] == "Patient/78"
    assert resource["policy"] == ["Patient/77"]
    assert resource["extension"][0]["valueUri"] == "Patient/77"
    assert resource["text"]["div"] == f'<div><a href="Patient/77">him</a><img src="Patient/77"/>{URN}</div>'


def test_an_identifier_is_no_link():
    resource = {"resourceType": "Patient", "identifier": [{"system": "urn:ietf:rfc:3986", "value": URN}]}
    before = copy.deepcopy(resource)
    check_and_rewrite(resource, KNOWN)
    assert resource == before


@pytest.mark.parametrize(
    "reference",
    ["Patient/1", "Patient/1/_history/2", "#inside", "#", "urn:oid:1.2.3", URN, "https://h/fhir/Patient/1"],
)
def test_a_reference_of_fhir_is_accepted_as_it_is(reference):
    resource = {"subject": {"reference": reference}}
    check_and_rewrite(resource, {})
    assert resource == {"subject": {"reference": reference}}


@pytest.mark.parametrize(
    "reference",
    ["", "Patient", "Patient/", "Patient/a b", "patient/1", "Patient?identifier=s|1", "Patient/1/_history/", 7, None,
     "Patient/" + "x" * 65, "mailto:a@b"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(reference):
    with pytest.raises(Refusal) as refused:
        check_and_rewrite({"a": [{"subject": {"reference": reference}}]}, {})
    assert refused.value.status == 400


def test_a_urn_that_names_no_entry_is_refused_only_where_the_bundle_must_be_complete():
    resource = {"subject": {"reference": "urn:uuid:unknown"}}
    check_and_rewrite(resource, KNOWN)
    with pytest.raises(Refusal, match="names no entry"):
        check_and_rewrite(resource, KNOWN, complete=True)


def test_a_resource_nested_too_deeply_is_refused():
    resource: dict[str, object] = {}
    for _ in range(5000):
        resource = {"extension": [resource]}
    with pytest.raises(Refusal, match="nested"):
        check_and_rewrite(resource, {})


@pytest.mark.parametrize(
    ("reference", "indexed"),
    [
        ("Patient/1", "Patient/1"),
        ("Patient/1/_history/2", "Patient/1"),
        ("http://here/fhir/Patient/1/_history/2", "Patient/1"),
        ("http://there/fhir/Patient/1", "http://there/fhir/Patient/1"),
        ("http://here/fhirish/Patient/1", "http://here/fhirish/Patient/1"),
    ],
)
def test_a_reference_on_this_server_is_indexed_as_type_and_id(reference, indexed):
    assert target(reference, "http://here/fhir") == indexed
