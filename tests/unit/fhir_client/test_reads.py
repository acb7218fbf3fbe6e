import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.fhir_client.conftest import MakeClient
from tests.unit.fhir_client.stub_server import DROP, Call, FhirStore, Out, Stub, fhir, html, outcome, patient, searchset

from screening.errors import (
    FhirFatalError,
    FhirGone,
    FhirNotFhir,
    FhirNotFound,
    FhirTemporaryError,
)
from screening.fhir_client.exchange import Answer


def _observation(owner: str, number: int) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": f"{owner}-{number}", "subject": {"reference": f"Patient/{owner}"}}


def _ward(count: int, observations: int = 0) -> list[dict[str, Any]]:
    owners = [f"p{number}" for number in range(count)]
    return [patient(owner) for owner in owners] + [
        _observation(owner, number) for owner in owners for number in range(observations)
    ]


def _ids(answer: Answer) -> list[str]:
    return [resource["id"] for resource in answer.resources]


def _batches(stub: Stub) -> list[Call]:
    return [call for call in stub.calls if call.is_batch]


def test_reads_and_searches_go_in_batches_and_come_back_in_order(stub: Stub, make_client: MakeClient) -> None:
    FhirStore(stub, _ward(10, observations=2))
    urls = [url for number in range(10) for url in (f"Patient/p{number}", f"Observation?patient=p{number}")]
    client = make_client(batch_entries=4)
    answers = client.get_each(urls)
    assert [_ids(answer) for answer in answers] == [
        ids for n in range(10) for ids in ([f"p{n}"], [f"p{n}-0", f"p{n}-1"])
    ]
    assert all(answer.status == 200 and answer.error is None for answer in answers)
    assert sorted(len(call.json["entry"]) for call in stub.calls) == [2, 2, 4, 4, 4, 4]
    assert client.requests_sent == 6


def test_reads_and_searches_never_share_a_batch(stub: Stub, make_client: MakeClient) -> None:
    FhirStore(stub, _ward(3))
    make_client().get_each(["Patient/p0", "Observation?patient=p0", "Patient/p1", "Observation?patient=p1"])
    urls = [[entry["request"]["url"] for entry in call.json["entry"]] for call in stub.calls]
    assert sorted(urls) == [
        ["Observation?patient=p0&_count=1000", "Observation?patient=p1&_count=1000"],
        ["Patient/p0", "Patient/p1"],
    ]
    assert {call.headers["content-type"] for call in stub.calls} == {"application/fhir+json"}


def test_no_urls_no_requests(stub: Stub, make_client: MakeClient) -> None:
    assert make_client().get_each([]) == []
    assert stub.calls == []


def test_a_single_question_needs_no_batch(stub: Stub, make_client: MakeClient) -> None:
    FhirStore(stub, _ward(1))
    assert _ids(make_client().get_each(["Patient/p0"])[0]) == ["p0"]
    assert stub.targets() == ["/fhir/Patient/p0"]


def test_batches_can_be_switched_off(stub: Stub, make_client: MakeClient) -> None:
    FhirStore(stub, _ward(3))
    make_client(batch_entries=1).get_each(["Patient/p0", "Patient/p1", "Patient/p2"])
    assert sorted(stub.targets()) == ["/fhir/Patient/p0", "/fhir/Patient/p1", "/fhir/Patient/p2"]
    assert _batches(stub) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(owners=st.integers(0, 9), observations=st.integers(0, 5), page=st.integers(1, 4), entries=st.integers(1, 5))
def test_whatever_the_sizes_each_search_is_whole_and_in_order(
    stub: Stub, make_client: MakeClient, owners: int, observations: int, page: int, entries: int
) -> None:
    FhirStore(stub, _ward(owners, observations)).page = page
    answers = make_client(batch_entries=entries).get_each([f"Observation?patient=p{n}" for n in range(owners)])
    assert [_ids(answer) for answer in answers] == [
        [f"p{owner}-{number}" for number in range(observations)] for owner in range(owners)
    ]


