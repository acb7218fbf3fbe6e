import orjson
import pytest

from fhir_sandbox.faults import FaultPlan, Faults, Match, Rule


def actions(faults, count=2000):
    plan = FaultPlan(faults)
    return [plan.strike("GET", "/Patient").action for _ in range(count)]


def test_rates_strike_by_the_seed_and_about_as_often_as_they_say():
    faults = Faults(drop_rate=0.1, truncate_rate=0.1, html_rate=0.1, error_rate=0.1, seed=7)
    struck = actions(faults)
    assert struck == actions(faults)
    assert struck != actions(Faults(drop_rate=0.1, truncate_rate=0.1, html_rate=0.1, error_rate=0.1, seed=8))
    for action in ("drop", "truncate", "html", "status"):
        assert 150 < struck.count(action) < 250
    assert set(actions(Faults(error_rate=1.0))) == {"status"}
    assert set(actions(Faults())) == {None}


def test_an_error_by_rate_has_its_status_and_carries_nothing_out(make_fhir, risk, says):
    fhir = make_fhir(faults=Faults(error_rate=1.0, error_status=502))
    assert says(fhir("POST", "RiskAssessment", risk()))[:2] == (502, "transient")
    assert fhir.sandbox.store.counts() == {}
    fhir.sandbox.faults = Faults(error_rate=1.0, commit=True)
    assert fhir("POST", "RiskAssessment", risk()).status_code == 503
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


def test_a_rule_strikes_what_it_matches_and_as_often_as_it_says(make_fhir, says):
    rule = Rule(
        Match(method="GET", path_regex=r"^/Observation\?.*code=a"), times=2, status=429, headers={"Retry-After": "3"}
    )
    fhir = make_fhir(faults=Faults(rules=(rule,)))
    assert fhir("GET", "Observation?code=b").status_code == 200
    assert fhir("GET", "Patient").status_code == 200
    struck = [fhir("GET", "Observation?patient=p&code=a") for _ in range(3)]
    assert [response.status_code for response in struck] == [429, 429, 200]
    assert struck[0].headers["Retry-After"] == "3"
    assert says(struck[0])[1] == "throttled"
    assert fhir.sandbox.stats.to_json()["faults"] == {"status": 2}


def test_the_first_rule_that_is_left_strikes(make_fhir):
    rules = (Rule(times=1, status=500), Rule(Match(method="POST"), status=501), Rule(times=1, status=502))
    fhir = make_fhir(faults=Faults(rules=rules))
    assert [fhir("GET", "Patient").status_code for _ in range(3)] == [500, 502, 200]


def test_an_answer_lost_after_the_write(make_fhir, risk):
    lost = Rule(Match(method="POST", path_regex="^/RiskAssessment$"), times=1, action="drop", commit=True)
    fhir = make_fhir(faults=Faults(rules=(lost,)))
    with pytest.raises(ConnectionAbortedError):
        fhir("POST", "RiskAssessment", risk(), If_None_Exist="identifier=r1")
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}
    assert fhir("POST", "RiskAssessment", risk(), If_None_Exist="identifier=r1").status_code == 200
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


@pytest.mark.parametrize("action", ["drop", "html", "status", "truncate"])
@pytest.mark.parametrize("commit", [True, False])
def test_a_write_is_carried_out_if_the_fault_says_so(make_fhir, risk, action, commit):
    fhir = make_fhir(faults=Faults(rules=(Rule(action=action, times=1, commit=commit),)))
    try:
        fhir("POST", "RiskAssessment", risk())
    except ConnectionAbortedError:
        assert action in ("drop", "truncate")
    assert fhir.sandbox.store.counts() == ({"RiskAssessment": 1} if commit else {})


def test_html_is_a_page_with_status_200(make_fhir):
    fhir = make_fhir(faults=Faults(html_rate=1.0))
    response = fhir("GET", "Patient")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.get_data().startswith(b"<!DOCTYPE html>")


def test_latency_and_delays_are_waited_for_and_add_up(make_fhir, clock):
    rules = (Rule(action="delay", delay_ms=250.0, times=1), Rule(Match(method="POST"), status=500))
    fhir = make_fhir(faults=Faults(latency_ms=50.0, rules=rules))
    assert fhir("GET", "Patient").status_code == 200
    assert fhir("GET", "Patient").status_code == 200
    assert clock.slept == [0.3, 0.05]


