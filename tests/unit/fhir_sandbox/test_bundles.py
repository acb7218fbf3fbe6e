import orjson
import pytest

PATIENT = "urn:uuid:00000000-0000-4000-8000-000000000001"
ENCOUNTER = "urn:uuid:00000000-0000-4000-8000-000000000002"


def answered(response, kind="transaction-response"):
    assert response.status_code == 200, response.get_data()
    bundle = orjson.loads(response.get_data())
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", kind)
    return bundle["entry"]


def statuses(entries):
    return [entry["response"]["status"][:3] for entry in entries]


def post(resource, full_url=None, **request):
    entry = {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}
    return entry if full_url is None else {"fullUrl": full_url, **entry}


def put(resource, url=None, **request):
    address = url or f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": address, **request}}


def get(url):
    return {"request": {"method": "GET", "url": url}}


def delete(url):
    return {"request": {"method": "DELETE", "url": url}}


@pytest.fixture
def admission(observation):
    """An Observation before the Encounter and the Patient that it refers to."""
    seen = observation("x", subject={"reference": PATIENT}, encounter={"reference": ENCOUNTER})
    return (
        post(seen, "urn:uuid:00000000-0000-4000-8000-000000000003"),
        post({"resourceType": "Encounter", "subject": {"reference": PATIENT}}, ENCOUNTER),
        post({"resourceType": "Patient", "id": "not-kept"}, PATIENT),
    )


def test_a_transaction_gives_ids_and_rewrites_the_references_to_them(fhir, admission):
    entries = answered(fhir.bundle("transaction", *admission))
    assert statuses(entries) == ["201", "201", "201"]
    _, encounter, patient = (entry["response"]["location"].split("/")[1] for entry in entries)
    assert patient != "not-kept"
    found = fhir.search("Observation", patient=patient, encounter=encounter)["entry"][0]["resource"]
    assert found["subject"] == {"reference": f"Patient/{patient}"}
    assert found["encounter"] == {"reference": f"Encounter/{encounter}"}
    assert fhir.ids("Encounter", patient=patient) == [encounter]


def test_an_entrys_answer_tells_where_and_when(fhir):
    (entry,) = answered(fhir.bundle("transaction", put({"resourceType": "Patient", "id": "p1"})))
    assert entry == {
        "response": {
            "status": "201 Created",
            "etag": 'W/"1"',
            "lastModified": "2024-05-01T12:00:00.000Z",
            "location": "Patient/p1/_history/1",
        }
    }


def test_the_resources_come_back_if_they_are_preferred(fhir, risk):
    entries = answered(fhir.bundle("transaction", post(risk()), Prefer="return=representation"))
    assert entries[0]["resource"]["identifier"][0]["value"] == "r1"


def test_a_transaction_stores_all_or_nothing(fhir, admission, says):
    bad = post({"resourceType": "Observation", "effectiveDateTime": "never"})
    status, _, diagnostics = says(fhir.bundle("transaction", *admission, bad))
    assert status == 400
    assert diagnostics.startswith("Bundle.entry[3]: Observation.effectiveDateTime")
    assert fhir.sandbox.store.counts() == {}


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (post({"resourceType": "Observation", "subject": {"reference": "urn:uuid:unknown"}}), 400),
        (post({"resourceType": "Observation", "subject": {"reference": "rubbish"}}), 400),
        ({"resource": {"resourceType": "Patient"}}, 400),
        ("rubbish", 400),
        ({"request": {"method": "POST", "url": 7}}, 400),
        (post({"resourceType": "Patient"}, url="Observation"), 400),
        ({"request": {"method": "POST", "url": "Patient"}}, 400),
        (post({"resourceType": "Patients"}), 404),
        (get("Patient/nobody"), 404),
        (get("Patient?foo=1"), 400),
        (get("metadata"), 400),
        (delete("Patient/nobody"), 404),
        (put({"resourceType": "Patient", "id": "p1"}, ifMatch='W/"7"'), 412),
        ({"request": {"method": "POST", "url": "Patient/_search"}}, 400),
        ({"request": {"method": "PATCH", "url": "Patient/p1"}}, 405),
    ],
)
def test_whatever_refuses_one_entry_refuses_the_transaction(fhir, says, bad, status):
    assert says(fhir.bundle("transaction", post({"resourceType": "Patient"}), bad))[0] == status
    assert fhir.sandbox.store.counts() == {}


def test_a_transaction_is_carried_out_in_the_standards_order_and_answered_in_its_own(fhir, observation):
    fhir.put({"resourceType": "Patient", "id": "old"}, {"resourceType": "Patient", "id": "p1"})
    entries = answered(
        fhir.bundle(
            "transaction",
            get("Patient?_summary=count"),
            get("Patient/p1"),
            put({"resourceType": "Patient", "id": "p1", "gender": "other"}),
            post({"resourceType": "Patient"}),
            delete("Patient/old"),
        )
    )
    assert statuses(entries) == ["200", "200", "200", "201", "204"]
    assert entries[0]["resource"]["total"] == 2
    assert entries[1]["resource"]["gender"] == "other"
    assert "location" not in entries[4]["response"]


def test_a_delete_comes_before_the_condition_of_a_create(fhir, risk):
    fhir.put({**risk(), "id": "old"})
    condition = "identifier=urn:example:screening|r1"
    entries = answered(fhir.bundle("transaction", post(risk(), ifNoneExist=condition), delete("RiskAssessment/old")))
    assert statuses(entries) == ["201", "204"]


