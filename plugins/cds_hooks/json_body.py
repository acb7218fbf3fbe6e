"""The body of a request: bytes in, one JSON object out, or a refusal that repeats nothing of it."""

from typing import Any

import orjson

from cds_hooks.refusals import Refusal


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object (RFC 8259): UTF-8, finite numbers, nested at most some 250 deep, no member said twice.

    RFC 8259 leaves open which of two members of one name counts. Another reader of the same body (a gateway, an audit log)
    may take the first where we take the last, and then two patients were meant: so neither is taken.

    Raises
    ------
    Refusal
        400, for all else.
    """
    try:
        content = orjson.loads(body)
        again = orjson.dumps(content)
    except orjson.JSONDecodeError:
        raise Refusal(400, "The body is no JSON: send a CDS Hooks request in UTF-8.", diagnostics="body") from None
    except (orjson.JSONEncodeError, RecursionError):  # what is read may be nested deeper than what can be written
        raise Refusal(400, "The body is nested too deeply: nothing in FHIR is.", diagnostics="body") from None
    if not isinstance(content, dict):
        raise Refusal(400, "The body must be a JSON object.", diagnostics="body")
    # Whatever was said twice is gone from what was read: only then it holds fewer names than the body. Most clients write
    # as it is written again here, and then there is nothing to count.
    if again != body and _names(body) > _names_again(again):
        raise Refusal(
            400, "The body has an object with two members of one name: send each name once.", diagnostics="body"
        )
    return content


def _names(text: bytes) -> int:
    """Count where a member's name ends. Within a text that can stand too, but as often when written again, or more often."""
    return text.translate(None, b" \t\r\n").count(b'":')


def _names_again(text: bytes) -> int:
    """Count in what orjson has written: it has white space in texts alone, and there it matters by quotation marks only."""
    return _names(text) if b'\\"' in text else text.count(b'":')
