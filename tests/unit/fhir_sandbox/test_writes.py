import orjson
import pytest


def body(response):
    return orjson.loads(response.get_data())


def test_a_create_gives_the_id_and_tells_where_it_is(fhir, risk):
    response = fhir(
        "POST", "RiskAssessment", {**risk(), "id": "mine", "meta": {"versionId": "9", "tag": [{"code": "t"}]}}
    )
    assert response.status_code == 201
    stored = body(response)
    assert stored["id"] != "mine"
    assert stored["meta"] == {"versionId": "1", "lastUpdated": "2024-05-01T12:00:00.000Z", "tag": [{"code": "t"}]}
    assert response.headers["Location"] == f"http://localhost/fhir/RiskAssessment/{stored['id']}/_history/1"
    assert response.headers["ETag"] == 'W/"1"'
    assert body(fhir("GET", f"RiskAssessment/{stored['id']}")) == stored


def test_an_update_makes_a_version_or_the_resource(fhir):
    assert fhir("PUT", "Patient/p-1.x", {"resourceType": "Patient", "id": "p-1.x"}).status_code == 201
    response = fhir("PUT", "Patient/p-1.x", {"resourceType": "Patient", "id": "p-1.x", "active": True})
    assert (response.status_code, response.headers["ETag"]) == (200, 'W/"2"')
    assert fhir.ids("Patient", active="true") == ["p-1.x"]


def test_an_update_that_changes_nothing_makes_no_version(fhir, clock):
    fhir("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1", "multipleBirthInteger": 1})
    clock.pass_by(5)
    again = fhir("PUT", "Patient/p1", {"id": "p1", "multipleBirthInteger": 1, "resourceType": "Patient", "meta": {}})
    assert (again.status_code, again.headers["ETag"]) == (200, 'W/"1"')
    assert again.headers["Last-Modified"].endswith("12:00:00 GMT")
    true = fhir("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1", "multipleBirthInteger": True})
    assert true.headers["ETag"] == 'W/"2"', "true is not 1"


def test_an_update_is_searched_by_its_new_content_only(fhir, observation):
    fhir("PUT", "Observation/o1", observation("o1", code="a"))
    fhir("PUT", "Observation/o1", observation("o1", code="b", patient="p2"))
    assert fhir.ids("Observation", code="a") == []
    assert fhir.ids("Observation", patient="p1") == []
    assert fhir.ids("Observation", patient="p2", code="b") == ["o1"]


def test_if_match_guards_an_update(fhir, says):
    patient = {"resourceType": "Patient", "id": "p1"}
    assert says(fhir("PUT", "Patient/p1", patient, If_Match='W/"1"'))[0] == 412
    fhir("PUT", "Patient/p1", patient)
    assert says(fhir("PUT", "Patient/p1", {**patient, "active": True}, If_Match='W/"2"'))[:2] == (412, "conflict")
    assert says(fhir("PUT", "Patient/p1", {**patient, "active": True}, If_Match="1"))[0] == 400
    assert fhir("PUT", "Patient/p1", {**patient, "active": True}, If_Match='W/"1"').status_code == 200
    assert says(fhir("DELETE", "Patient/p1", If_Match='W/"1"'))[0] == 412
    assert fhir("DELETE", "Patient/p1", If_Match='"2"').status_code == 204


def test_a_deleted_resource_is_gone_until_an_update_revives_it(fhir, observation, says):
    fhir.put(observation("o1"))
    response = fhir("DELETE", "Observation/o1")
    assert (response.status_code, response.get_data(), response.headers["ETag"]) == (204, b"", 'W/"2"')
    assert fhir("DELETE", "Observation/o1").headers["ETag"] == 'W/"2"', "deleted already"
    assert says(fhir("GET", "Observation/o1"))[0] == 410
    assert (
        fhir.ids("Observation", patient="p1") == fhir.ids("Observation", code="8867-4") == fhir.ids("Observation") == []
    )
    revived = fhir("PUT", "Observation/o1", observation("o1"))
    assert (revived.status_code, revived.headers["ETag"]) == (201, 'W/"3"')
    assert fhir.ids("Observation", patient="p1", code="8867-4") == ["o1"]
    assert says(fhir("DELETE", "Observation/never"))[0] == 404


def test_prefer_chooses_what_comes_back(fhir, risk):
    minimal = fhir("POST", "RiskAssessment", risk("a"), Prefer="respond-async; return=minimal")
    assert (minimal.status_code, minimal.get_data()) == (201, b"")
    assert "Content-Type" not in minimal.headers
    assert "/RiskAssessment/" in minimal.headers["Location"]
    whole = fhir("POST", "RiskAssessment", risk("b"), Prefer="return=representation")
    assert body(whole)["identifier"][0]["value"] == "b"


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "Patient", b"{not json", 400),
        ("POST", "Patient", b"", 400),
        ("POST", "Patient", [], 400),
        ("POST", "Patient", {"id": "x"}, 400),
        ("POST", "Patient", {"resourceType": "Observation"}, 400),
        ("POST", "Patient", {"resourceType": "Patient", "id": "a b"}, 400),
        ("POST", "Patient", {"resourceType": "Patient", "meta": []}, 400),
        ("POST", "Patient", {"resourceType": "Patient", "managingOrganization": {"reference": "nowhere"}}, 400),
        ("POST", "Observation", {"resourceType": "Observation", "effectiveDateTime": "yesterday"}, 400),
        ("PUT", "Patient/p1", {"resourceType": "Patient"}, 400),
        ("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p2"}, 400),
    ],
)
def test_what_cannot_be_stored_is_refused_and_not_stored(fhir, says, method, path, sent, status):
    assert says(fhir(method, path, sent))[0] == status
    assert fhir.sandbox.store.counts() == {}


def test_a_body_must_say_that_it_is_json(fhir, says):
    assert says(fhir("POST", "Patient", b"<Patient/>", Content_Type="application/fhir+xml"))[0] == 415
    patient = {"resourceType": "Patient"}
    assert fhir("POST", "Patient", patient, Content_Type="application/json; charset=utf-8").status_code == 201


def test_numbers_and_letters_come_back_as_they_were(fhir):
    sent = {
        "resourceType": "Basic",
        "id": "b",
        "extension": [{"url": "u", "valueDecimal": 0.1, "valueString": "°é\u2028"}],
    }
    fhir("PUT", "Basic/b", sent)
    assert body(fhir("GET", "Basic/b"))["extension"] == sent["extension"]
