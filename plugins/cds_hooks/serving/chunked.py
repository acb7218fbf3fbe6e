"""A body in chunks (RFC 9112, section 7.1), taken as its bytes come in."""

import re

from cds_hooks.refusals import Refusal

# chunk-size, then an extension, which nobody needs and which is passed over.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_MAX_LINE, _MAX_TRAILERS = 1024, 8192
MAX_CHUNKS = 16_384
"""Clients cut a body into some kilobytes each. Into single bytes it would cost a second of CPU to put together."""


class ChunkedBody:
    """Puts a body together, whatever the pieces in which the network delivers it.

    Parameters
    ----------
    limit
        Bytes of body from which on it is `too_long`; nothing more of it is kept then.

    Attributes
    ----------
    body
        What there is of it.
    too_long
        Whether a chunk was announced that would exceed the limit.
    """

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self.too_long = False
        self._limit = limit
        self._chunks = self._trailers = 0
        self._left = 0
        self._step = self._size

    def take(self, arrived: bytearray) -> bool:
        """Take from the front of `arrived` what belongs to the body; return whether the body has ended.

        Raises
        ------
        Refusal
            400 where these are no chunks.
        """
        while (ended := self._step(arrived)) is None:
            pass
        return ended

    # Each step returns True at the end, False where it needs more bytes, and None where the next step can go on.

    def _size(self, arrived: bytearray) -> bool | None:
        line = _line(arrived)
        if line is None:
            return False
        found = _SIZE_LINE.fullmatch(line)
        self._chunks += 1
        if found is None or self._chunks > MAX_CHUNKS:
            raise _malformed()
        self._left = int(found[1], 16)
        if len(self.body) + self._left > self._limit:
            self.too_long = True
            return True
        self._step = self._data if self._left else self._trailer
        return None

    def _data(self, arrived: bytearray) -> bool | None:
        part = arrived[: self._left]
        self.body += part
        del arrived[: len(part)]
        self._left -= len(part)
        if self._left:
            return False
        self._step = self._end_of_data
        return None

    def _end_of_data(self, arrived: bytearray) -> bool | None:
        if len(arrived) < 2:
            return False
        if arrived[:2] != b"\r\n":
            raise _malformed()
        del arrived[:2]
        self._step = self._size
        return None

    def _trailer(self, arrived: bytearray) -> bool | None:
        line = _line(arrived)
        if line is None:
            return False
        self._trailers += len(line)
        if self._trailers > _MAX_TRAILERS:
            raise _malformed()
        return True if not line else None


def _line(arrived: bytearray) -> bytearray | None:
    """Take a line from the front; None where it has not ended yet."""
    end = arrived.find(b"\r\n", 0, _MAX_LINE)
    if end < 0:
        if len(arrived) >= _MAX_LINE:
            raise _malformed()
        return None
    line = arrived[:end]
    del arrived[: end + 2]
    return line


def _malformed() -> Refusal:
    return Refusal(400, "The body is not in the chunks that Transfer-Encoding: chunked announces.")
