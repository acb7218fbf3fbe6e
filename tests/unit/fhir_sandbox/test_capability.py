import orjson
import pytest

from fhir_sandbox.parameters import PARAMETERS


@pytest.fixture
def statement(make_fhir):
    """Give the CapabilityStatement under these switches, with its resources by type."""

    def read(**behaviour):
        response = make_fhir(**behaviour)("GET", "metadata")
        assert response.status_code == 200
        found = orjson.loads(response.get_data())
        (rest,) = found["rest"]
        return found, rest, {resource["type"]: resource for resource in rest["resource"]}

    return read


def codes(items):
    return [item["code"] for item in items]


def test_it_says_what_the_server_is(statement):
    found, rest, resources = statement()
    assert found["resourceType"] == "CapabilityStatement"
    assert (found["fhirVersion"], found["status"], found["kind"]) == ("4.0.1", "active", "instance")
    assert found["implementation"]["url"] == "http://localhost/fhir"
    assert codes(rest["interaction"]) == ["transaction", "batch"]
    assert "security" not in rest
    risk = resources["RiskAssessment"]
    assert set(codes(risk["interaction"])) == {
        "read", "vread", "update", "delete", "history-instance", "create", "search-type",
    }  # fmt: skip
    assert (risk["conditionalCreate"], risk["conditionalUpdate"], risk["updateCreate"]) == (True, True, True)
    assert {"DocumentReference", "Provenance", "Device", "Group"} <= set(resources)


def test_every_parameter_that_it_lists_is_one_that_a_search_accepts(fhir, statement):
    _, _, resources = statement()
    values = {"token": "x", "date": "2024", "reference": "x"}
    for resource_type, own in PARAMETERS.items():
        listed = {each["name"]: each["type"] for each in resources[resource_type]["searchParam"]}
        assert set(listed) == {"_id", "_lastUpdated", *own}
        for name, kind in listed.items():
            assert fhir("GET", f"{resource_type}?{name}={values[kind]}").status_code == 200


def test_it_follows_the_switches(statement):
    _, _, resources = statement(conditional_writes=False, client_ids="refused", risk_assessment=False)
    assert "RiskAssessment" not in resources
    observation = resources["Observation"]
    told = (observation["conditionalCreate"], observation["conditionalUpdate"], observation["updateCreate"])
    assert told == (False, False, False)


def test_it_lists_the_bundles_that_are_carried_out(statement):
    assert codes(statement(transactions="unsupported")[1]["interaction"]) == ["batch"]
    assert codes(statement(batch=False)[1]["interaction"]) == ["transaction"]
    assert "interaction" not in statement(batch=False, transactions="unsupported")[1]
    transaction, batch = statement(transactions="as_batch", batch_search=False)[1]["interaction"]
    assert "Not atomic" in transaction["documentation"]
    assert "No searches" in batch["documentation"]


def test_it_says_that_a_token_is_wanted(statement):
    assert "bearer token" in statement(bearer_token="t")[1]["security"]["description"]
