"""What every answer of the sidecar must hold, whichever test asked for it.

Flask's own signals tell of each call of each app that any test makes in this process, through a test client or a server in a
thread; `tests/conftest.py` fails the test in which a rule was broken. A response is held against cds-resp-1 to -7, feedback
that was taken against cds-fb-1 to -3, and an error must be an OperationOutcome: nothing is HTML, and nothing but a low risk,
an unscreened patient or a reader who is no clinician gets an empty array of cards.
"""

import json
import re
from typing import Any

from flask import Flask, Response, g, request, request_finished, request_started

from screening.results.cards.invariants import problems_of_feedback, problems_of_response
from screening.results.cards.shapes import empty, is_text, objects

EMPTY = ("low", "not_screened_high", "not_a_clinician")
"""The kinds of answer that have no card (`cds_hooks.service`)."""
OUTCOME_CODES = {
    "invalid", "login", "forbidden", "not-found", "not-supported", "timeout", "required", "too-long", "throttled",
    "exception", "transient",
}  # fmt: skip
_SERVICE = re.compile(r"/cds-services/[^/]+")
_FEEDBACK = re.compile(r"/cds-services/[^/]+/feedback")
_PAGE = re.compile(r"/models/[^/]+/[^/]+/model-card")
_OF_OURS = re.compile(r"Traceback|\.py\b|<\w|0x[0-9a-f]{6}")
_HEALTH = ("/health", "/health/live", "/health/ready")

broken: list[str] = []
"""What was broken since the last test took it away."""


def problems_of_answer(method: str, path: str, answer: Any) -> list[str]:
    """Return what is wrong with an answer: a `flask.Response`, or what a client made of it."""
    headers, status = answer.headers, answer.status_code
    found = [f"no {name}" for name in ("X-Request-ID", "Cache-Control") if not headers.get(name)]
    if headers.get("X-Content-Type-Options") != "nosniff":
        found.append("a browser may guess the type")
    if not (200 <= status < 300 or 400 <= status < 600):
        found.append("is neither a success nor an error")
    if status == 204 or (method == "HEAD" and not answer.get_data()):
        return found
    if status == 200 and _PAGE.fullmatch(path):
        policy = headers.get("Content-Security-Policy", "")
        return found if "default-src 'none'" in policy else [*found, "a page that scripts can run in"]
    if status == 200 and path == "/metrics":
        return found if answer.mimetype == "text/plain" else [*found, f"is {answer.mimetype}"]
    return found + _of_json(method, path, answer)


def _of_json(method: str, path: str, answer: Any) -> list[str]:
    if answer.mimetype != "application/json":
        return [f"is {answer.mimetype}, not JSON"]
    try:
        content = json.loads(answer.get_data())
    except ValueError:
        return ["is no JSON"]
    if not isinstance(content, dict):
        return ["is no JSON object"]
    if answer.status_code >= 400 and path not in _HEALTH:
        return _of_error(content)
    return _of_success(method, path, content)


def _of_error(content: dict[str, Any]) -> list[str]:
    issues = objects(content.get("issue"))
    if content.get("resourceType") != "OperationOutcome" or not issues:
        return ["is an error without an OperationOutcome (CH-43)"]
    found = list(empty(content))
    for issue in issues:
        if issue.get("severity") not in ("error", "fatal") or issue.get("code") not in OUTCOME_CODES:
            found.append("has an issue without a severity and a code of an error")
        details = issue.get("details")
        text = details.get("text") if isinstance(details, dict) else None
        if not is_text(text) or _OF_OURS.search(f"{text} {issue.get('diagnostics', '')}"):
            found.append("has an issue that says nothing, or shows our code")
    return found


def _of_success(method: str, path: str, content: dict[str, Any]) -> list[str]:
    if method == "POST" and _SERVICE.fullmatch(path):
        return problems_of_response(content)
    if path == "/cds-services":
        listed = isinstance(content.get("services"), list)
        return list(empty(content, keep=("services",))) if listed else ["is a discovery without services (CH-01)"]
    return list(empty(content))


def problems_of_kept_feedback(body: bytes) -> list[str]:
    """Return which of cds-fb-1 to -3 feedback breaks that was taken."""
    return [one for one in problems_of_feedback(json.loads(body)) if "cds-fb" in one]


class _Recorder:
    """A request's body that remembers what was read of it."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.read_so_far = stream, b""

    def read(self, *size: int) -> bytes:
        found: bytes = self._stream.read(*size)
        self.read_so_far += found
        return found


def _begun(sender: Flask, **_: Any) -> None:
    if sender.name == "cds_hooks" and _FEEDBACK.fullmatch(request.path):
        request.environ["wsgi.input"] = _Recorder(request.environ["wsgi.input"])


def _finished(sender: Flask, response: Response, **_: Any) -> None:
    if sender.name != "cds_hooks":
        return
    found = problems_of_answer(request.method, request.path, response)
    recorder = request.environ.get("wsgi.input")
    if isinstance(recorder, _Recorder) and response.status_code == 200:
        found += problems_of_kept_feedback(recorder.read_so_far)
    said = g.get("facts", {}).get("answer")
    if response.status_code == 200 and request.method == "POST" and response.get_data() == b'{"cards":[]}':
        found += [f"{said} looks like all clear" for _ in [0] if said not in EMPTY]
    broken.extend(f"{request.method} {request.path} {response.status_code}: {one}" for one in found)


def listen() -> None:
    """Look at every answer from now on."""
    request_started.connect(_begun)
    request_finished.connect(_finished)


def taken() -> list[str]:
    """Return what was broken, and forget it."""
    found = broken.copy()
    broken.clear()
    return found
