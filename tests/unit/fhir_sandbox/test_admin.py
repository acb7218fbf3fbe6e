import orjson
import pytest

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults


def body(response):
    assert response.headers["Content-Type"] == "application/json"
    return orjson.loads(response.get_data())


def test_every_kind_of_request_is_counted_by_its_name(fhir, risk):
    patient = {"resourceType": "Patient", "id": "p1"}
    fhir("PUT", "Patient/p1", patient)
    fhir("PUT", "Patient?identifier=x", {"resourceType": "Patient"})
    fhir("GET", "Patient/p1")
    fhir("GET", "Patient/p1/_history/1")
    fhir("GET", "Patient/p1/_history")
    fhir("GET", "Patient?gender=male")
    fhir("POST", "Patient/_search", b"", Content_Type="application/x-www-form-urlencoded")
    fhir("POST", "RiskAssessment", risk())
    fhir("POST", "RiskAssessment", risk(), If_None_Exist="identifier=r1")
    fhir("DELETE", "Patient/p1")
    fhir("GET", "metadata")
    fhir("GET", "Nonsense")
    fhir("POST", "Patient", b"{")
    entry = {"resource": risk(), "request": {"method": "POST", "url": "RiskAssessment", "ifNoneExist": "identifier=r1"}}
    search = {"request": {"method": "GET", "url": "Patient"}}
    fhir.bundle("batch", entry, search, search)
    fhir.bundle("transaction", {"request": {"method": "DELETE", "url": "RiskAssessment/x"}})
    stats = body(fhir("GET", "/_sandbox/stats"))
    assert stats["requests"] == {
        "PUT update": 1, "PUT conditional_update": 1, "GET read": 1, "GET vread": 1, "GET history": 1, "GET search": 1,
        "POST search": 1, "POST create": 1, "POST conditional_create": 1, "DELETE delete": 1, "GET metadata": 1,
        "GET refused": 1, "POST refused": 1, "POST batch": 1, "POST transaction": 1,
    }  # fmt: skip
    assert stats["entries"] == {"POST conditional_create": 1, "GET search": 2, "DELETE delete": 1}
    assert stats["resources"] == {"Patient": 1, "RiskAssessment": 1}
    assert stats["versions"] == 4, "two that exist, the deleted Patient and its deletion"
    assert stats["peak_in_flight"] == 1


def test_a_reset_begins_to_count_anew(fhir):
    fhir.put({"resourceType": "Patient", "id": "p1"})
    fhir("GET", "Patient")
    assert body(fhir("POST", "/_sandbox/stats/reset"))["requests"] == {}
    stats = body(fhir("GET", "/_sandbox/stats"))
    assert (stats["requests"], stats["faults"], stats["peak_in_flight"]) == ({}, {}, 0)
    assert stats["resources"] == {"Patient": 1}, "the resources remain"


def test_the_behaviour_is_switched_while_it_runs(fhir):
    assert body(fhir("GET", "/_sandbox/behaviour")) == Behaviour().to_json()
    switched = body(fhir("PUT", "/_sandbox/behaviour", {"total": "absent", "max_count": 100}))
    assert (switched["total"], switched["max_count"]) == ("absent", 100)
    assert "total" not in fhir.search("Patient")
    fhir("PUT", "/_sandbox/behaviour", {"default_count": 5})
    assert fhir.sandbox.behaviour == Behaviour(default_count=5), "what is not named has its default"


def test_the_faults_are_switched_while_it_runs(fhir):
    assert body(fhir("GET", "/_sandbox/faults")) == Faults().to_json()
    rule = {
        "match": {"method": "GET", "path_regex": None, "entry": False},
        "action": "status",
        "times": 1,
        "status": 500,
    }
    fhir("PUT", "/_sandbox/faults", {"seed": 3, "rules": [rule]})
    assert [fhir("GET", "Patient").status_code for _ in range(2)] == [500, 200]
    assert body(fhir("GET", "/_sandbox/faults"))["rules"][0]["status"] == 500


@pytest.mark.parametrize("address", ["/_sandbox/behaviour", "/_sandbox/faults"])
@pytest.mark.parametrize("sent", [{"nonsense": 1}, b"{", b"", [], "x"])
def test_what_is_no_switch_is_refused_and_changes_nothing(fhir, address, sent):
    before = (fhir.sandbox.behaviour, fhir.sandbox.faults)
    response = fhir("PUT", address, sent)
    assert response.status_code == 400
    assert body(response)["error"]
    assert (fhir.sandbox.behaviour, fhir.sandbox.faults) == before


def test_what_is_not_there_is_refused_in_json(fhir, says):
    assert says(fhir("GET", "/_sandbox/nonsense"))[0] == 404
    assert says(fhir("POST", "/_sandbox/behaviour", {}))[0] == 405
