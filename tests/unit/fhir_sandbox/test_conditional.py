import threading

import orjson

CONDITION = "identifier=urn:example:screening|r1"


def body(response):
    return orjson.loads(response.get_data())


def test_a_conditional_create_creates_once(fhir, risk):
    first = fhir("POST", "RiskAssessment", risk(), If_None_Exist=CONDITION)
    again = fhir("POST", "RiskAssessment", risk(note=[{"text": "changed"}]), If_None_Exist="?" + CONDITION)
    assert (first.status_code, again.status_code) == (201, 200)
    assert "Location" in first.headers
    assert "Location" not in again.headers
    assert body(again) == body(first), "the one that exists, as it is"
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


def test_the_condition_may_be_percent_encoded(fhir, risk):
    fhir("POST", "RiskAssessment", risk())
    again = fhir("POST", "RiskAssessment", risk(), If_None_Exist="identifier=urn%3Aexample%3Ascreening%7Cr1")
    assert again.status_code == 200


def test_a_conditional_create_that_matches_several_is_412(fhir, risk, says):
    fhir("POST", "RiskAssessment", risk())
    fhir("POST", "RiskAssessment", risk())
    assert says(fhir("POST", "RiskAssessment", risk(), If_None_Exist=CONDITION))[:2] == (412, "multiple-matches")
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 2}


def test_a_condition_that_cannot_be_understood_is_never_passed_over(make_fhir, risk, says):
    fhir = make_fhir(unknown_params="ignore")
    fhir("POST", "RiskAssessment", risk())
    for condition in ("", "?", "foo=1", f"{CONDITION}&foo=1", "_count=1", "identifier=", "identifier:not=x"):
        assert says(fhir("POST", "RiskAssessment", risk(), If_None_Exist=condition))[0] == 400, condition
    assert says(fhir("PUT", "RiskAssessment", risk()))[0] == 400, "an update without id and without condition"
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


def test_a_deleted_resource_does_not_match(fhir, risk):
    first = body(fhir("POST", "RiskAssessment", risk()))
    fhir("DELETE", f"RiskAssessment/{first['id']}")
    assert fhir("POST", "RiskAssessment", risk(), If_None_Exist=CONDITION).status_code == 201


def test_creates_at_the_same_time_create_once(fhir, risk):
    statuses: list[int] = []
    start = threading.Barrier(8)

    def create() -> None:
        client = type(fhir)(fhir.sandbox, fhir.client.application.test_client())
        start.wait()
        statuses.append(client("POST", "RiskAssessment", risk(), If_None_Exist=CONDITION).status_code)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 7 + [201]
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


def test_a_conditional_update_creates_then_updates_then_leaves_alone(fhir, risk):
    path = f"RiskAssessment?{CONDITION}"
    first = fhir("PUT", path, risk())
    second = fhir("PUT", path, risk(note=[{"text": "n"}]))
    third = fhir("PUT", path, risk(note=[{"text": "n"}]))
    assert [r.status_code for r in (first, second, third)] == [201, 200, 200]
    assert [r.headers["ETag"] for r in (first, second, third)] == ['W/"1"', 'W/"2"', 'W/"2"']
    assert len({body(r)["id"] for r in (first, second, third)}) == 1


def test_a_conditional_update_heeds_several_matches_and_if_match(fhir, risk, says):
    fhir("POST", "RiskAssessment", risk())
    path = f"RiskAssessment?{CONDITION}"
    assert says(fhir("PUT", path, risk(), If_Match='W/"4"'))[0] == 412
    fhir("POST", "RiskAssessment", risk())
    assert says(fhir("PUT", path, risk()))[:2] == (412, "multiple-matches")


def test_a_conditional_update_heeds_the_id_that_it_brings(fhir, risk, says):
    path = f"RiskAssessment?{CONDITION}"
    assert body(fhir("PUT", path, risk(id="own")))["id"] == "own"
    assert fhir("PUT", path, risk(id="own", status="amended")).status_code == 200
    assert says(fhir("PUT", path, risk(id="other")))[0] == 400
    other = f"RiskAssessment?{CONDITION}x"
    assert says(fhir("PUT", other, risk("r1x", id="own")))[:2] == (409, "conflict")
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}
