"""The head of an answer is gunicorn's, for less of its time."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi

from cds_hooks.serving import answers
from cds_hooks.serving.application import Outgoing
from cds_hooks.serving.arrival import Arrival

CFG = Config()
NOON = 1_772_366_400.25


def head(kind: Any, request: str, headers: list[tuple[str, str]], *, close: bool = False) -> list[str]:
    arrival = Arrival(CFG, ("127.0.0.1", 1), 1000)
    arrival.feed(request.encode())
    response = kind(arrival.take(), Outgoing(), CFG)
    response.start_response("200 OK", headers)
    if close:
        response.force_close()
    found: list[str] = response.default_headers()
    return found


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("headers", [[("Content-Length", "2")], []], ids=["counted", "not counted"])
@pytest.mark.parametrize("first", ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0"])
@pytest.mark.parametrize("more", ["", "Connection: close\r\n", "Connection: keep-alive\r\n"])
def test_the_first_lines_are_gunicorn_s(
    monkeypatch: pytest.MonkeyPatch, first: str, more: str, headers: list[tuple[str, str]], close: bool
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOON)
    request = f"{first}\r\nHost: x\r\n{more}\r\n"
    assert head(answers.Response, request, headers, close=close) == head(wsgi.Response, request, headers, close=close)


def test_the_date_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = []
    for now in (NOON, NOON + 0.5, NOON + 1, NOON + 90_000):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        (line,) = [
            one for one in head(answers.Response, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", []) if one.startswith("Date: ")
        ]
        dates.append(parsedate_to_datetime(line.removeprefix("Date: ").strip()).timestamp())
    assert dates == [int(NOON), int(NOON), int(NOON) + 1, int(NOON) + 90_000]
