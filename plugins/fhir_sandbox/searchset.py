"""A search carried out and its Bundle, put together from the stored bytes."""

from typing import Any
from urllib.parse import quote, urlencode

import orjson

from fhir_sandbox import query as queries
from fhir_sandbox import search
from fhir_sandbox.calls import Answer, Call, Context
from fhir_sandbox.cursors import Cursor
from fhir_sandbox.query import Query
from fhir_sandbox.refusals import Refusal, outcome_bytes
from fhir_sandbox.session import Reader

# What FHIR makes mandatory of the types that are searched most; `_elements` keeps it.
_MANDATORY = {
    "Observation": ("status", "code"),
    "Encounter": ("status", "class"),
    "Condition": ("subject",),
    "MedicationRequest": ("status", "intent", "medicationCodeableConcept", "medicationReference", "subject"),
    "MedicationAdministration": ("status", "medicationCodeableConcept", "medicationReference", "subject"),
    "RiskAssessment": ("status", "subject"),
    "Group": ("type", "actual"),
}
_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def answer(reader: Reader, call: Call, resource_type: str, context: Context) -> Answer:
    """Answer a search, by its parameters or by a next link.

    Raises
    ------
    Refusal
        400 for parameters that are unknown or malformed, and for a next link that this server did not give out; 410
        for one that has expired.
    """
    given = queries.pairs(call.query) + call.form
    if any(name == "_cursor" for name, _ in given):
        if len(given) != 1:
            raise Refusal(400, "invalid", "a next link must be followed as it is, without further parameters")
        token = given[0][1]
        cursor = context.cursors.find(token, resource_type, context.behaviour.cursor_ttl_s)
        address = f"{resource_type}?_cursor={quote(token, safe='=')}"
        return _page(reader, cursor.query, cursor, address, context)
    wanted = queries.read(resource_type, given, context.behaviour, context.base)
    address = f"{resource_type}?{urlencode(wanted.used)}" if wanted.used else resource_type
    return _page(reader, wanted, None, address, context)


def _page(reader: Reader, wanted: Query, cursor: Cursor | None, address: str, context: Context) -> Answer:
    selection = search.select(wanted.type, wanted.filters)
    if cursor is not None:
        total = cursor.total
    elif wanted.total:
        total = 0 if wanted.nothing else search.count(reader, selection)
    else:
        total = None
    rows = []
    if not (wanted.bare or wanted.nothing):
        after = None if cursor is None else cursor.after
        rows = search.page(reader, selection, wanted.sort, after, wanted.count + 1)
    links = [{"relation": "self", "url": f"{context.root}/{address}"}]
    if len(rows) > wanted.count:
        rows.pop()
        token = context.cursors.give(Cursor(wanted, rows[-1].key, total))
        links.append({"relation": "next", "url": f"{context.root}/{wanted.type}?_cursor={token}"})
    entries = [_entry(wanted, row, context.base) for row in rows]
    if context.behaviour.outcome_entries:
        entries.append(_outcome_entry(wanted))
    return Answer(200, _bundle(total, links, entries))


def _bundle(total: int | None, links: list[dict[str, str]], entries: list[bytes]) -> bytes:
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = links
    opened = orjson.dumps(head)[:-1]
    return opened + b',"entry":[' + b",".join(entries) + b"]}" if entries else opened + b"}"  # FHIR has no empty arrays


def _entry(wanted: Query, row: search.Row, base: str) -> bytes:
    body = _subset(wanted, row.body) if wanted.elements else row.body
    address = f"{base}/{wanted.type}/{row.id}".encode()
    return b'{"fullUrl":"' + address + b'","resource":' + body + b',"search":{"mode":"match"}}'


def _subset(wanted: Query, body: bytes) -> bytes:
    resource = orjson.loads(body)
    keep = {"resourceType", "id", "meta", *_MANDATORY.get(wanted.type, ()), *wanted.elements}
    part = {name: value for name, value in resource.items() if name in keep}
    part["meta"] = {**part["meta"], "tag": [*part["meta"].get("tag", []), _SUBSETTED]}
    return orjson.dumps(part)


def _outcome_entry(wanted: Query) -> bytes:
    told = f"not understood: {', '.join(wanted.ignored)}" if wanted.ignored else "the search was carried out"
    severity = "warning" if wanted.ignored else "information"
    return b'{"resource":' + outcome_bytes(severity, "informational", told) + b',"search":{"mode":"outcome"}}'
