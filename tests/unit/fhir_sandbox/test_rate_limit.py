def test_a_request_too_many_is_429_until_the_window_ends(make_fhir, clock, says):
    fhir = make_fhir(rate_limit=2, rate_window_s=10.0)
    assert fhir("GET", "Patient").headers["RateLimit"] == '"fhirInteractions";r=1;t=10'
    clock.pass_by(2.5)
    assert fhir("GET", "Patient").headers["RateLimit"] == '"fhirInteractions";r=0;t=8'
    refused = fhir("GET", "Patient")
    assert says(refused)[:2] == (429, "throttled")
    assert refused.headers["RateLimit"] == '"fhirInteractions";r=0;t=8'
    assert "Retry-After" not in refused.headers
    clock.pass_by(7.5)
    assert fhir("GET", "Patient").status_code == 200


def test_retry_after_is_given_where_it_is_switched_on(make_fhir):
    fhir = make_fhir(rate_limit=1, rate_window_s=10.0, retry_after=True)
    assert "Retry-After" not in fhir("GET", "Patient").headers
    assert fhir("GET", "Patient").headers["Retry-After"] == "10"


def test_a_refused_write_is_not_carried_out(make_fhir, risk):
    fhir = make_fhir(rate_limit=1)
    assert fhir("POST", "RiskAssessment", risk()).status_code == 201
    assert fhir("POST", "RiskAssessment", risk()).status_code == 429
    assert fhir.sandbox.store.counts() == {"RiskAssessment": 1}


def test_the_switches_are_not_limited_and_begin_a_new_window(make_fhir):
    fhir = make_fhir(rate_limit=1)
    fhir("GET", "Patient")
    assert fhir("GET", "/_sandbox/stats").status_code == 200
    assert fhir("GET", "Patient").status_code == 429
    fhir("PUT", "/_sandbox/behaviour", {"rate_limit": 1})
    assert fhir("GET", "Patient").status_code == 200


def test_without_a_limit_nothing_is_told(fhir):
    assert "RateLimit" not in fhir("GET", "Patient").headers
