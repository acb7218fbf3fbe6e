"""One line of JSON for each call: who asked, what became of it, how long it took. Never data, tokens or a URL's query.

A text from outside is shortened and stripped of control characters, so that nobody writes lines of their own into the log.
"""

import logging
import re
from typing import Any
from uuid import uuid4

import orjson

from cds_hooks.log_lines import say

log = logging.getLogger("cds_hooks.calls")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_ODD = re.compile(r"[^ -~]")
_NO_NAME = re.compile(r"[^A-Za-z0-9._:\-]")


def request_id(given: str | None) -> str:
    """Return the caller's own `X-Request-ID` where it is fit to be logged, else a fresh one."""
    return given if given and _REQUEST_ID.fullmatch(given) else uuid4().hex


def plain(text: str | None, longest: int = 128) -> str | None:
    """Return a text of the caller's that may stand in a log."""
    return _ODD.sub("?", text[:longest]) if text else None


def identifier(text: str, longest: int = 64) -> str:
    """Return what a caller calls its call: letters, digits and - . _ : alone, for a text of its own may hold anything."""
    return _NO_NAME.sub("?", text[:longest])


def write(severity: int, **fields: Any) -> None:
    """Log one call; a field that is None is left out."""
    say(log, severity, orjson.dumps({key: value for key, value in fields.items() if value is not None}).decode())
