"""A body is one JSON object or a refusal, whatever comes."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.json_body import read_object
from cds_hooks.refusals import Refusal

MISLEADING = st.sampled_from(['":', '" :', '"', ":", '\\"', '"\\":', "\\u003a", "\\u003A"])
TEXT = st.text() | MISLEADING
NUMBER = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def refused(body: bytes) -> str:
    """Return the words of the refusal; nothing of the body is in them."""
    with pytest.raises(Refusal) as caught:
        read_object(body)
    assert caught.value.status == 400
    assert caught.value.diagnostics == "body"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.text


@pytest.mark.parametrize("body", [
    b"", b"{", b"{]", b"nothing", b"<html></html>", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":"\xff"}',
    b'{"a":"\\ud800"}', b'\xef\xbb\xbf{}', '{"a":1}'.encode("utf-16"), b"{'a':1}", b'{"a":1,}', b'{"a":01}', b"{} {}",
    b"\x00", b"[" * 100_000, b'{"a":' * 2000 + b"1" + b"}" * 2000,
])  # fmt: skip
def test_ch20_what_is_no_json_is_refused(body: bytes) -> None:
    assert "no JSON" in refused(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"true", b'[{"hook":"patient-view"}]'])
def test_ch20_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert "JSON object" in refused(body)


@pytest.mark.parametrize("depth", [300, 1000])
def test_a_deeply_nested_body_is_refused(depth: int) -> None:
    assert "nested too deeply" in refused(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


@pytest.mark.parametrize("body", [
    b'{"a":1,"a":2}', b'{"a":1,"a":1}', b'{"a" :1,\n"a"\t:\r2}', b'{"a":{"b":1,"b":2}}', b'[{"a":1,"a":2}]'[1:-1],
    b'{"patientId":"p","patient\\u0049d":"q"}', b'{"a":1,"b":"\\":","a":2}', b'{"":1,"":2}',
])  # fmt: skip
def test_a_name_that_an_object_has_twice_is_refused(body: bytes) -> None:
    assert "two members of one name" in refused(body)


@given(
    st.dictionaries(st.text(), JSON), st.sampled_from([None, 1]), st.booleans(), st.sampled_from([":", " :\t", "\n:"])
)
@settings(max_examples=300)
def test_every_object_is_read_as_it_is(
    content: dict[str, Any], indent: int | None, ascii_only: bool, colon: str
) -> None:
    body = json.dumps(content, indent=indent, ensure_ascii=ascii_only, separators=(",", colon)).encode()
    assert read_object(body) == orjson.loads(body)


@given(st.binary() | st.text().map(str.encode) | JSON.map(orjson.dumps))
@settings(max_examples=300)
def test_no_body_raises_anything_else(body: bytes) -> None:
    try:
        found: object = read_object(body)
    except Refusal as refusal:
        found = refusal.status
    assert found == 400 or isinstance(found, dict)


@pytest.mark.parametrize("body", [
    b'{"a":1,"b":"12:30 \\u003a \\u003A \\\\u003a","a":2}', b'{"a":{"t":"1:2:3"},"a":{}}',
    b'{"a":"\\u003a","a":"\\u003a\\u003a"}',
])  # fmt: skip
def test_colons_in_texts_hide_no_name_that_stands_twice(body: bytes) -> None:
    assert "two members of one name" in refused(body)


@pytest.mark.parametrize("body", [
    b'{"a":"12:30","b":"\\u003a \\u003A"}', b'{"a":"\\\\u003a"}', b'{"a":"\\\\\\\\u003A","b":{"a":"\\u00e9:"}}',
    b'{"a":123456789012345678901234567890,"b":"\\\\u003a"}',
])  # fmt: skip
def test_colons_in_texts_are_no_names(body: bytes) -> None:
    assert read_object(body) == orjson.loads(body)
