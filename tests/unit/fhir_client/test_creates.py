import logging
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.stub_server import DROP, Call, FhirStore, Out, Stub, fhir, html, outcome

from screening.errors import FhirFatalError, FhirNotFhir, FhirTemporaryError
from screening.fhir_client.exchange import Answer

SYSTEM = "urn:screening"


def _risk(number: int) -> dict[str, Any]:
    return {"resourceType": "RiskAssessment", "identifier": [{"system": SYSTEM, "value": f"v{number}"}]}


def _condition(number: int) -> str:
    return f"identifier={SYSTEM}|v{number}"


def _pairs(count: int) -> tuple[list[dict[str, Any]], list[str]]:
    return [_risk(number) for number in range(count)], [_condition(number) for number in range(count)]


def _values(store: FhirStore) -> list[str]:
    return sorted(resource["identifier"][0]["value"] for resource in store.of("RiskAssessment"))


def _posts(stub: Stub) -> list[Call]:
    return [call for call in stub.calls if call.method == "POST" and call.path == "RiskAssessment"]


def _batches(stub: Stub) -> list[Call]:
    return [call for call in stub.calls if call.is_batch]


def _all_there(answers: list[Answer], store: FhirStore, count: int) -> None:
    """One of each on the server, and each answer shows its own."""
    assert _values(store) == sorted(f"v{number}" for number in range(count))
    assert [answer.error for answer in answers] == [None] * count
    for number, answer in enumerate(answers):
        [resource] = answer.resources
        assert resource["identifier"] == _risk(number)["identifier"]
        assert answer.location == f"RiskAssessment/{resource['id']}"


