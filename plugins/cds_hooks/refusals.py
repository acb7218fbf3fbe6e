"""A request that gets no card: what is wrong, for whoever integrates, as a FHIR OperationOutcome.

A clinician's screen shows nothing for an error and nothing for "no guidance": so that the two never look alike, whatever
goes wrong leaves as a 4xx or 5xx with a body that says so, and never as 200 with no cards.
"""

from collections.abc import Mapping
from typing import Any

# https://hl7.org/fhir/R4/valueset-issue-type.html
_CODES = {
    400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 408: "timeout",
    412: "required", 413: "too-long", 415: "not-supported", 429: "throttled", 431: "too-long", 500: "exception",
    503: "transient",
}  # fmt: skip


class Refusal(Exception):  # noqa: N818 - an answer, not a defect
    """An answer of 4xx or 5xx.

    Attributes
    ----------
    status
        The HTTP status.
    text
        One sentence for whoever integrates: what is wrong and what to do. No value of the request is repeated in it.
    diagnostics
        Where: the names of fields, prefetch keys or scopes. Never anything of the patient but the logical id.
    headers
        Further headers of the answer, such as `Retry-After`.
    """

    def __init__(
        self, status: int, text: str, *, diagnostics: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.text, self.diagnostics, self.headers = status, text, diagnostics, dict(headers or {})
        super().__init__(text)


def operation_outcome(status: int, text: str, diagnostics: str | None = None) -> dict[str, Any]:
    """Return the OperationOutcome of a refusal (https://hl7.org/fhir/R4/operationoutcome.html)."""
    fallback = "exception" if status >= 500 else "invalid"
    issue: dict[str, Any] = {
        "severity": "fatal" if status >= 500 else "error",
        "code": _CODES.get(status, fallback),
        "details": {"text": text},
    }
    if diagnostics:
        issue["diagnostics"] = diagnostics
    return {"resourceType": "OperationOutcome", "issue": [issue]}