def test_one_bad_entry_spoils_no_other(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, _ward(6))
    store.entry_status = lambda method, url: 410 if url == "Patient/p1" else None
    answers = make_client().get_each(["Patient/p0", "Patient/p1", "Patient/absent", "Patient/../etc", "Patient/p5"])
    assert [answer.status for answer in answers] == [200, 410, 404, 0, 200]
    assert [type(answer.error) for answer in answers] == [
        type(None),
        FhirGone,
        FhirNotFound,
        FhirFatalError,
        type(None),
    ]
    assert [_ids(answer) for answer in answers] == [["p0"], [], [], [], ["p5"]]
    assert str(answers[2].error) == "GET /fhir/Patient/absent: 404 (not-found)"
    assert str(answers[3].error).startswith("GET, question 4: not a URL relative to the base")
    assert len(stub.calls) == 1


@pytest.mark.parametrize("status", [301, 400, 403, 404, 405, 415, 422, 501])
def test_a_server_without_batches_is_asked_singly_and_never_again(
    stub: Stub, make_client: MakeClient, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = FhirStore(stub, _ward(4))
    store.batches = lambda call: outcome(status, "not-supported")
    client = make_client()
    for _ in range(2):
        answers = client.get_each([f"Patient/p{number}" for number in range(4)])
        assert [_ids(answer) for answer in answers] == [["p0"], ["p1"], ["p2"], ["p3"]]
    assert len(_batches(stub)) == 1
    assert caplog.messages == [f"POST /fhir (batch of 4): {status}; reads go one by one from now on"]


def _short(call: Call) -> Out:
    bundle = {"resourceType": "Bundle", "type": "batch-response"}
    return fhir({**bundle, "entry": [{"resource": patient("p1"), "response": {"status": "200"}}]})


@pytest.mark.parametrize("answer", [_short, lambda call: html(), lambda call: fhir(searchset([patient("p1")]))])
def test_a_batch_answered_by_something_else_is_not_trusted(stub: Stub, make_client: MakeClient, answer: Any) -> None:
    FhirStore(stub, _ward(3)).batches = answer
    client = make_client()
    for _ in range(2):
        assert [_ids(a) for a in client.get_each(["Patient/p0", "Patient/p1", "Patient/p2"])] == [
            ["p0"],
            ["p1"],
            ["p2"],
        ]
    assert len(_batches(stub)) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 422, 501])
def test_searches_refused_inside_a_batch_are_asked_directly_while_reads_stay(
    stub: Stub, make_client: MakeClient, status: int
) -> None:
    store = FhirStore(stub, _ward(3, observations=1))
    store.entry_status = lambda method, url: status if "?" in url else None
    client = make_client()
    urls = [url for n in range(3) for url in (f"Patient/p{n}", f"Observation?patient=p{n}")]
    for _ in range(2):
        answers = client.get_each(urls)
        assert [_ids(answer) for answer in answers] == [ids for n in range(3) for ids in ([f"p{n}"], [f"p{n}-0"])]
    assert len(_batches(stub)) == 3  # reads, searches, reads again
    assert len(stub.targets()) == 6


def test_a_search_that_is_refused_directly_too_is_refused(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, _ward(3, observations=1))
    store.entry_status = lambda method, url: 400 if "bad" in url else None
    store.direct = lambda call: outcome(400, "invalid") if "bad" in call.target else None
    client = make_client()
    for _ in range(2):
        answers = client.get_each(["Observation?patient=p0", "Observation?bad=1", "Observation?patient=p2"])
        assert [answer.status for answer in answers] == [200, 400, 200]
        assert str(answers[1].error) == "GET /fhir/Observation: 400 (invalid)"
    assert len(_batches(stub)) == 2


@pytest.mark.parametrize("entries", [1, 50])
def test_a_search_that_is_cut_off_without_a_next_link_is_no_answer(
    stub: Stub, make_client: MakeClient, entries: int
) -> None:
    """A score from the first page alone would look like a score from all values."""
    whole, cut = searchset([_observation("p0", 0)], total=1), searchset([_observation("p1", 0)], total=300)

    def route(call: Call) -> Out:
        if not call.is_batch:
            return fhir(cut if "p1" in call.target else whole)
        answers = [{"response": {"status": "200"}, "resource": page} for page in (whole, cut)]
        return fhir({"resourceType": "Bundle", "type": "batch-response", "entry": answers})

    stub.route = route
    good, bad = make_client(batch_entries=entries).get_each(["Observation?patient=p0", "Observation?patient=p1"])
    assert (good.error, _ids(good)) == (None, ["p0-0"])
    assert _ids(bad) == []
    assert isinstance(bad.error, FhirFatalError)
    assert str(bad.error).startswith("GET /fhir/Observation: 200, but the server counts 299 more than it gave")


