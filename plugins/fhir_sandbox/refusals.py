"""What the sandbox refuses, and the OperationOutcome that says so."""

from collections.abc import Mapping
from typing import Any

import orjson

FHIR_JSON = "application/fhir+json"


class Refusal(Exception):  # noqa: N818 - an answer to the client, not a defect
    """An interaction that is answered with an OperationOutcome instead of being carried out.

    Attributes
    ----------
    status
        The HTTP status of the answer.
    code
        The issue's code, from FHIR's value set issue-type.
    diagnostics
        One sentence for the client; it names parameters and elements, never their values.
    expression
        FHIRPath of the element at fault, or None.
    headers
        Further HTTP headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        diagnostics: str,
        *,
        expression: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.diagnostics = diagnostics
        self.expression = expression
        self.headers = dict(headers or {})
        super().__init__(diagnostics)

    def outcome(self) -> dict[str, Any]:
        """Give the OperationOutcome of this refusal."""
        return outcome("error", self.code, self.diagnostics, self.expression)

    def inside(self, place: str) -> "Refusal":
        """Give the same refusal as seen from the Bundle whose element `place` caused it."""
        return Refusal(self.status, self.code, f"{place}: {self.diagnostics}", expression=place, headers=self.headers)


def outcome(severity: str, code: str, diagnostics: str, expression: str | None = None) -> dict[str, Any]:
    """Make an OperationOutcome with one issue."""
    issue: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": diagnostics}
    if expression is not None:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def outcome_bytes(severity: str, code: str, diagnostics: str) -> bytes:
    """Make an OperationOutcome with one issue as JSON."""
    return orjson.dumps(outcome(severity, code, diagnostics))
