import orjson
import pytest

LOINC = "http://loinc.org"


def test_a_searchset_says_what_it_holds(fhir, observation):
    fhir.put(observation("o1"), observation("o2", patient="p2"))
    assert fhir.search("Observation", patient="p1") == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "link": [{"relation": "self", "url": "http://localhost/fhir/Observation?patient=p1"}],
        "entry": [
            {
                "fullUrl": "http://localhost/fhir/Observation/o1",
                "resource": orjson.loads(fhir("GET", "Observation/o1").get_data()),
                "search": {"mode": "match"},
            }
        ],
    }


def test_an_empty_searchset_has_no_entry(fhir):
    bundle = fhir.search("Patient", gender="male")
    assert bundle["total"] == 0
    assert "entry" not in bundle


@pytest.fixture
def cohort(fhir, observation):
    """Five Observations of three subjects."""
    fhir.put(
        observation("a", "p1"),
        observation("b", "p1", code="8310-5"),
        observation("c", "p2", encounter={"reference": "Encounter/e1"}),
        observation("d", "p3", subject={"reference": "Group/p1"}, status="preliminary"),
        observation("e", "p2", subject={"reference": "http://localhost/fhir/Patient/p2/_history/1"}),
        observation("f", "p2", subject={"reference": "http://other/fhir/Patient/p2"}),
    )


@pytest.mark.parametrize(
    ("parameters", "ids"),
    [
        ({}, "abcdef"),
        ({"patient": "p1"}, "ab"),
        ({"patient": "Patient/p1"}, "ab"),
        ({"patient": "http://localhost/fhir/Patient/p1"}, "ab"),
        ({"patient": "p1,Patient/p2"}, "abce"),
        ({"patient": "http://other/fhir/Patient/p2"}, "f"),
        ({"patient": "nobody"}, ""),
        ({"subject": "p1"}, "abd"),
        ({"subject": "Group/p1"}, "d"),
        ({"subject": "Patient/p1"}, "ab"),
        ({"encounter": "e1"}, "c"),
        ({"encounter": "Encounter/e1", "patient": "p2"}, "c"),
        ({"code": "8310-5"}, "b"),
        ({"code": f"{LOINC}|8310-5"}, "b"),
        ({"code": f"{LOINC}|8310-5,8867-4"}, "abcdef"),
        ({"code": f"{LOINC}|"}, "abcdef"),
        ({"code": "urn:other|8310-5"}, ""),
        ({"code": "|8310-5"}, ""),
        ({"status": "preliminary"}, "d"),
        ({"status": "http://hl7.org/fhir/observation-status|final", "patient": "p1"}, "ab"),
        ({"_id": "a,c,zz"}, "ac"),
        ({"_id": "a,c", "patient": "p1"}, "a"),
    ],
)
def test_what_a_search_finds(fhir, cohort, parameters, ids):
    assert fhir.ids("Observation", **parameters) == list(ids)
    assert fhir.search("Observation", **parameters)["total"] == len(ids)


def test_a_repeated_parameter_must_hold_twice(fhir, observation):
    both = observation("both")
    both["code"]["coding"].append({"system": "urn:local", "code": "HR"})
    fhir.put(both, observation("one"))
    assert fhir.ids("Observation", ("code", "8867-4"), ("code", "HR")) == ["both"]
    assert fhir.ids("Observation", ("patient", "p1"), ("patient", "p2")) == []


def test_a_system_without_code_is_told_from_a_code_without_system(fhir):
    fhir.put({"resourceType": "Device", "id": "d", "identifier": [{"value": "a|b,c"}, {"system": "s", "value": "x"}]})
    assert fhir.ids("Device", identifier=r"|a\|b\,c") == ["d"]
    assert fhir.ids("Device", identifier="s|x") == ["d"]
    assert fhir.ids("Device", identifier="|x") == []
    assert fhir.ids("Device", identifier="a|b") == []


DATES = {
    "day": {"effectiveDateTime": "2024-05-02"},
    "moment": {"effectiveDateTime": "2024-05-02T10:00:00Z"},
    "zoned": {"effectiveDateTime": "2024-05-03T01:00:00+02:00"},
    "instant": {"effectiveInstant": "2024-05-02T10:00:00.500Z"},
    "open": {"effectivePeriod": {"start": "2024-05-01T00:00:00Z"}},
    "closed": {"effectivePeriod": {"start": "2024-05-01T00:00:00Z", "end": "2024-05-02T09:00:00Z"}},
}


