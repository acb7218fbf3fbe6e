from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.fhir_client.exchange import Fault, Reply, Request
from screening.fhir_client.retry import RetryPolicy, asked_wait
from screening.fhir_client.settings import ClientSettings

NOW = 1_000_000_000.0
GET = Request("GET", "http://localhost/fhir/Patient/1", repeatable=True)
PLAIN_POST = Request("POST", "http://localhost/fhir/RiskAssessment")
CONDITIONAL_POST = Request("POST", "http://localhost/fhir/RiskAssessment", repeatable=True)


def _policy(random: float = 1.0, **settings: float) -> RetryPolicy:
    return RetryPolicy(ClientSettings("http://localhost/fhir", **settings), lambda: NOW, lambda: random)  # type: ignore[arg-type]


def _again(request: Request, reply: Reply) -> bool:
    return _policy().wait(request, reply, attempt=1, waited=0.0) is not None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520])
def test_what_may_be_repeated_is_repeated_on_temporary_statuses(status: int) -> None:
    assert _again(GET, Reply(status))
    assert _again(CONDITIONAL_POST, Reply(status))


@pytest.mark.parametrize("status", [200, 201, 301, 400, 401, 403, 404, 409, 410, 412, 422, 501, 505])
def test_final_statuses_are_final(status: int) -> None:
    assert not _again(GET, Reply(status))


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_plain_post_that_may_have_been_carried_out_is_not_repeated(status: int) -> None:
    assert not _again(PLAIN_POST, Reply(status))


@pytest.mark.parametrize("fault", [Fault.TIMEOUT, Fault.DROPPED, Fault.TRUNCATED])
def test_a_lost_answer_is_asked_for_again_unless_by_a_plain_post(fault: Fault) -> None:
    assert _again(GET, Reply(fault=fault))
    assert _again(CONDITIONAL_POST, Reply(fault=fault))
    assert not _again(PLAIN_POST, Reply(fault=fault))
    assert not _again(PLAIN_POST, Reply(201, fault=fault))


def test_a_plain_post_is_repeated_where_the_server_cannot_have_acted() -> None:
    assert _again(PLAIN_POST, Reply(429))
    assert _again(PLAIN_POST, Reply(fault=Fault.UNREACHABLE))


@pytest.mark.parametrize("fault", [Fault.TLS, Fault.NOT_FHIR, Fault.TOO_LARGE])
def test_faults_that_a_repeat_cannot_mend_are_final(fault: Fault) -> None:
    assert not _again(GET, Reply(200, fault=fault))


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (503, {"Retry-After": "7"}, 7.0),
        (429, {"Retry-After": " 0 "}, 0.0),
        (429, {"Retry-After": "1.5"}, 1.5),
        (429, {"Retry-After": formatdate(NOW + 20, usegmt=True)}, 20.0),
        (429, {"Retry-After": formatdate(NOW + 20, usegmt=False)}, 20.0),
        (503, {"Retry-After": formatdate(NOW - 20, usegmt=True)}, 0.0),
        (429, {"RateLimit": '"fhirInteractions";r=0;t=7'}, 7.0),
        (429, {"RateLimit": '"requests";r=59999;t=60, "fhirInteractions"; r=0; t=7'}, 7.0),
        (429, {"RateLimit": '"a";r=0;t=7, "b";r=0;t=9'}, 9.0),
        (429, {"Retry-After": "3", "RateLimit": '"a";r=0;t=7'}, 3.0),
        (429, {"Retry-After": "soon", "RateLimit": '"a";r=0;t=7'}, 7.0),
        (429, {"RateLimit": '"a";r=5;t=7'}, None),
        (429, {"RateLimit": "nonsense;;t=;r"}, None),
        (503, {"RateLimit": '"a";r=0;t=7'}, None),
        (429, {"Retry-After": "-1"}, None),
        (429, {"Retry-After": "99999999999999999999"}, None),
        (429, {"Retry-After": "Mon, 99 Foo 2001 00:00:00 GMT"}, None),
        (404, {"Retry-After": "7"}, None),
        (429, {}, None),
    ],
)
def test_what_the_server_asks_for(status: int, headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(Reply(status, headers), NOW) == seconds


@given(st.text())
def test_no_header_text_breaks_the_reading(text: str) -> None:
    for name in ("Retry-After", "RateLimit"):
        asked = asked_wait(Reply(429, {name: text}), NOW)
        assert asked is None or asked >= 0


def test_pauses_double_up_to_the_cap() -> None:
    policy = _policy(backoff=0.5, backoff_cap=3.0, attempts=10)
    pauses = [policy.wait(GET, Reply(503), attempt=attempt, waited=0.0) for attempt in range(1, 6)]
    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.floats(0, 1), st.integers(1, 100))
def test_jitter_is_full(random: float, attempt: int) -> None:
    pause = _policy(random).pause(attempt)
    assert pause == random * min(20.0, 0.5 * 2 ** (attempt - 1))


def test_attempts_are_counted() -> None:
    policy = _policy(attempts=3)
    assert policy.wait(GET, Reply(503), attempt=2, waited=0.0) is not None
    assert policy.wait(GET, Reply(503), attempt=3, waited=0.0) is None


def test_a_wish_beyond_the_budget_ends_the_request_at_once() -> None:
    policy = _policy(max_wait=60.0)
    assert policy.wait(GET, Reply(429, {"Retry-After": "61"}), attempt=1, waited=0.0) is None
    assert policy.wait(GET, Reply(429, {"Retry-After": "30"}), attempt=1, waited=31.0) is None
    assert policy.wait(GET, Reply(429, {"Retry-After": "30"}), attempt=1, waited=29.9) == pytest.approx(30.1)


def test_own_pauses_stay_within_the_budget() -> None:
    assert _policy(max_wait=1.0).wait(GET, Reply(503), attempt=4, waited=0.75) == 0.25
    assert _policy(max_wait=1.0).wait(GET, Reply(503), attempt=4, waited=1.0) == 0.0


def test_a_wish_is_met_with_a_little_more() -> None:
    reply = Reply(429, {"Retry-After": "7"})
    assert _policy(random=0.0).wait(GET, reply, attempt=1, waited=0.0) == 7.0
    assert _policy(random=1.0).wait(GET, reply, attempt=1, waited=0.0) == 7.5
