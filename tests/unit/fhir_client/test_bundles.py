from typing import Any

import pytest

from screening.fhir_client.bundles import (
    batch_of_creates,
    batch_of_gets,
    is_searchset,
    matches_of,
    next_link,
    remarks_of,
    replies_of_batch,
    resources_of,
    shortfall_of,
)
from screening.fhir_client.exchange import Reply

PATIENT = {"resourceType": "Patient", "id": "a"}


def _outcome(severity: str = "error", code: str = "not-found") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}


def _response(*entries: Any, kind: str = "batch-response") -> Reply:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return Reply(200, {"RateLimit": '"a";r=0;t=7', "X-Other": "1"}, bundle)


def test_batches_hold_the_requests_in_order() -> None:
    assert batch_of_gets(["Patient/a", "Observation?patient=a"]) == {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": "Patient/a"}},
            {"request": {"method": "GET", "url": "Observation?patient=a"}},
        ],
    }
    [entry] = batch_of_creates([PATIENT], ["identifier=s|v"])["entry"]
    assert entry == {
        "resource": PATIENT,
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=s|v"},
    }


@pytest.mark.parametrize(("text", "status"), [("200 OK", 200), ("404", 404), (" 201", 201), (200, 200), ("2000", None)])
def test_entry_statuses_are_read(text: object, status: int | None) -> None:
    [reply] = replies_of_batch(_response({"resource": PATIENT, "response": {"status": text}}), 1) or []
    assert reply.status == status


def test_entries_become_replies_with_the_quota_headers_of_the_whole() -> None:
    entries = [
        {"resource": PATIENT, "response": {"status": "201 Created", "etag": 'W/"1"', "location": "Patient/a"}},
        {"resource": _outcome(), "response": {"status": "404 Not Found"}},
        {"response": {"status": "429", "outcome": _outcome(code="throttled")}},
        {"resource": "text", "response": {"status": "200"}},
        {"response": "text"},
    ]
    created, absent, throttled, odd, silent = replies_of_batch(_response(*entries), 5) or []
    quota = {"RateLimit": '"a";r=0;t=7'}
    assert created.headers == {**quota, "ETag": 'W/"1"', "Location": "Patient/a"}
    assert created.resource == PATIENT
    assert (absent.resource, absent.codes) == (None, ("not-found",))
    assert (throttled.codes, throttled.headers) == (("throttled",), quota)
    assert (odd.status, odd.resource) == (200, None)
    assert silent.status is None


@pytest.mark.parametrize(
    "reply",
    [
        _response(),
        _response({}, {}),
        _response("text"),
        _response({}, "text"),
        _response({}, kind="searchset"),
        Reply(200, {}, PATIENT),
        Reply(200, {}, {"resourceType": "Bundle", "type": "batch-response"}),
        Reply(200),
    ],
)
def test_an_answer_of_another_kind_or_length_is_not_trusted(reply: Reply) -> None:
    assert replies_of_batch(reply, 1) is None


def test_a_searchset_gives_matches_and_includes_but_not_remarks() -> None:
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [
            {"resource": PATIENT},
            {"resource": {"resourceType": "Encounter", "id": "e"}, "search": {"mode": "include"}},
            {"resource": _outcome("warning", "not-supported"), "search": {"mode": "outcome"}},
            {"resource": _outcome("information", "informational")},
            {"resource": {"resourceType": "Patient", "id": "odd"}, "search": {"mode": "outcome"}},
        ],
    }
    assert is_searchset(page)
    assert [resource["id"] for resource in resources_of(page)] == ["a", "e"]
    assert matches_of(page) == 1
    assert remarks_of(page, errors=True) == ()
    assert remarks_of(page, errors=False) == ("not-supported",)


@pytest.mark.parametrize(
    ("totals", "missing"),
    [
        ([None, None], 0), ([9, None], 0), ([None, 2], 0), ([None, 3], 0), ([3, 4], 1), ([0, 500], 497), ([None, "9"], 0),
        ([None, True], 0), ([None, -1], 0), ([], 0),
    ],
)  # fmt: skip
def test_what_the_last_page_counts_beyond_all_that_was_given(totals: list[Any], missing: int) -> None:
    """Three entries on two pages; a remark counts as given, since some servers count it in `total`."""
    entries = [[{"resource": PATIENT}], [{"resource": PATIENT}, {"resource": _outcome("warning", "not-supported")}]]
    assert (
        shortfall_of([{"entry": some, "total": total} for some, total in zip(entries, totals, strict=False)]) == missing
    )


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_errors_inside_a_searchset_are_seen(severity: str) -> None:
    page = {"entry": [{"resource": PATIENT}, {"resource": _outcome(severity, "exception")}]}
    assert remarks_of(page, errors=True) == ("exception",)


@pytest.mark.parametrize(
    "content",
    [
        None,
        PATIENT,
        {"resourceType": "Bundle", "type": "batch-response"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "searchset", "entry": [{}]},
        {"resourceType": "Bundle", "type": "searchset", "entry": ["x"]},
        {"resourceType": "Bundle", "type": "searchset", "entry": {"resource": PATIENT}},
    ],
)
def test_what_is_no_searchset(content: Any) -> None:
    assert not is_searchset(content)


def test_an_empty_searchset_is_one() -> None:
    assert is_searchset({"resourceType": "Bundle", "type": "searchset", "total": 0})


def test_next_links() -> None:
    assert next_link({}) is None
    assert next_link({"link": [{"relation": "self", "url": "x"}]}) is None
    assert next_link({"link": ["odd", {"relation": "next", "url": "?abc=="}]}) == "?abc=="
    assert next_link({"link": [{"relation": "next"}]}) == ""