@pytest.mark.parametrize(
    ("dates", "found"),
    [
        (["2024-05-02"], {"day", "moment", "zoned", "instant"}),
        (["eq2024-05-02T10:00:00Z"], {"moment", "instant"}),
        (["2024"], {"day", "moment", "zoned", "instant", "closed"}),
        (["ge2024-05-02"], {"day", "moment", "zoned", "instant", "open"}),
        (["gt2024-05-02T10:00:00Z"], {"day", "zoned", "open"}),
        (["ge2024-05-02T10:00:00Z"], {"day", "moment", "zoned", "instant", "open"}),
        (["ge2024-05-02T10:00:00.100Z"], {"day", "moment", "zoned", "instant", "open"}),
        (["lt2024-05-02T10:00:00Z"], {"day", "open", "closed"}),
        (["le2024-05-02T10:00:00Z"], {"day", "moment", "instant", "open", "closed"}),
        (["ge2024-05-02T09:30:00Z", "lt2024-05-02T11:00:00Z"], {"day", "moment", "instant", "open"}),
        (["gt2024-05-02"], {"open"}),
        (["lt2024-05"], set()),
        (["2024-05-02T10:00:00Z,2024-05-02T23:00:00Z"], {"moment", "instant", "zoned"}),
    ],
)
@pytest.mark.parametrize("further", [{}, {"patient": "p1"}, {"code": "8867-4"}])
def test_dates_are_compared_as_the_spans_that_they_cover(fhir, observation, dates, found, further):
    for name, effective in DATES.items():
        resource = observation(name)
        del resource["effectiveDateTime"]
        fhir.put({**resource, **effective})
    undated = observation("undated")
    del undated["effectiveDateTime"]
    fhir.put(undated)
    assert set(fhir.ids("Observation", *(("date", date) for date in dates), **further)) == found


def test_last_updated_is_searched_to_the_millisecond(fhir, clock):
    fhir("PUT", "Patient/a", {"resourceType": "Patient", "id": "a"})
    clock.pass_by(1)
    fhir("PUT", "Patient/b", {"resourceType": "Patient", "id": "b"})
    first = "2024-05-01T12:00:00.000Z"
    assert fhir.ids("Patient", _lastUpdated=f"gt{first}") == ["b"]
    assert fhir.ids("Patient", _lastUpdated=f"ge{first}") == ["a", "b"]
    assert fhir.ids("Patient", _lastUpdated=first) == ["a"]
    assert fhir.ids("Patient", _lastUpdated="lt2024-05-01T12:00:01Z") == ["a"]
    assert fhir.ids("Patient", _lastUpdated="2024-05-01") == ["a", "b"]


OTHERS = [
    ("Patient", {"gender": "female"}, {"gender": "female"}, {"gender": "male"}),
    ("Patient", {"active": True}, {"active": "true"}, {"active": "false"}),
    ("Patient", {"identifier": [{"system": "s", "value": "1"}]}, {"identifier": "s|1"}, {"identifier": "s|2"}),
    ("Observation", {"category": [{"coding": [{"code": "laboratory"}]}]},
     {"category": "laboratory"}, {"category": "x"}),
    ("Encounter", {"class": {"code": "IMP"}, "status": "in-progress"},
     {"class": "IMP", "status": "in-progress"}, {"class": "AMB"}),
    ("Encounter", {"period": {"start": "2024-05-01"}}, {"date": "ge2024-06-01"}, {"date": "lt2024-05-01"}),
    ("Encounter", {"subject": {"reference": "Patient/p"}}, {"patient": "p"}, {"subject": "Group/p"}),
    ("Condition", {"code": {"coding": [{"system": "icd", "code": "A41.9"}]}}, {"code": "icd|A41.9"}, {"code": "A41"}),
    ("Condition", {"subject": {"reference": "Patient/p"}}, {"subject": "p"}, {"patient": "q"}),
    ("MedicationRequest", {"medicationCodeableConcept": {"coding": [{"code": "m"}]}}, {"code": "m"}, {"code": "n"}),
    ("MedicationRequest", {"authoredOn": "2024-05-01", "status": "active"},
     {"authoredon": "le2024-05-01", "status": "active"}, {"status": "draft"}),
    ("MedicationAdministration", {"medicationCodeableConcept": {"coding": [{"code": "m"}]}},
     {"code": "m"}, {"code": "n"}),
    ("MedicationAdministration", {"effectivePeriod": {"start": "2024-05-01"}, "status": "completed"},
     {"effective-time": "ge2024-05-01", "status": "completed"}, {"effective-time": "lt2024"}),
    ("RiskAssessment", {"method": {"coding": [{"code": "sepsis"}]}, "subject": {"reference": "Patient/p"}},
     {"method": "sepsis", "patient": "p"}, {"method": "other"}),
    ("RiskAssessment", {"occurrenceDateTime": "2024-05-01T10:00:00Z", "identifier": [{"value": "1"}]},
     {"date": "2024-05-01", "identifier": "1"}, {"date": "2024-05-02"}),
    ("Group", {"identifier": [{"value": "icu"}]}, {"identifier": "icu"}, {"identifier": "er"}),
    ("Device", {"identifier": [{"value": "m"}]}, {"identifier": "m"}, {"identifier": "n"}),
    ("DocumentReference", {"status": "current"}, {"_id": "x"}, {"_id": "y"}),
    ("Provenance", {"recorded": "2024-05-01T10:00:00Z"}, {"_lastUpdated": "ge2024"}, {"_lastUpdated": "lt2024"}),
]  # fmt: skip


