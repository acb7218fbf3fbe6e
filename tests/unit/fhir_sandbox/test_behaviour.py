import dataclasses

import orjson
import pytest

from fhir_sandbox.behaviour import LIKE, Behaviour

UUID = "6f1c0e5e-0000-4000-8000-000000000001"


def body(response):
    return orjson.loads(response.get_data())


def entries(response):
    assert response.status_code == 200, response.get_data()
    return body(response)["entry"]


def statuses(response):
    return [entry["response"]["status"][:3] for entry in entries(response)]


def post(resource, full_url="", **request):
    return {
        "fullUrl": full_url,
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"], **request},
    }


def get(url):
    return {"request": {"method": "GET", "url": url}}


def test_total_absent_is_there_only_where_it_is_asked_for(make_fhir, observation):
    fhir = make_fhir(total="absent")
    fhir.put(observation("o1"))
    assert "total" not in fhir.search("Observation")
    assert "total" not in fhir.search("Observation", _count="0")
    assert fhir.search("Observation", _total="accurate")["total"] == 1
    assert fhir.search("Observation", _summary="count")["total"] == 1


def test_the_sizes_of_pages(make_fhir, observation):
    fhir = make_fhir(default_count=2, max_count=3)
    fhir.put(*(observation(f"o{n}") for n in range(5)))
    assert len(fhir.ids("Observation")) == 2
    bundle = fhir.search("Observation", _count="4")
    assert len(bundle["entry"]) == 3
    assert bundle["link"][0]["url"].endswith("?_count=3")


def test_a_transaction_as_batch_keeps_the_good_and_calls_itself_a_transaction(make_fhir, observation):
    fhir = make_fhir(transactions="as_batch")
    name = "urn:uuid:1"
    good = observation("x", subject={"reference": name})
    bad = {"resourceType": "Observation", "effectiveDateTime": "never"}
    response = fhir.bundle("transaction", post(good), post(bad), post({"resourceType": "Patient"}, name), "rubbish")
    assert body(response)["type"] == "transaction-response"
    assert statuses(response) == ["201", "400", "201", "400"]
    (patient,) = fhir.ids("Patient")
    assert fhir.search("Observation", patient=patient)["total"] == 1, "the reference is rewritten all the same"


def test_a_transaction_as_batch_with_conditions_and_broken_references(make_fhir, risk):
    fhir = make_fhir(transactions="as_batch")
    conditional = post(risk(), ifNoneExist="identifier=r1")
    broken = post({"resourceType": "Observation", "subject": {"reference": "rubbish"}})
    dangling = post({"resourceType": "Observation", "subject": {"reference": "urn:uuid:unknown"}})
    response = fhir.bundle("transaction", conditional, conditional, broken, dangling)
    assert statuses(response) == ["201", "200", "400", "201"]
    first, second = (entry["response"]["location"] for entry in entries(response)[:2])
    assert first == second


def test_transactions_unsupported(make_fhir, says):
    fhir = make_fhir(transactions="unsupported")
    patient = post({"resourceType": "Patient"})
    assert says(fhir.bundle("transaction", patient))[:2] == (400, "not-supported")
    assert fhir.bundle("batch", patient).status_code == 200


def test_no_batches(make_fhir, says):
    fhir = make_fhir(batch=False)
    assert says(fhir.bundle("batch", get("Patient")))[:2] == (400, "not-supported")
    assert fhir.bundle("transaction", get("Patient")).status_code == 200


def test_no_searches_in_a_batch(make_fhir):
    fhir = make_fhir(batch_search=False)
    fhir.put({"resourceType": "Patient", "id": "p1"})
    assert statuses(fhir.bundle("batch", get("Patient?gender=male"), get("Patient"), get("Patient/p1"))) == [
        "400",
        "400",
        "200",
    ]
    assert fhir.ids("Patient") == ["p1"]


def test_a_bundle_of_too_many_entries(make_fhir, says):
    fhir = make_fhir(max_bundle_entries=2)
    patient = post({"resourceType": "Patient"})
    for kind in ("batch", "transaction"):
        assert fhir.bundle(kind, patient, patient).status_code == 200
        assert says(fhir.bundle(kind, patient, patient, patient))[:2] == (413, "too-costly")
    assert fhir.sandbox.store.counts() == {"Patient": 4}


def test_no_conditional_writes(make_fhir, risk, says):
    fhir = make_fhir(conditional_writes=False)
    condition = "identifier=r1"
    assert says(fhir("POST", "RiskAssessment", risk(), If_None_Exist=condition))[:2] == (400, "not-supported")
    assert says(fhir("PUT", f"RiskAssessment?{condition}", risk()))[:2] == (400, "not-supported")
    assert statuses(fhir.bundle("batch", post(risk(), ifNoneExist=condition), post(risk()))) == ["400", "201"]
    assert says(fhir.bundle("transaction", post(risk(), ifNoneExist=condition)))[0] == 400
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


def test_no_risk_assessments(make_fhir, risk, says):
    fhir = make_fhir(risk_assessment=False)
    assert says(fhir("POST", "RiskAssessment", risk()))[:2] == (404, "not-supported")
    assert says(fhir("GET", "RiskAssessment"))[0] == 404
    assert statuses(fhir.bundle("batch", post(risk()))) == ["404"]