def test_a_rule_can_strike_an_entry_of_a_batch(make_fhir, risk):
    matching = Match(method="POST", path_regex="^/RiskAssessment", entry=True)
    fhir = make_fhir(
        faults=Faults(rules=(Rule(matching, times=1, status=429), Rule(matching, times=1, status=503, commit=True)))
    )
    entry = {"resource": risk(), "request": {"method": "POST", "url": "RiskAssessment"}}
    entries = orjson.loads(fhir.bundle("batch", entry, entry, entry).get_data())["entry"]
    assert [each["response"]["status"] for each in entries] == [
        "429 Too Many Requests",
        "503 Service Unavailable",
        "201 Created",
    ]
    assert entries[0]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 2}, "the second was written"
    assert fhir("POST", "RiskAssessment", risk()).status_code == 201, "a request is no entry"


def test_a_struck_entry_ends_its_transaction(make_fhir, risk, says):
    rule = Rule(Match(path_regex="RiskAssessment", entry=True), times=1, status=503)
    fhir = make_fhir(faults=Faults(rules=(rule,)))
    patient = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    entry = {"resource": risk(), "request": {"method": "POST", "url": "RiskAssessment"}}
    assert says(fhir.bundle("transaction", patient, entry))[0] == 503
    assert fhir.sandbox.store.counts() == {}
    assert fhir.bundle("transaction", patient, entry).status_code == 200


def test_the_switches_are_out_of_the_faults_reach(make_fhir):
    fhir = make_fhir(faults=Faults(error_rate=1.0))
    assert fhir("GET", "/_sandbox/stats").status_code == 200
    assert fhir("PUT", "/_sandbox/faults", {}).status_code == 200
    assert fhir("GET", "Patient").status_code == 200


def test_setting_the_faults_begins_their_rules_anew(make_fhir):
    once = Faults(rules=(Rule(times=1),))
    fhir = make_fhir(faults=once)
    assert [fhir("GET", "Patient").status_code for _ in range(2)] == [503, 200]
    fhir.sandbox.faults = once
    assert fhir("GET", "Patient").status_code == 503


def test_the_faults_are_read_back_as_they_were_written():
    rule = Rule(Match("GET", "x", entry=True), "delay", 3, 500, {"A": "b"}, 5.0, commit=True)
    faults = Faults(latency_ms=1.0, drop_rate=0.5, seed=9, rules=(rule, Rule()))
    assert Faults.from_json(orjson.loads(orjson.dumps(faults.to_json()))) == faults
    assert Faults.from_json({"rules": [{"action": "drop", "match": {"method": "POST"}}]}).rules == (
        Rule(Match("POST"), "drop"),
    )


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"latency": 1}, "unknown: latency"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"drop_rate": 0.6, "html_rate": 0.6}, "together"),
        ({"drop_rate": -0.1}, "negative"),
        ({"error_status": 200}, "error_status"),
        ({"rules": "drop"}, "rules"),
        ({"rules": ["drop"]}, "Rule must be a JSON object"),
        ({"rules": [{"action": "explode"}]}, "action"),
        ({"rules": [{"when": "now"}]}, "unknown: when"),
        ({"rules": [{"match": {"path": "x"}}]}, "unknown: path"),
        ({"rules": [{"match": {"path_regex": "("}}]}, "path_regex"),
        ({"rules": [{"match": None}]}, "Match must be a JSON object"),
        ({"rules": [{"times": 0}]}, "times"),
        ({"rules": [{"status": 99}]}, "status"),
        ({"rules": [{"delay_ms": -1}]}, "delay_ms"),
        ({"rules": [{"headers": {"A": 1}}]}, "headers"),
        ({"rules": [{"action": "drop", "match": {"entry": True}}]}, "entry"),
        ("drop", "must be a JSON object"),
    ],
)
def test_a_fault_that_is_wrong_is_refused_by_its_name(faults, told):
    with pytest.raises(ValueError, match=told):
        Faults.from_json(faults)