@pytest.mark.parametrize(("resource_type", "content", "finds", "misses"), OTHERS)
def test_every_type_is_searched_by_its_own_parameters(fhir, resource_type, content, finds, misses):
    fhir.put({"resourceType": resource_type, "id": "x", **content})
    assert fhir.ids(resource_type, **finds) == ["x"]
    assert fhir.ids(resource_type, **misses) == []


def test_post_search_takes_its_parameters_from_the_form_and_the_address(fhir, cohort):
    sent = b"patient=p1%2Cp2&_count=3"
    response = fhir("POST", "Observation/_search?code=8867-4", sent, Content_Type="application/x-www-form-urlencoded")
    bundle = orjson.loads(response.get_data())
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["a", "c", "e"]
    assert bundle["link"][0]["url"] == "http://localhost/fhir/Observation?code=8867-4&patient=p1%2Cp2&_count=3"


def test_post_search_must_be_a_form(fhir, says):
    assert says(fhir("POST", "Observation/_search", {"patient": "p1"}))[0] == 415


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("foo=1", "foo"),
        ("patient.identifier=s|1", "patient.identifier"),
        ("subject:Patient=p1", "subject:Patient"),
        ("code:not=x", "code:not"),
        ("_id:exact=x", "_id:exact"),
        ("_include=Observation:patient", "_include"),
        ("gender=male", "gender"),
        ("patient=", "patient"),
        ("patient=a,,b", "patient"),
        ("patient=Group/1", "patient"),
        ("patient=a%20b", "patient"),
        ("code=|", "code"),
        ("code=", "code"),
        ("_id=", "_id"),
        ("date=yesterday", "date"),
        ("date=sa2024", "date"),
        ("date=ge2024-05-01T00:00:00+02:00", "date"),
        ("_lastUpdated=gt", "_lastUpdated"),
        ("_count=-1", "_count"),
        ("_count=x", "_count"),
        ("_count=5&_count=6", "_count"),
        ("_sort=code", "_sort"),
        ("_sort=date,_id", "_sort"),
        ("_summary=true", "_summary"),
        ("_total=estimate", "_total"),
        ("_elements=", "_elements"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_name(fhir, says, query, named):
    status, _, diagnostics = says(fhir("GET", f"Observation?{query}"))
    assert status == 400
    assert f"parameter {named}" in diagnostics or f"parameter: {named};" in diagnostics


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        (None, ["late", "none", "early", "same"]),
        ("date", ["early", "late", "same", "none"]),
        ("-date", ["same", "late", "early", "none"]),
        ("_lastUpdated", ["none", "early", "same", "late"]),
        ("-_lastUpdated", ["late", "same", "early", "none"]),
        ("_id", ["early", "late", "none", "same"]),
    ],
)
def test_a_search_is_sorted(fhir, observation, clock, sort, ids):
    undated = observation("none")
    del undated["effectiveDateTime"]
    fhir.put(observation("late", time="2024-05-02"), undated, observation("early", time="2023-05-01"))
    fhir.put(observation("same", time="2024-05-02"))
    clock.pass_by(1)
    fhir.put(observation("late", time="2024-05-02", note=[{"text": "touched"}]))
    assert fhir.ids("Observation", **({} if sort is None else {"_sort": sort})) == ids


def test_the_date_that_is_sorted_by_is_the_types_own(fhir, says):
    fhir.put({"resourceType": "MedicationRequest", "id": "b", "authoredOn": "2024-05-02"})
    fhir.put({"resourceType": "MedicationRequest", "id": "a", "authoredOn": "2024-05-01"})
    assert fhir.ids("MedicationRequest", _sort="authoredon") == ["a", "b"]
    assert says(fhir("GET", "MedicationRequest?_sort=date"))[0] == 400
    assert says(fhir("GET", "Patient?_sort=date"))[0] == 400


def test_a_summary_counts_and_shows_nothing(fhir, cohort):
    bundle = fhir.search("Observation", patient="p1", _summary="count")
    assert bundle["total"] == 2
    assert "entry" not in bundle
    assert "entry" not in fhir.search("Observation", _count="0")


def test_total_can_be_declined(fhir, cohort):
    assert "total" not in fhir.search("Observation", _total="none")
    assert fhir.search("Observation", _total="accurate")["total"] == 6


def test_elements_leaves_the_rest_out_and_says_so(fhir, observation):
    fhir.put(observation("o1", note=[{"text": "n"}], meta={"tag": [{"code": "own"}]}))
    resource = fhir.search("Observation", _elements="subject,note")["entry"][0]["resource"]
    assert set(resource) == {"resourceType", "id", "meta", "status", "code", "subject", "note"}
    assert [tag["code"] for tag in resource["meta"]["tag"]] == ["own", "SUBSETTED"]
    assert "effectiveDateTime" in orjson.loads(fhir("GET", "Observation/o1").get_data()), "the stored one is whole"


def test_only_the_type_that_is_asked_for_is_found(fhir):
    for resource_type in ("Group", "Device"):
        fhir.put({"resourceType": resource_type, "id": "same", "identifier": [{"value": "1"}]})
    assert fhir.search("Group", identifier="1")["total"] == 1
    assert fhir.search("Group")["total"] == 1
    assert fhir.search("Group", _id="same")["total"] == 1