@pytest.mark.parametrize("status", [404, 410])
def test_absent_patients_are_believed_at_once(stub: Stub, make_client: MakeClient, status: int) -> None:
    FhirStore(stub, _ward(2)).entry_status = lambda method, url: status
    answers = make_client().get_each(["Patient/p0", "Patient/p1"])
    assert [answer.status for answer in answers] == [status, status]
    assert len(stub.calls) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_entries_are_asked_again_singly_after_a_wait(
    stub: Stub, make_client: MakeClient, slept: list[float], status: int
) -> None:
    store = FhirStore(stub, _ward(4))
    store.entry_status = lambda method, url: status if url == "Patient/p2" else None
    answers = make_client().get_each([f"Patient/p{n}" for n in range(4)])
    assert [_ids(answer) for answer in answers] == [["p0"], ["p1"], ["p2"], ["p3"]]
    assert slept == [0.5]
    assert stub.targets() == ["/fhir/Patient/p2"]


def test_a_throttled_entry_waits_as_long_as_the_batchs_quota_says(
    stub: Stub, make_client: MakeClient, slept: list[float]
) -> None:
    store = FhirStore(stub, _ward(2))
    store.entry_status = lambda method, url: 429 if url == "Patient/p1" else None

    def batch(call: Call) -> Out:
        out = store.batch(call)
        out.headers["RateLimit"] = '"requests";r=5;t=60, "fhirInteractions";r=0;t=9'
        return out

    store.batches = batch
    assert make_client(backoff=0).get_each(["Patient/p0", "Patient/p1"])[1].status == 200
    assert slept == [9.0]


def test_an_entry_whose_retries_run_out_is_temporary_alone(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, _ward(3))
    store.entry_status = lambda method, url: 503 if url == "Patient/p1" else None
    store.direct = lambda call: outcome(503) if call.path == "Patient/p1" else None
    answers = make_client(attempts=3).get_each(["Patient/p0", "Patient/p1", "Patient/p2"])
    assert [answer.status for answer in answers] == [200, 503, 200]
    assert isinstance(answers[1].error, FhirTemporaryError)
    assert str(answers[1].error) == "GET /fhir/Patient/p1: 503 (processing), 3 attempts"
    assert stub.targets() == ["/fhir/Patient/p1"] * 2


def test_entries_without_status_or_with_another_resource_are_asked_directly(
    stub: Stub, make_client: MakeClient
) -> None:
    store = FhirStore(stub, _ward(4))
    entries = [
        {"resource": patient("p0")},
        {"resource": patient("p0"), "response": {"status": "200"}},
        {"response": {"status": "200"}},
        {"resource": {"resourceType": "Device", "id": "p3"}, "response": {"status": "200"}},
    ]
    store.batches = lambda call: fhir({"resourceType": "Bundle", "type": "batch-response", "entry": entries})
    answers = make_client().get_each([f"Patient/p{n}" for n in range(4)])
    assert [_ids(answer) for answer in answers] == [["p0"], ["p1"], ["p2"], ["p3"]]
    assert sorted(stub.targets()) == [f"/fhir/Patient/p{n}" for n in range(4)]


def test_a_read_answered_with_somebody_else_is_an_error(stub: Stub, make_client: MakeClient) -> None:
    FhirStore(stub, _ward(2)).direct = lambda call: fhir(patient("p1"))
    answer = make_client(batch_entries=1).get_each(["Patient/p0"])[0]
    assert answer.resources == []
    assert str(answer.error) == "GET /fhir/Patient/p0: 200, but the answer is another resource than this one"


@pytest.mark.parametrize("status", [500, 504, 413])
def test_a_batch_that_is_too_much_is_taken_apart_but_batches_go_on(
    stub: Stub, make_client: MakeClient, status: int
) -> None:
    store = FhirStore(stub, _ward(4))
    store.batches = lambda call: outcome(status) if "p1" in call.body.decode() else None
    client = make_client(batch_entries=2, attempts=2)
    for _ in range(2):
        answers = client.get_each([f"Patient/p{n}" for n in range(4)])
        assert [_ids(answer) for answer in answers] == [["p0"], ["p1"], ["p2"], ["p3"]]
    assert sorted(stub.targets()) == sorted(["/fhir/Patient/p0", "/fhir/Patient/p1"] * 2)