def test_client_ids_refused(make_fhir, says):
    fhir = make_fhir(client_ids="refused")
    assert says(fhir("PUT", "Patient/p1", {"resourceType": "Patient", "id": "p1"}))[:2] == (400, "value")
    assert says(fhir("PUT", f"Patient/{UUID}", {"resourceType": "Patient", "id": UUID}))[0] == 404
    assert says(fhir("PUT", "Patient?identifier=1", {"resourceType": "Patient", "id": UUID}))[0] == 404
    known = body(fhir("POST", "Patient", {"resourceType": "Patient"}))["id"]
    assert fhir("PUT", f"Patient/{known}", {"resourceType": "Patient", "id": known, "active": True}).status_code == 200
    fhir("DELETE", f"Patient/{known}")
    assert fhir("PUT", f"Patient/{known}", {"resourceType": "Patient", "id": known}).status_code == 201
    assert fhir("PUT", "Patient?identifier=1", {"resourceType": "Patient"}).status_code == 201


def test_unknown_params_ignored(make_fhir, observation):
    fhir = make_fhir(unknown_params="ignore")
    fhir.put(observation("o1"), observation("o2", patient="p2"))
    bundle = fhir.search("Observation", patient="p1", foo="1")
    assert bundle["total"] == 1
    assert bundle["link"][0]["url"] == "http://localhost/fhir/Observation?patient=p1", "what was not used is not shown"


def test_unknown_params_make_it_empty(make_fhir, observation):
    fhir = make_fhir(unknown_params="empty")
    fhir.put(observation("o1"))
    bundle = fhir.search("Observation", patient="p1", foo="1")
    assert bundle["total"] == 0
    assert "entry" not in bundle
    assert fhir.ids("Observation", patient="p1") == ["o1"]


@pytest.mark.parametrize("unknown_params", ["ignore", "empty"])
def test_a_modifier_is_never_passed_over(make_fhir, says, unknown_params):
    fhir = make_fhir(unknown_params=unknown_params)
    assert says(fhir("GET", "Observation?code:not=x"))[0] == 400
    assert says(fhir("GET", "Observation?patient.gender=male"))[0] == 400


def test_outcome_entries(make_fhir, observation):
    fhir = make_fhir(outcome_entries=True, unknown_params="ignore")
    fhir.put(observation("o1"))
    bundle = fhir.search("Observation", foo="1")
    assert bundle["total"] == 1, "an outcome is not counted"
    match, outcome = bundle["entry"]
    assert match["search"] == {"mode": "match"}
    assert outcome["search"] == {"mode": "outcome"}
    assert outcome["resource"]["resourceType"] == "OperationOutcome"
    assert "foo" in outcome["resource"]["issue"][0]["diagnostics"]
    assert outcome["resource"]["issue"][0]["severity"] == "warning"
    assert [e["search"]["mode"] for e in fhir.search("Patient")["entry"]] == ["outcome"]


def test_a_bearer_token_is_wanted(make_fhir, says):
    fhir = make_fhir(bearer_token="s3cret")
    for header in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "Bearer é"},
    ):
        response = fhir("GET", "Patient", **header)
        assert says(response)[:2] == (401, "login")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert says(fhir("GET", "Nonsense"))[0] == 401
    assert fhir("GET", "Patient", Authorization="Bearer s3cret").status_code == 200
    assert fhir("GET", "metadata").status_code == 200


def test_a_body_that_is_too_large(make_fhir, says):
    fhir = make_fhir(max_body_bytes=200)
    patient = {"resourceType": "Patient"}
    assert fhir("POST", "Patient", patient).status_code == 201
    assert says(fhir("POST", "Patient", {**patient, "id": "x", "language": "y" * 200}))[:2] == (413, "too-long")


def test_the_switches_are_read_back_as_they_were_written():
    behaviour = Behaviour(total="absent", rate_limit=5, bearer_token="t", cursor_ttl_s=1.5)
    assert Behaviour.from_json(orjson.loads(orjson.dumps(behaviour.to_json()))) == behaviour
    assert Behaviour.from_json({}) == Behaviour()
    with pytest.raises(dataclasses.FrozenInstanceError):
        behaviour.total = "always"


@pytest.mark.parametrize(
    ("switches", "told"),
    [
        ({"totals": "always"}, "unknown: totals"),
        ({"total": "sometimes"}, "total: 'sometimes' is not one of always, absent"),
        ({"batch": 1}, "batch: 1 is not bool"),
        ({"batch": None}, "batch: None is not bool"),
        ({"max_count": True}, "max_count: True is not int"),
        ({"max_count": 2.5}, "max_count"),
        ({"max_count": 0}, "max_count must be at least 1"),
        ({"default_count": 2000}, "default_count must not be above max_count"),
        ({"rate_limit": 0}, "rate_limit must be at least 1"),
        ({"max_bundle_entries": -1}, "max_bundle_entries must be at least 1"),
        ({"cursor_ttl_s": 0}, "cursor_ttl_s must be above 0"),
        ({"bearer_token": ""}, "bearer_token must not be empty"),
        ({"bearer_token": 7}, "bearer_token: 7"),
        ([], "must be a JSON object"),
    ],
)
def test_a_switch_that_is_wrong_is_refused_by_its_name(switches, told):
    with pytest.raises(ValueError, match=told):
        Behaviour.from_json(switches)


def test_the_real_servers_differ_where_the_matrix_says():
    assert LIKE["medplum"].total == "absent"
    assert LIKE["medplum"].transactions == "as_batch"
    assert LIKE["medplum"].client_ids == "refused"
    assert LIKE["google"].batch_search is False
    assert LIKE["azure"].max_bundle_entries == 500
    assert LIKE["sekmet"].outcome_entries
    assert (LIKE["cerner"].risk_assessment, LIKE["cerner"].conditional_writes) == (False, False)
