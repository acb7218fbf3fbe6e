"""The body of a request: bytes in, one JSON object out, or a refusal that repeats nothing of it."""

import json
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
    if again != body and _colons(body) > again.count(b":") and _says_a_name_twice(body):
        raise Refusal(
            400, "The body has an object with two members of one name: send each name once.", diagnostics="body"
        )
    return content


def _colons(body: bytes) -> int:
    """Count the colons, and what may stand for one in a text.

    Written again it has as many if nothing was lost, and fewer if a name was said twice: then one member of the two is gone.
    """
    found = body.count(b":")
    return found + body.count(b"\\u003a") + body.count(b"\\u003A") if b"\\u00" in body else found


def _says_a_name_twice(body: bytes) -> bool:
    """Tell for certain, which takes ten times as long as to read the body."""
    found = False

    def look(members: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(dict(members)) < len(members)

    json.loads(body, object_pairs_hook=look, parse_int=str, parse_float=str)
    return found