def test_two_entries_must_not_change_one_resource(fhir, says):
    patient = {"resourceType": "Patient", "id": "p1"}
    fhir.put({**patient, "identifier": [{"value": "1"}]})
    conditional = put({"resourceType": "Patient"}, "Patient?identifier=1")
    for pair in ((put(patient), put(patient)), (delete("Patient/p1"), put(patient)), (put(patient), conditional)):
        assert says(fhir.bundle("transaction", *pair))[0] == 400
    assert says(fhir.bundle("transaction", post(patient, PATIENT), post(patient, PATIENT)))[:2] == (400, "duplicate")
    assert fhir("GET", "Patient/p1").headers["ETag"] == 'W/"1"'


def test_a_conditional_create_in_a_transaction_lends_its_id_to_the_references(fhir, risk):
    device = {"resourceType": "Device", "identifier": [{"system": "s", "value": "model"}]}

    def send(value):
        return answered(
            fhir.bundle(
                "transaction",
                post(risk(value, performer={"reference": PATIENT}), ifNoneExist=f"identifier={value}"),
                post(device, PATIENT, ifNoneExist="identifier=s|model"),
            )
        )

    assert [statuses(send(value)) for value in ("a", "b", "b")] == [["201", "201"], ["201", "200"], ["200", "200"]]
    (device_id,) = fhir.ids("Device")
    performers = {e["resource"]["performer"]["reference"] for e in fhir.search("RiskAssessment")["entry"]}
    assert performers == {f"Device/{device_id}"}
    repeated = send("b")[0]["response"]
    assert repeated["location"].startswith("RiskAssessment/"), "a client that gets no body learns the id here"


def test_two_creates_with_one_condition_in_a_transaction_create_once(fhir, risk):
    entry = post(risk(), ifNoneExist="identifier=r1")
    entries = answered(fhir.bundle("transaction", entry, entry))
    assert statuses(entries) == ["201", "200"]
    assert entries[0]["response"]["location"] == entries[1]["response"]["location"]


def test_a_condition_looks_at_what_was_there_before_the_transaction(fhir, risk):
    entries = answered(fhir.bundle("transaction", post(risk()), post(risk(), ifNoneExist="identifier=r1")))
    assert statuses(entries) == ["201", "201"]


def test_several_matches_in_a_transaction_are_412(fhir, risk, says):
    fhir.put({**risk(), "id": "a"}, {**risk(), "id": "b"})
    assert says(fhir.bundle("transaction", post(risk(), ifNoneExist="identifier=r1")))[0] == 412


def test_a_conditional_update_in_a_transaction(fhir, risk):
    entry = put(risk(), "RiskAssessment?identifier=r1")
    assert statuses(answered(fhir.bundle("transaction", entry))) == ["201"]
    assert statuses(answered(fhir.bundle("transaction", entry))) == ["200"]
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


def test_a_batch_isolates_its_entries(fhir, observation, risk):
    fhir.put(observation("o1"), {"resourceType": "Patient", "id": "gone"})
    fhir("DELETE", "Patient/gone")
    entries = answered(
        fhir.bundle(
            "batch",
            get("Observation?patient=p1"),
            get("Observation/o1"),
            get("/Observation/o1/_history/1"),
            get("http://localhost/fhir/Observation/o1/_history"),
            get("Patient/nobody"),
            get("Patient/gone"),
            get("Observation?foo=1"),
            "rubbish",
            post({"resourceType": "Observation", "effectiveDateTime": "never"}),
            post(risk(), ifNoneExist="identifier=r1"),
            post(risk(), ifNoneExist="identifier=r1"),
            put(observation("o1", code="new"), ifMatch='W/"1"'),
            delete("Observation/o1"),
            get("Observation/o1"),
        ),
        "batch-response",
    )
    expected = ["200", "200", "200", "200", "404", "410", "400", "400", "400", "201", "200", "200", "204", "410"]
    assert statuses(entries) == expected
    assert entries[0]["resource"]["total"] == 1
    assert entries[0]["resource"]["link"][0]["url"] == "http://localhost/fhir/Observation?patient=p1"
    assert entries[1]["resource"]["id"] == "o1"
    assert (entries[1]["response"]["etag"], entries[1]["response"]["lastModified"]) == (
        'W/"1"',
        "2024-05-01T12:00:00.000Z",
    )
    assert "location" not in entries[1]["response"]
    assert entries[4]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert "resource" not in entries[4]


def test_a_next_link_can_be_followed_in_a_batch(fhir, observation):
    fhir.put(*(observation(f"o{n}") for n in range(5)))
    link = fhir.search("Observation", _count="3")["link"][1]["url"]
    for url in (link, link.removeprefix("http://localhost/fhir/")):
        (entry,) = answered(fhir.bundle("batch", get(url)), "batch-response")
        assert [each["resource"]["id"] for each in entry["resource"]["entry"]] == ["o3", "o4"]


def test_a_batch_does_not_resolve_the_names_of_its_entries(fhir, admission):
    assert statuses(answered(fhir.bundle("batch", *admission), "batch-response")) == ["201", "201", "201"]
    assert fhir.search("Observation")["entry"][0]["resource"]["subject"] == {"reference": PATIENT}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"resourceType": "Patient"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "collection", "entry": []},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
    ],
)
def test_what_is_no_batch_and_no_transaction_is_refused(fhir, says, body):
    assert says(fhir("POST", "", body))[0] == 400


def test_an_empty_bundle_has_an_empty_answer(fhir):
    response = fhir("POST", "", {"resourceType": "Bundle", "type": "transaction"})
    assert orjson.loads(response.get_data()) == {"resourceType": "Bundle", "type": "transaction-response"}
