import orjson
import pytest


@pytest.fixture
def patient(fhir, clock):
    """A Patient in two versions."""
    fhir("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1", "gender": "male"})
    clock.pass_by(60)
    fhir("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1", "gender": "female"})


def test_a_read_gives_the_current_version_and_tells_which(fhir, patient):
    response = fhir("GET", "Patient/p1")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/fhir+json"
    assert response.headers["ETag"] == 'W/"2"'
    assert response.headers["Last-Modified"] == "Wed, 01 May 2024 12:01:00 GMT"
    assert orjson.loads(response.get_data()) == {
        "resourceType": "Patient",
        "id": "p1",
        "gender": "female",
        "meta": {"versionId": "2", "lastUpdated": "2024-05-01T12:01:00.000Z"},
    }


def test_a_version_can_be_read(fhir, patient):
    response = fhir("GET", "Patient/p1/_history/1")
    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Last-Modified"] == "Wed, 01 May 2024 12:00:00 GMT"
    assert orjson.loads(response.get_data())["gender"] == "male"
    assert orjson.loads(fhir("GET", "Patient/p1/_history/2").get_data())["gender"] == "female"


def test_the_history_has_every_version_with_the_newest_first(fhir, patient):
    fhir("DELETE", "Patient/p1")
    fhir("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1", "gender": "other"})
    bundle = orjson.loads(fhir("GET", "Patient/p1/_history").get_data())
    assert (bundle["type"], bundle["total"]) == ("history", 4)
    told = [(e["request"]["method"], e["response"]["etag"], e["response"]["status"]) for e in bundle["entry"]]
    assert told == [
        ("PUT", 'W/"4"', "201"),
        ("DELETE", 'W/"3"', "204"),
        ("PUT", 'W/"2"', "200"),
        ("PUT", 'W/"1"', "201"),
    ]
    assert [e.get("resource", {}).get("gender") for e in bundle["entry"]] == ["other", None, "female", "male"]


def test_what_never_was_is_404(fhir, patient, says):
    for path in ("Patient/nobody", "Patient/nobody/_history", "Patient/p1/_history/9", "Patient/p1/_history/x"):
        assert says(fhir("GET", path))[:2] == (404, "not-found")


def test_what_was_deleted_is_410(fhir, patient, says):
    fhir("DELETE", "Patient/p1")
    assert says(fhir("GET", "Patient/p1")) == (410, "deleted", "Patient/p1 was deleted")
    assert says(fhir("GET", "Patient/p1/_history/3"))[0] == 410
    assert fhir("GET", "Patient/p1/_history/2").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Patients", 404),
        ("GET", "OperationOutcome", 404),
        ("GET", "Patient/p1/$everything", 404),
        ("GET", "Patient/$everything", 404),
        ("GET", "Patient/a b", 400),
        ("GET", "Patient/" + "x" * 65, 400),
        ("GET", "", 405),
        ("PATCH", "Patient/p1", 405),
        ("DELETE", "Patient", 405),
        ("POST", "Patient/p1", 405),
        ("POST", "metadata", 405),
        ("GET", "/elsewhere", 404),
        ("GET", "/fhir//Patient", 404),
    ],
)
def test_an_address_that_means_nothing_is_an_operation_outcome(fhir, says, method, path, status):
    assert says(fhir(method, path))[0] == status


def test_the_base_is_the_base_with_and_without_a_slash(fhir):
    for path in ("/fhir", "/fhir/"):
        assert fhir("POST", path, {"resourceType": "Bundle", "type": "batch"}).status_code == 200


def test_a_defect_of_the_sandbox_is_an_operation_outcome_and_no_stack_trace(fhir, says, monkeypatch, caplog):
    def fail():
        raise RuntimeError("broken inside")

    monkeypatch.setattr(fhir.sandbox.store, "reading", fail)
    status, code, diagnostics = says(fhir("GET", "Patient/p1"))
    assert (status, code) == (500, "exception")
    assert "broken inside" not in diagnostics
    assert "broken inside" in caplog.text
