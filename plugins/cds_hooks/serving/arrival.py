"""When a request is there: its head and its whole body, put together from what the network delivers."""

import io
from typing import Any

from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from cds_hooks.refusals import Refusal
from cds_hooks.serving.chunked import ChunkedBody

MAX_HEAD = 65_536
"""Bytes of request line and headers together; a JWT takes one or two thousand."""
_TO_TOO_LONG = "The request's line or its headers are longer than this service reads."
_OTHER_CODING = "This service reads no transfer coding but chunked."


class Arrival:
    """The requests of one connection, one after the other.

    gunicorn's own parser reads the head, and its reading alone says where the body ends: with two readers of one
    Content-Length the same bytes could be two different requests.

    Parameters
    ----------
    cfg
        gunicorn's configuration, with the limits of a head.
    peer
        The client's address, as `socket.accept` gives it.
    max_body
        Bytes; of a longer body nothing is kept.
    """

    def __init__(self, cfg: Any, peer: Any, max_body: int) -> None:
        self._cfg, self._peer, self._max_body = cfg, peer, max_body
        self._arrived = bytearray()
        self._searched = 0
        self._request: Any = None
        self._chunks: ChunkedBody | None = None
        self._length = self._number = 0

    def __len__(self) -> int:
        """Return how many bytes are kept."""
        return len(self._arrived) + (len(self._chunks.body) if self._chunks else 0)

    @property
    def begun(self) -> bool:
        """Whether a part of a request is there."""
        return bool(self._arrived) or self._request is not None

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._arrived += data

    def take(self) -> Any:
        """Return the next request once it is there as a whole (gunicorn's `Request`, its body a BytesIO), else None.

        A body in chunks is put together, and then has a Content-Length like any other. Of a body that is too long the
        request comes at once, without it: the application sees from its Content-Length that it has to refuse it. Then
        `request.must_close` is set, since where the next request would begin is unknown.

        Raises
        ------
        Refusal
            Where no request can be made of the bytes. The connection must be closed.
        """
        if self._request is None and not self._take_head():
            return None
        whole = self._take_chunked() if self._chunks else self._take_counted()
        if whole is None:
            return None
        request, self._request, self._chunks, self._searched = self._request, None, None, 0
        request.body = io.BytesIO(whole)
        return request

    def invites(self) -> bool:
        """Return, once, whether the client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1)."""
        if self._request is None or not self._request._expected_100_continue:
            return False
        self._request._expected_100_continue = False
        return not self._arrived

    def _take_head(self) -> bool:
        end = self._arrived.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self._arrived)
        if (end if end >= 0 else self._searched) > MAX_HEAD:
            raise Refusal(431, _TO_TOO_LONG)
        if end < 0:
            return False
        head = bytes(self._arrived[: end + 4])
        del self._arrived[: end + 4]
        self._number += 1
        self._request = request = _parse(self._cfg, head, self._peer, self._number)
        reader = request.body.reader
        if isinstance(reader, ChunkedReader):
            _check_codings(request)
            self._chunks = ChunkedBody(self._max_body)
        else:
            self._length = int(reader.length)
        return True

    def _take_counted(self) -> bytes | None:
        if self._length > self._max_body:
            return self._without_body()
        if len(self._arrived) < self._length:
            return None
        body = bytes(self._arrived[: self._length])
        del self._arrived[: self._length]
        self._request._expected_100_continue = False
        return body

    def _take_chunked(self) -> bytes | None:
        assert self._chunks is not None  # noqa: S101 - for the type checker
        if not self._chunks.take(self._arrived):
            return None
        headers = [(name, value) for name, value in self._request.headers if name != "TRANSFER-ENCODING"]
        length = self._max_body + 1 if self._chunks.too_long else len(self._chunks.body)
        self._request.headers = [*headers, ("CONTENT-LENGTH", str(length))]
        return self._without_body() if self._chunks.too_long else bytes(self._chunks.body)

    def _without_body(self) -> bytes:
        self._arrived.clear()
        self._request.must_close = True
        self._request._expected_100_continue = False
        return b""


def _check_codings(request: Any) -> None:
    """Refuse what is in chunks and coded besides: gunicorn takes `gzip, chunked`, and nobody here would undo the gzip."""
    codings = [value for name, value in request.headers if name == "TRANSFER-ENCODING"]
    if [value.lower() for value in codings] != ["chunked"]:
        raise Refusal(501, _OTHER_CODING)


def _parse(cfg: Any, head: bytes, peer: Any, number: int) -> Any:
    """Return gunicorn's reading of a head; a refusal repeats nothing of it, for it may hold a token."""
    try:
        return Request(cfg, IterUnreader([head]), peer, number)
    except errors.LimitRequestLine as error:
        raise Refusal(414, _TO_TOO_LONG) from error
    except errors.LimitRequestHeaders as error:
        raise Refusal(431, _TO_TOO_LONG) from error
    except errors.UnsupportedTransferCoding as error:
        raise Refusal(501, _OTHER_CODING) from error
    except errors.ExpectationFailed as error:
        raise Refusal(417, "This service knows no expectation but 100-continue.") from error
    except (errors.ParseException, errors.NoMoreData, StopIteration) as error:
        raise Refusal(400, "This is no HTTP/1.1 request: its first line or a header is malformed.") from error
