"""The little of a resource's structure without which it can be neither stored nor found."""

from typing import Any

from fhir_sandbox.names import ID, RESOURCE_TYPES
from fhir_sandbox.refusals import Refusal


def check(body: object, resource_type: str | None = None) -> dict[str, Any]:
    """Give the body back if it is a resource, of this type if one is named.

    Raises
    ------
    Refusal
        400 if it is no JSON object, of no type of R4 or of another one, or has an id or a meta that is none.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "structure", "a resource must be a JSON object")
    stated = body.get("resourceType")
    if stated not in RESOURCE_TYPES:
        raise Refusal(400, "structure", "resourceType is not a resource type that can be stored")
    if resource_type is not None and stated != resource_type:
        raise Refusal(400, "invalid", f"resourceType is {stated}, the address says {resource_type}")
    resource_id = body.get("id")
    if "id" in body and (not isinstance(resource_id, str) or ID.fullmatch(resource_id) is None):
        raise Refusal(400, "value", "the resource's id is not 1 to 64 letters, digits, '-' or '.'", expression="id")
    if not isinstance(body.get("meta", {}), dict):
        raise Refusal(400, "structure", "meta must be an object", expression="meta")
    return body
