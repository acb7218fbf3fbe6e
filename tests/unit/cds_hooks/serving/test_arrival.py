"""A request is there when all its bytes are, however the network cuts them."""

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.refusals import Refusal
from cds_hooks.serving.arrival import MAX_HEAD, Arrival
from cds_hooks.serving.chunked import MAX_CHUNKS

CFG = Config()
CFG.set("http_parser", "python")
MAX_BODY = 1000
POST = b"POST /cds-services/sepsis-risk HTTP/1.1\r\nHost: x\r\n"
COUNTED = POST + b"Content-Length: 11\r\n\r\nhello world"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def arrival() -> Arrival:
    return Arrival(CFG, ("127.0.0.1", 1), MAX_BODY)


def all_of(pieces: list[bytes]) -> list[tuple[str, str, bytes]]:
    """The requests that come out of these pieces."""
    found, one = [], arrival()
    for piece in pieces:
        one.feed(piece)
        while request := one.take():
            length = dict(request.headers).get("CONTENT-LENGTH", "")
            found.append((request.method, length, request.body.read()))
    return found


def refused(data: bytes) -> Refusal:
    one = arrival()
    one.feed(data)
    with pytest.raises(Refusal) as caught:
        one.take()
    return caught.value


@given(st.lists(st.sampled_from([COUNTED, CHUNKED, GET]), min_size=1, max_size=4), st.lists(st.integers(0, 600)))
def test_how_the_bytes_are_cut_changes_nothing(requests: list[bytes], cuts: list[int]) -> None:
    data = b"".join(requests)
    ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(ends)]
    body = ("POST", "11", b"hello world")
    assert all_of(pieces) == [("GET", "", b"") if one is GET else body for one in requests]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_a_refusal_or_the_beginning_of_one(data: bytes) -> None:
    one = arrival()
    one.feed(POST + data)
    with suppress(Refusal):
        one.take()


def test_ch20_of_a_body_that_is_too_long_nothing_is_kept() -> None:
    one = arrival()
    one.feed(POST + b"Content-Length: 100000000\r\n\r\n" + b"x" * 500)
    request = one.take()
    assert (request.body.read(), request.must_close, len(one)) == (b"", True, 0)
    assert dict(request.headers)["CONTENT-LENGTH"] == "100000000"


def test_ch20_chunks_that_are_too_long_together_end_the_request_at_once() -> None:
    one = arrival()
    one.feed(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"190\r\n" + b"x" * 400 + b"\r\n259\r\n")
    request = one.take()
    assert (request.body.read(), request.must_close, len(one)) == (b"", True, 0)
    assert int(dict(request.headers)["CONTENT-LENGTH"]) > MAX_BODY


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),  # TLS on a port without
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nAuthorization: a\x00b\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: magic\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Expect: miracles\r\n\r\n", 417),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (b"x" * (MAX_HEAD + 1), 431),
    ],
)
def test_ch20_what_is_no_request_is_refused_and_nothing_of_it_repeated(data: bytes, status: int) -> None:
    refusal = refused(data)
    assert refusal.status == status
    assert "xxx" not in refusal.text
    assert "miracles" not in refusal.text


CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"hello", b"5\r\nhello!\r\n", b"-5\r\n", b"0x5\r\nhello\r\n", b" 5\r\nhello\r\n", b"\r\n", b"5\n\r\nhello\r\n",
        b"123456789\r\n", b"5;" + b"x" * 2000, b"0\r\n" + b"X: y\r\n" * 3000, b"1\r\nx\r\n" * 900 + b"5;\x01\r\n",
    ],
)  # fmt: skip
def test_ch20_what_are_no_chunks_is_refused(body: bytes) -> None:
    one = arrival()
    one.feed(CHUNKS + body + (b"\r\n" * 20 if body == b"hello" else b""))
    with pytest.raises(Refusal, match="chunks"):
        one.take()


def test_a_body_cut_into_single_bytes_is_refused_before_it_costs_time() -> None:
    one = Arrival(CFG, ("127.0.0.1", 1), 10**7)
    one.feed(CHUNKS + b"1\r\nx\r\n" * (MAX_CHUNKS + 1))
    with pytest.raises(Refusal, match="chunks"):
        one.take()


@pytest.mark.parametrize("framing", [b"Content-Length: 11\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_client_that_waits_to_be_asked_for_its_body_is_asked_once(framing: bytes) -> None:
    one = arrival()
    one.feed(POST + framing + b"Expect: 100-continue\r\n\r\n")
    assert one.take() is None
    assert [one.invites(), one.invites()] == [True, False]
    one.feed(COUNTED.split(b"\r\n\r\n")[1] if b"Length" in framing else CHUNKED.split(b"\r\n\r\n", 1)[1])
    request: Any = one.take()
    assert request.body.read() == b"hello world"
    assert not request._expected_100_continue  # else gunicorn would ask in the middle of the answer


def test_a_client_that_does_not_wait_is_not_asked() -> None:
    one = arrival()
    one.feed(POST + b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\nhel")
    assert one.take() is None
    assert not one.invites()


def test_begun_tells_a_slow_client_from_one_that_only_connected() -> None:
    one = arrival()
    assert not one.begun
    one.feed(POST)
    assert one.begun
    one.feed(b"Content-Length: 11\r\n\r\n")
    assert one.take() is None
    assert one.begun  # the head was taken, and not a byte of the body is there
    one.feed(b"hello world")
    assert one.take() is not None
    assert not one.begun
