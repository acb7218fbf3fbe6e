"""Create, update and delete, with and without a condition.

Every function is given the store's one writer, so that a condition and the write that hangs on it cannot come apart:
of two creates with the same If-None-Exist at the same time one writes.
"""

import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from fhir_sandbox import query, search, structure
from fhir_sandbox.calls import Answer, Call, Context, check_if_match
from fhir_sandbox.names import UUID
from fhir_sandbox.refusals import Refusal
from fhir_sandbox.routes import Kind, Route
from fhir_sandbox.session import Reader, Stored, Writer


@dataclass(frozen=True, slots=True)
class Identity:
    """Which resource a write is about.

    Attributes
    ----------
    id
        Of the resource that its condition matches, or else the id to create it under.
    exists
        True if the condition of a conditional write matches a resource, which then is this one.
    """

    id: str
    exists: bool


def identify(reader: Reader, call: Call, route: Route, context: Context) -> Identity:
    """Find which resource a create or an update is about.

    Raises
    ------
    Refusal
        412 if its condition matches several resources; 400 if the condition is malformed or the server has no
        conditional writes; 409 if an update without a match brings the id of a resource that the condition misses.
    """
    if route.kind is Kind.CONDITIONAL_UPDATE:
        return _identify_update(reader, call, route, context)
    if route.kind is Kind.CREATE and call.if_none_exist is not None:
        return _match(reader, route.type, call.if_none_exist, context) or Identity(str(uuid.uuid4()), False)
    return Identity(route.id or str(uuid.uuid4()), False)


def _identify_update(reader: Reader, call: Call, route: Route, context: Context) -> Identity:
    found = _match(reader, route.type, call.query, context)
    own_id = structure.check(call.body, route.type).get("id")
    if found is not None:
        if own_id not in (None, found.id):
            raise Refusal(400, "invalid", "the resource's id is not that of the resource that the condition matches")
        return found
    if own_id is None:
        return Identity(str(uuid.uuid4()), False)
    if (newest := reader.newest(route.type, own_id)) is not None and newest.body is not None:
        raise Refusal(409, "conflict", "the resource's id belongs to a resource that the condition does not match")
    _check_client_id(own_id, context)
    return Identity(own_id, False)


def _match(reader: Reader, resource_type: str, condition: str, context: Context) -> Identity | None:
    if not context.behaviour.conditional_writes:
        raise Refusal(400, "not-supported", "this server has no conditional writes")
    selection = search.select(resource_type, query.condition(resource_type, condition, context.base))
    rows = search.page(reader, selection, "", None, 2)
    if len(rows) > 1:
        raise Refusal(412, "multiple-matches", f"the condition matches more than one {resource_type}")
    return Identity(rows[0].id, True) if rows else None


def create(writer: Writer, call: Call, route: Route, context: Context, identity: Identity) -> Answer:
    """Create a resource; answer 201, or 200 with the one that the condition matches.

    Raises
    ------
    Refusal
        400 if the body is no resource of this type.
    """
    resource = structure.check(call.body, route.type)
    if identity.exists:
        existing = writer.newest(route.type, identity.id)
        if existing is not None and existing.body is not None:
            return _written(200, existing, call)
    return _written(201, writer.put(resource, identity.id, None, "POST", context.base), call)


def update(writer: Writer, call: Call, route: Route, context: Context, identity: Identity) -> Answer:
    """Update a resource, or create it under the given id; a body that changes nothing makes no version.

    Raises
    ------
    Refusal
        400 if the body is no resource of this type or has another id than the address, 412 if If-Match names another
        version, and 404 or 400 if the id is new and the server takes no ids from clients.
    """
    resource = structure.check(call.body, route.type)
    if route.id and resource.get("id") != route.id:
        raise Refusal(400, "invalid", "the resource's id is not that of the address")
    before = writer.newest(route.type, identity.id)
    check_if_match(call.if_match, before)
    if before is not None and before.body is not None and _same(resource, before.body):
        return _written(200, before, call)
    if before is None and route.id:
        _check_client_id(route.id, context)
    created = before is None or before.body is None
    after = writer.put(resource, identity.id, before, "PUT", context.base)
    return _written(201 if created else 200, after, call)


def delete(writer: Writer, call: Call, route: Route) -> Answer:
    """Delete a resource; answer 204, also if it is deleted already.

    Raises
    ------
    Refusal
        404 if there never was such a resource, 412 if If-Match names another version.
    """
    before = writer.newest(route.type, route.id)
    if before is None:
        raise Refusal(404, "not-found", f"{route.type}/{route.id} is not known")
    check_if_match(call.if_match, before)
    gone = before if before.body is None else writer.delete(before)
    return Answer(204, None, gone, written=True)


def _check_client_id(resource_id: str, context: Context) -> None:
    if context.behaviour.client_ids == "refused":
        if UUID.fullmatch(resource_id) is None:
            raise Refusal(400, "value", "Invalid id: this server gives the ids itself")
        raise Refusal(404, "not-found", "not known, and this server gives the ids itself")


def _same(resource: dict[str, Any], stored: bytes) -> bool:
    return _content(resource) == _content(orjson.loads(stored))


def _content(resource: dict[str, Any]) -> bytes:
    # As JSON, since Python takes 1, 1.0 and true for the same.
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    return orjson.dumps({**resource, "id": None, "meta": meta}, option=orjson.OPT_SORT_KEYS)


def _written(status: int, version: Stored, call: Call) -> Answer:
    return Answer(status, None if call.prefer == "minimal" else version.body, version, written=True)