def test_a_batch_that_is_too_slow_is_taken_apart(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, _ward(2))
    slow = fhir({"resourceType": "Bundle", "type": "batch-response", "entry": []})
    slow.delay = 5
    store.batches = lambda call: slow
    answers = make_client(read_timeout=0.2, attempts=2).get_each(["Patient/p0", "Patient/p1"])
    assert [_ids(answer) for answer in answers] == [["p0"], ["p1"]]


def test_a_dropped_batch_is_sent_again_whole(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, _ward(3))
    store.batches = lambda call: DROP if len(stub.calls) == 1 else None
    answers = make_client().get_each([f"Patient/p{n}" for n in range(3)])
    assert [_ids(answer) for answer in answers] == [["p0"], ["p1"], ["p2"]]
    assert len(_batches(stub)) == len(stub.calls) == 2


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_server_that_stays_busy_fails_the_whole_call(stub: Stub, make_client: MakeClient, status: int) -> None:
    stub.script(outcome(status))
    with pytest.raises(FhirTemporaryError, match=rf"batch of 2\): {status} .*3 attempts"):
        make_client(attempts=3).get_each(["Patient/a", "Patient/b"])
    assert len(stub.calls) == 3


@pytest.mark.parametrize("entries", [1, 50])
def test_a_dead_server_fails_the_whole_call(make_client: MakeClient, entries: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = make_client(base_url=f"http://127.0.0.1:{port}/fhir", attempts=2, batch_entries=entries)
    with pytest.raises(FhirTemporaryError, match="cannot be reached"):
        client.get_each([f"Patient/p{n}" for n in range(100)])


@pytest.mark.parametrize("entries", [1, 50])
def test_unknown_credentials_fail_the_whole_call(stub: Stub, make_client: MakeClient, entries: int) -> None:
    stub.script(outcome(401, "login"))
    with pytest.raises(FhirFatalError, match="401"):
        make_client(batch_entries=entries, concurrency=1).get_each([f"Patient/p{n}" for n in range(100)])
    assert len(stub.calls) < 5


def test_ten_failures_in_a_row_end_the_call(stub: Stub, make_client: MakeClient) -> None:
    stub.script(outcome(503))
    with pytest.raises(FhirTemporaryError, match="503"):
        make_client(attempts=2, batch_entries=1, concurrency=2).get_each([f"Patient/p{n}" for n in range(500)])
    assert len(stub.calls) < 50


def test_pages_beyond_the_first_are_followed_and_half_a_search_is_none(stub: Stub, make_client: MakeClient) -> None:
    store = FhirStore(stub, _ward(2, observations=5))
    store.page = 2
    store.direct = lambda call: outcome(400, "invalid") if call.params.get("patient") == "p1" else None
    whole, half = make_client().get_each(["Observation?patient=p0", "Observation?patient=p1"])
    assert _ids(whole) == ["p0-0", "p0-1", "p0-2", "p0-3", "p0-4"]
    assert (half.status, half.resources) == (400, [])
    assert str(half.error) == "GET /fhir/Observation (next page): 400 (invalid)"


def test_a_search_answered_with_html_is_not_fhir(stub: Stub, make_client: MakeClient) -> None:
    stub.script(html())
    [answer] = make_client(batch_entries=1).get_each(["Observation?patient=MARKER"])
    assert isinstance(answer.error, FhirNotFhir)
    assert "MARKER" not in str(answer.error)


def test_answers_show_no_data_in_their_repr(stub: Stub, make_client: MakeClient) -> None:
    stub.script(fhir({**patient("a"), "name": [{"family": "MARKER"}], "meta": {"versionId": "3"}}))
    [answer] = make_client().get_each(["Patient/a"])
    assert answer.resources[0]["name"] == [{"family": "MARKER"}]
    assert repr(answer) == "Answer(status=200, error=None, etag='W/\"3\"', location=None)"


def test_many_searches_use_no_more_connections_than_the_setting(stub: Stub, make_client: MakeClient) -> None:
    FhirStore(stub, _ward(20, observations=3)).page = 1
    client = make_client(batch_entries=1, concurrency=3)
    answers = client.get_each([f"Observation?patient=p{n}" for n in range(20)])
    assert [len(answer.resources) for answer in answers] == [3] * 20
    assert client.requests_sent == len(stub.calls) == 60
    assert stub.connections <= 3
