"""From the bytes of an answer to a FHIR resource, or to the reason why there is none."""

from collections.abc import Iterable
from typing import Any

import orjson

from screening.fhir_client.exchange import FHIR_JSON, Fault, Resource

# http://hl7.org/fhir/R4/valueset-issue-type.html. Other text in Issue.code is not ours to repeat: it may be anything.
# fmt: off
_ISSUE_CODES = frozenset({
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired",
    "forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found",
    "deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient",
    "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled", "informational",
})
# fmt: on
_JSON_TYPES = (FHIR_JSON, "application/json")
_BOM = b"\xef\xbb\xbf"


def resource_of(body: bytes, *, announced_empty: bool = False) -> tuple[Resource | None, Fault | None]:
    """Read the body of a 2xx answer that must be a resource.

    Parameters
    ----------
    body
        After decompression.
    announced_empty
        True where the server itself said that the body has no bytes; otherwise an empty body counts as cut off.

    Returns
    -------
    tuple
        The resource and None, or None and the fault: TRUNCATED for the beginning of a JSON object, NOT_FHIR for all
        else (HTML, XML, broken JSON, JSON without a resourceType).
    """
    text = body.removeprefix(_BOM).strip()
    if not text:
        return None, Fault.NOT_FHIR if announced_empty else Fault.TRUNCATED
    if not text.startswith(b"{"):
        return None, Fault.NOT_FHIR
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, Fault.TRUNCATED if _ends_too_early(text) else Fault.NOT_FHIR
    return (content, None) if is_resource(content) else (None, Fault.NOT_FHIR)


def _ends_too_early(text: bytes) -> bool:
    """Tell the beginning of a JSON object from what never was one."""
    try:
        whole = text.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return False
        whole = text[: error.start].decode("utf-8")
    try:
        orjson.loads(whole)
    except orjson.JSONDecodeError as error:
        return error.pos >= len(whole)
    return False


def is_resource(content: object) -> bool:
    """Tell a FHIR resource in JSON: an object with a resourceType."""
    return isinstance(content, dict) and isinstance(content.get("resourceType"), str)


def issue_codes(outcome: object, severities: Iterable[str] | None = None) -> tuple[str, ...]:
    """Give the issue codes of an OperationOutcome, each once, in order.

    Only the codes that R4 defines are told; another text counts as `unknown`, for diagnostics and texts of servers
    name patients.

    Parameters
    ----------
    outcome
        Anything; what is no OperationOutcome has no codes.
    severities
        Only issues of these severities; None for all.
    """
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return ()
    wanted = None if severities is None else tuple(severities)  # asked of anything, also of what has no hash
    codes: dict[str, None] = {}
    for issue in dicts(outcome.get("issue")):
        if wanted is None or issue.get("severity") in wanted:
            code = issue.get("code")
            codes[code if isinstance(code, str) and code in _ISSUE_CODES else "unknown"] = None
    return tuple(codes)


def is_json_type(content_type: str) -> bool:
    """Tell a Content-Type of FHIR in JSON: `application/fhir+json` or `application/json`, whatever its parameters."""
    return content_type.partition(";")[0].strip().lower() in _JSON_TYPES


def codes_of_body(body: bytes) -> tuple[str, ...]:
    """Give the issue codes of the body of an answer that is not 2xx; none where it is no OperationOutcome."""
    try:
        return issue_codes(orjson.loads(body.removeprefix(_BOM)))
    except orjson.JSONDecodeError:
        return ()


def dicts(value: object) -> list[dict[str, Any]]:
    """Give the JSON objects in a JSON array; none where it is something else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
