"""References: their syntax, what they are indexed as, and their rewriting within a Bundle."""

import re
from collections.abc import Mapping
from typing import Any

from fhir_sandbox.refusals import Refusal

_REFERENCE = re.compile(
    r"#[A-Za-z0-9\-.]*|urn:(?:uuid|oid):\S+|https?://\S+"
    r"|[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?",
    re.ASCII,
)
_LINK = re.compile(r'(?<=href=")[^"]+|(?<=src=")[^"]+')


def check_and_rewrite(resource: dict[str, Any], known: Mapping[str, str], *, complete: bool = False) -> None:
    """Check every reference of a resource and put the assigned ids in place of the Bundle's own, in the resource itself.

    FHIR asks for more than `Reference.reference`: uri and url elements and the narrative's links that name an entry of
    the Bundle are rewritten too. `value` is left alone, since an Identifier or a telephone number is no link.

    Parameters
    ----------
    resource
        Changed in place if `known` has any of its references.
    known
        From an entry's fullUrl to the `Type/id` that it was stored as.
    complete
        True in a transaction: a `urn:` reference that is not in `known` is refused.

    Raises
    ------
    Refusal
        400 if a reference is no FHIR reference, or leads nowhere and `complete` is set.
    """
    try:
        _walk(resource, known, complete)
    except RecursionError as error:
        raise Refusal(400, "structure", "the resource is nested too deeply") from error


def _walk(node: Any, known: Mapping[str, str], complete: bool) -> None:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, (dict, list)):
            _walk(value, known, complete)
        elif key == "reference":
            node[key] = _reference(value, known, complete)
        elif known and isinstance(value, str) and key != "value":
            node[key] = _links(value, known) if key == "div" else known.get(value, value)


def _reference(value: object, known: Mapping[str, str], complete: bool) -> str:
    if not isinstance(value, str) or _REFERENCE.fullmatch(value) is None:
        raise Refusal(400, "value", "a reference is not of the form Type/id, an absolute URL, a urn or a #fragment")
    if value in known:
        return known[value]
    if complete and value.startswith("urn:"):
        raise Refusal(400, "not-found", "a urn reference names no entry of the Bundle")
    return value


def _links(narrative: str, known: Mapping[str, str]) -> str:
    return _LINK.sub(lambda match: known.get(match[0], match[0]), narrative)


def target(reference: str, own_base: str) -> str:
    """Give what a reference is indexed as: `Type/id` if it is on this server, else the reference itself.

    A version (`/_history/2`) is cut off: a versioned reference is found by the id, as on real servers.
    """
    if own_base and reference.startswith(own_base + "/"):
        reference = reference[len(own_base) + 1 :]
    return reference.split("/_history/", 1)[0]