def test_resources_are_created_in_batches_and_a_second_run_finds_them(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    client = make_client(batch_entries=2)
    first = client.create_each(*_pairs(5))
    _all_there(first, store, 5)
    assert [answer.status for answer in first] == [201] * 5
    again = client.create_each(*_pairs(5))
    _all_there(again, store, 5)
    assert [answer.status for answer in again] == [200] * 5
    assert [call.path for call in stub.calls].count("metadata") == 1
    batch = next(call for call in _batches(stub) if len(call.json["entry"]) == 2)
    assert batch.headers["prefer"] == "return=representation"
    assert batch.json["entry"][0]["request"]["method"] == "POST"
    assert batch.json["entry"][0]["request"]["ifNoneExist"].startswith(f"identifier={SYSTEM}|v")


def test_nothing_to_create_asks_nothing(stub: Stub, make_client: MakeClient) -> None:
    assert make_client().create_each([], []) == []
    assert stub.calls == []


def test_the_same_condition_twice_is_written_once(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    wanted = [{**_risk(0), "status": "final"}, _risk(1), {**_risk(0), "status": "amended"}]
    answers = make_client().create_each(wanted, [_condition(0), _condition(1), _condition(0)])
    assert _values(store) == ["v0", "v1"]
    assert answers[0].resources[0]["status"] == "final"
    assert answers[0] == answers[2]
    assert [answer.resources[0]["identifier"][0]["value"] for answer in answers] == ["v0", "v1", "v0"]


def test_a_single_resource_is_posted_with_its_condition(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    _all_there(make_client().create_each(*_pairs(1)), store, 1)
    [post] = _posts(stub)
    assert post.headers["if-none-exist"] == _condition(0)
    assert post.headers["prefer"] == "return=representation"
    assert post.headers["content-type"] == "application/fhir+json"


@pytest.mark.parametrize("count", [1, 3])
def test_several_existing_are_told_from_one(stub: Stub, make_client: MakeClient, count: int) -> None:
    store = FhirStore(stub, [{**_risk(0), "id": "x"}, {**_risk(0), "id": "y"}])
    answers = make_client().create_each(*_pairs(count))
    assert [answer.status for answer in answers] == [412, 201, 201][:count]
    assert isinstance(answers[0].error, FhirFatalError)
    assert "several RiskAssessment resources have this identifier; keep one" in str(answers[0].error)
    assert "v0" not in str(answers[0].error)
    assert len(store.of("RiskAssessment")) == 1 + count
    assert len(stub.calls) == 2  # metadata and one write: a 412 is not asked again


@pytest.mark.parametrize("lost", [DROP, Out(200, b'{"resourceType":"Bundle","type":"batch-resp', length=False)])
def test_a_batch_whose_answer_is_lost_is_repeated_without_duplicates(
    stub: Stub, make_client: MakeClient, lost: Out
) -> None:
    store = FhirStore(stub)

    def write_and_lose(call: Call) -> Out | None:
        if len(_batches(stub)) > 1:
            return None
        store.batch(call)
        return lost

    store.batches = write_and_lose
    answers = make_client().create_each(*_pairs(4))
    _all_there(answers, store, 4)
    assert [answer.status for answer in answers] == [200] * 4
    assert len(_batches(stub)) == 2


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_server_without_batches_gets_single_conditional_posts(
    stub: Stub, make_client: MakeClient, status: int
) -> None:
    store = FhirStore(stub)
    store.batches = lambda call: outcome(status, "not-supported")
    client = make_client()
    for expected in (201, 200):
        answers = client.create_each(*_pairs(3))
        _all_there(answers, store, 3)
        assert [answer.status for answer in answers] == [expected] * 3
    assert len(_batches(stub)) == 1
    assert all("if-none-exist" in call.headers for call in _posts(stub))
    assert len(_posts(stub)) == 6


def test_a_batch_answered_short_is_not_trusted_and_not_duplicated(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)

    def short(call: Call) -> Out:
        store.batch(call)
        return fhir({"resourceType": "Bundle", "type": "batch-response", "entry": []})

    store.batches = short
    answers = make_client().create_each(*_pairs(3))
    _all_there(answers, store, 3)
    assert [answer.status for answer in answers] == [200] * 3


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_entries_refused_for_being_in_a_batch_are_posted_singly(
    stub: Stub, make_client: MakeClient, status: int
) -> None:
    store = FhirStore(stub)
    store.entry_status = lambda method, url: status if method == "POST" else None
    client = make_client()
    _all_there(client.create_each(*_pairs(2)), store, 2)
    client.create_each(*_pairs(2))
    assert len(_batches(stub)) == 1
    assert all("if-none-exist" in call.headers for call in _posts(stub))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_entries_are_posted_again_with_their_condition(
    stub: Stub, make_client: MakeClient, slept: list[float], status: int
) -> None:
    store = FhirStore(stub)
    left = [status]
    store.entry_status = lambda method, url: left.pop() if left else None
    _all_there(make_client().create_each(*_pairs(3)), store, 3)
    assert slept == [0.5]
    assert [call.headers["if-none-exist"] for call in _posts(stub)] == [_condition(0)]


def test_entries_without_a_status_are_posted_singly(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    silent = {"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": {}}] * 2}
    store.batches = lambda call: fhir(silent)
    _all_there(make_client().create_each(*_pairs(2)), store, 2)
    assert sorted(call.headers["if-none-exist"] for call in _posts(stub)) == [_condition(0), _condition(1)]


@pytest.mark.parametrize("told", [202, 204, 299])
def test_a_status_that_says_neither_is_not_taken_for_success(stub: Stub, make_client: MakeClient, told: int) -> None:
    store = FhirStore(stub)
    store.entry_status = lambda method, url: told
    store.direct = lambda call: Out(told)
    answers = make_client().create_each(*_pairs(2))
    assert [answer.status for answer in answers] == [told, told]
    assert all("neither created (201) nor existing (200)" in str(answer.error) for answer in answers)


def test_an_invalid_entry_fails_alone_with_the_servers_own_status(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    left = [None, 422, None]
    store.entry_status = lambda method, url: left.pop(0)
    answers = make_client().create_each(*_pairs(3))
    assert [answer.status for answer in answers] == [201, 422, 201]
    assert str(answers[1].error) == "POST /fhir/RiskAssessment: 422"
    assert _values(store) == ["v0", "v2"]


@pytest.mark.parametrize("batched", [True, False])
def test_bodies_that_are_not_shown_are_fetched(stub: Stub, make_client: MakeClient, batched: bool) -> None:
    store = FhirStore(stub)
    store.minimal = True
    client = make_client(batch_entries=50 if batched else 1)
    for expected in (201, 200):
        answers = client.create_each(*_pairs(3))
        _all_there(answers, store, 3)
        assert [answer.status for answer in answers] == [expected] * 3


def test_a_body_that_cannot_be_fetched_is_an_error_with_the_id(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    store.minimal = True
    store.direct = lambda call: outcome(403, "forbidden") if call.method == "GET" else None
    [answer] = make_client().create_each(*_pairs(1))
    assert (answer.status, answer.location, answer.resources) == (201, "RiskAssessment/s1", [])
    assert str(answer.error).startswith("GET /fhir/RiskAssessment/s1: 403")


@pytest.mark.parametrize("minimal", [True, False])
def test_another_resource_offered_as_the_existing_one_is_an_error(
    stub: Stub, make_client: MakeClient, minimal: bool
) -> None:
    other = {**_risk(99), "id": "other"}
    store = FhirStore(stub, [other])
    headers = {"Location": "RiskAssessment/other"}
    store.direct = lambda call: Out(200, b"", headers) if minimal and call.method == "POST" else None
    if not minimal:
        store.direct = lambda call: fhir(other)
    [answer] = make_client().create_each(*_pairs(1))
    assert answer.resources == []
    assert "does not search RiskAssessment by identifier" in str(answer.error)


@pytest.mark.parametrize("declared", [False, None])
def test_without_conditional_create_it_is_searched_first(
    stub: Stub, make_client: MakeClient, declared: bool | None
) -> None:
    store = FhirStore(stub)
    store.conditional, store.honours_condition = declared, False
    client = make_client()
    for expected in (201, 200):
        answers = client.create_each(*_pairs(3))
        _all_there(answers, store, 3)
        assert [answer.status for answer in answers] == [expected] * 3
    assert len(_posts(stub)) == 3
    assert all("if-none-exist" not in call.headers for call in _posts(stub))
    searched = [entry["request"]["url"] for call in _batches(stub) for entry in call.json["entry"]]
    assert searched[0] == f"RiskAssessment?identifier={SYSTEM}%7Cv0&_count=1000"


@pytest.mark.parametrize("status", [400, 405, 501])
def test_a_server_that_refuses_conditions_after_all_is_searched_first_from_then_on(
    stub: Stub, make_client: MakeClient, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = FhirStore(stub)
    store.entry_status = lambda method, url: status if method == "POST" else None
    store.direct = lambda call: outcome(status, "invalid") if "if-none-exist" in call.headers else None
    client = make_client()
    _all_there(client.create_each(*_pairs(2)), store, 2)
    conditional = len([call for call in _posts(stub) if "if-none-exist" in call.headers])
    _all_there(client.create_each(*_pairs(2)), store, 2)
    assert len([call for call in _posts(stub) if "if-none-exist" in call.headers]) == conditional
    assert "RiskAssessment: no conditional create on this server; searching before each create" in caplog.messages


def test_a_resource_that_is_invalid_either_way_keeps_its_own_error(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    store.entry_status = lambda method, url: 400 if method == "POST" else None
    store.direct = lambda call: outcome(400, "invariant") if call.method == "POST" else None
    client = make_client()
    answers = client.create_each(*_pairs(2))
    assert [str(answer.error) for answer in answers] == ["POST /fhir/RiskAssessment: 400 (invariant)"] * 2
    client.create_each(*_pairs(2))
    assert len([call for call in _batches(stub) if b"ifNoneExist" in call.body]) == 2


def test_a_lost_plain_post_is_searched_for_before_another(
    stub: Stub, make_client: MakeClient, slept: list[float]
) -> None:
    store = FhirStore(stub)
    store.conditional = False

    def write_and_lose(call: Call) -> Out | None:
        if call.method != "POST":
            return None
        store.create(call.json, None)
        return DROP

    store.direct = write_and_lose
    answers = make_client().create_each(*_pairs(1))
    _all_there(answers, store, 1)
    assert answers[0].status == 200
    assert [call.method for call in stub.calls] == ["GET", "GET", "POST", "GET"]
    assert slept == [0.5]


def test_a_plain_post_that_was_not_carried_out_is_made_again(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    store.conditional = False
    left: list[Out] = [outcome(503), DROP]
    store.direct = lambda call: left.pop() if left and call.method == "POST" else None
    _all_there(make_client().create_each(*_pairs(1)), store, 1)
    assert [call.method for call in stub.calls] == ["GET", "GET", "POST", "GET", "POST", "GET", "POST"]


def test_a_plain_post_gives_up_at_last(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    store.conditional = False
    store.direct = lambda call: outcome(503) if call.method == "POST" else None
    [answer] = make_client(attempts=3).create_each(*_pairs(1))
    assert isinstance(answer.error, FhirTemporaryError)
    assert answer.status == 503
    assert len(_posts(stub)) == 3


def test_a_throttled_plain_post_is_repeated_without_a_search(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    store.conditional = False
    left = [outcome(429, "throttled", Retry_After="2")]
    store.direct = lambda call: left.pop() if left and call.method == "POST" else None
    _all_there(make_client().create_each(*_pairs(1)), store, 1)
    assert [call.method for call in stub.calls] == ["GET", "GET", "POST", "POST"]


def test_several_found_by_the_search_are_a_412_too(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, [{**_risk(0), "id": "x"}, {**_risk(0), "id": "y"}])
    store.conditional = False
    [answer] = make_client().create_each(*_pairs(1))
    assert answer.status == 412
    assert "several RiskAssessment resources have this identifier" in str(answer.error)
    assert _posts(stub) == []


@pytest.mark.parametrize("others", [1, 2])
def test_a_search_that_ignores_the_identifier_writes_nothing(stub: Stub, make_client: MakeClient, others: int) -> None:
    store = FhirStore(stub, [{**_risk(7), "id": "x"}])
    store.conditional = False
    everything = {"resource": {**_risk(7), "id": "x"}}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [everything] * others}
    store.direct = lambda call: fhir(bundle) if call.method == "GET" else None
    [answer] = make_client().create_each(*_pairs(1))
    assert "nothing can be written there exactly once" in str(answer.error)
    assert _posts(stub) == []


def test_a_search_that_fails_writes_nothing(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    store.conditional = False
    store.direct = lambda call: outcome(403, "forbidden") if call.method == "GET" else None
    [answer] = make_client().create_each(*_pairs(1))
    assert answer.status == 403
    assert _posts(stub) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(faults=st.lists(st.sampled_from(["drop", "lose", "503", "429", "ok"]), max_size=6), conditional=st.booleans())
def test_whatever_gets_lost_there_is_one_of_each(
    stub: Stub, make_client: MakeClient, faults: list[str], conditional: bool
) -> None:
    store = FhirStore(stub)
    store.conditional = store.honours_condition = conditional
    left = list(faults)

    def disturb(call: Call) -> Out | None:
        fault = left.pop() if left and call.method == "POST" else "ok"
        if fault == "lose":
            if call.is_batch:
                store.batch(call)
            else:
                store.create(call.json, call.headers.get("if-none-exist"))
        return {"drop": DROP, "lose": DROP, "503": outcome(503), "429": outcome(429)}.get(fault)

    store.direct = store.batches = disturb
    _all_there(make_client(attempts=10).create_each(*_pairs(3)), store, 3)


def test_three_runs_write_one_of_each(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub)
    for _ in range(3):
        _all_there(make_client().create_each(*_pairs(3)), store, 3)


def test_a_server_without_metadata_is_not_written_to(stub: Stub, make_client: MakeClient) -> None:
    stub.script(html())
    with pytest.raises(FhirNotFhir, match="check the base URL"):
        make_client().create_each(*_pairs(2))
    assert len(stub.calls) == 1


def test_a_dead_server_fails_the_whole_call(make_client: MakeClient) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(FhirTemporaryError, match="cannot be reached"):
        make_client(base_url=f"http://127.0.0.1:{port}/fhir", attempts=2).create_each(*_pairs(2))


@pytest.mark.parametrize(("entries", "declared"), [(1, True), (50, True), (1, False)])
def test_unknown_credentials_fail_the_whole_call(
    stub: Stub, make_client: MakeClient, entries: int, declared: bool
) -> None:
    store = FhirStore(stub)
    store.conditional = declared
    store.batches = lambda call: outcome(401, "login")
    store.direct = lambda call: outcome(401, "login") if call.method == "POST" else None
    with pytest.raises(FhirFatalError, match="401"):
        make_client(batch_entries=entries).create_each(*_pairs(3))


@pytest.mark.parametrize("declared", [True, False])
def test_ten_failures_in_a_row_end_the_call(stub: Stub, make_client: MakeClient, declared: bool) -> None:
    store = FhirStore(stub)
    store.conditional = declared
    store.direct = lambda call: outcome(503) if call.method == "POST" else None
    with pytest.raises(FhirTemporaryError, match="503"):
        make_client(attempts=1, batch_entries=1, concurrency=2).create_each(*_pairs(100))
    assert len(_posts(stub)) < 30


def test_neither_identifiers_nor_bodies_reach_the_logs(
    stub: Stub, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = FhirStore(stub)
    store.conditional = False
    store.direct = lambda call: outcome(503) if call.method == "POST" else None
    answers = make_client(attempts=2).create_each(*_pairs(2))
    said = caplog.text + "".join(repr(answer) + repr(answer.error) for answer in answers)
    assert caplog.records
    assert SYSTEM not in said
    assert "MARKER" not in said
