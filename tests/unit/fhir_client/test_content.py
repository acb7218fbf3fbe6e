import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.fhir_client.content import codes_of_body, dicts, issue_codes, resource_of
from screening.fhir_client.exchange import Fault

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON), st.data())
def test_a_whole_resource_is_read_and_every_beginning_of_it_is_cut_off(
    more: dict[str, object], data: st.DataObject
) -> None:
    content = {**more, "resourceType": "Patient"}
    body = orjson.dumps(content)
    assert resource_of(body) == (orjson.loads(body), None)
    end = data.draw(st.integers(0, len(body) - 1))
    assert resource_of(body[:end]) == (None, Fault.TRUNCATED)


def test_a_byte_order_mark_and_white_space_do_no_harm() -> None:
    assert resource_of(b'\xef\xbb\xbf \n{"resourceType":"Patient"}\n')[0] == {"resourceType": "Patient"}


@pytest.mark.parametrize(
    "body",
    [
        b"<html></html>",
        b"<Patient/>",
        b"[1]",
        b"null",
        b'"text"',
        b'{"a":1}',
        b'{"resourceType":1}',
        b'{"resourceType":"Patient",}',
        b'{"resourceType":"Patient"}}',
        b'{"resourceType":"Patient"}\xc3',
        b'{"resourceType":"\xff"}',
        b'{"x":NaN,"resourceType":"Patient"}',
    ],
)
def test_all_else_is_not_fhir(body: bytes) -> None:
    assert resource_of(body) == (None, Fault.NOT_FHIR)


def test_an_empty_body_is_cut_off_unless_the_server_announced_it() -> None:
    assert resource_of(b"") == (None, Fault.TRUNCATED)
    assert resource_of(b"", announced_empty=True) == (None, Fault.NOT_FHIR)


def test_issue_codes_are_r4s_own_or_unknown_each_once() -> None:
    issues = [
        {"severity": "error", "code": "throttled"},
        {"severity": "warning", "code": "Mrs Miller has no such code"},
        {"severity": "error", "code": "throttled"},
        {"code": 7},
        {"severity": ["error"], "code": "deleted"},
        "nothing",
    ]
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    assert issue_codes(outcome) == ("throttled", "unknown", "deleted")
    assert issue_codes(outcome, ["error", "fatal"]) == ("throttled",)
    assert codes_of_body(orjson.dumps(outcome)) == ("throttled", "unknown", "deleted")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"invalid_request"}', b'{"resourceType":"Patient"}'])
def test_what_is_no_outcome_has_no_codes(body: bytes) -> None:
    assert codes_of_body(body) == ()


def test_dicts_takes_only_objects_of_an_array() -> None:
    assert dicts([{"a": 1}, 2, None]) == [{"a": 1}]
    assert dicts({"a": 1}) == []
    assert dicts(None) == []
