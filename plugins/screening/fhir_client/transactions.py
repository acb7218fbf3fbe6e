"""Send a Bundle of writes that somebody else has composed, and look at the fate of every entry."""

from dataclasses import replace

import orjson

from screening.errors import FhirFatalError, FhirNotFhir
from screening.fhir_client.bundles import replies_of_batch
from screening.fhir_client.creation import location_of
from screening.fhir_client.exchange import FHIR_JSON, Answer, Reply, Request, Resource
from screening.fhir_client.questions import etag_of
from screening.fhir_client.transport import Transport

_REPEATABLE = ("PUT", "GET", "HEAD", "DELETE")


def transact(transport: Transport, bundle: Resource) -> list[Answer]:
    """POST one transaction or batch; see `client.FhirClient.transact`."""
    entries = bundle.get("entry") or []
    request = Request(
        "POST",
        transport.address.base,
        orjson.dumps(bundle),
        {"Content-Type": FHIR_JSON},
        repeatable=all(_repeatable(entry) for entry in entries),
        label=f"{bundle.get('type')} of {len(entries)}",
    )
    reply = transport.send(request)
    if not reply.ok:
        raise transport.error(request, reply)
    # A server may run a transaction as a batch (Medplum by default), so every entry's own status is looked at.
    replies = replies_of_batch(reply, len(entries))
    if replies is None:
        raise FhirNotFhir(f"{request.name}: the answer is no response Bundle with one entry for each of ours")
    kinds = [(entry.get("resource") or {}).get("resourceType", "") for entry in entries]
    return [_answer(transport, request, one, kind) for one, kind in zip(replies, kinds, strict=True)]


def _repeatable(entry: Resource) -> bool:
    request = entry["request"]
    return request["method"] in _REPEATABLE or (request["method"] == "POST" and bool(request.get("ifNoneExist")))


def _answer(transport: Transport, request: Request, reply: Reply, kind: str) -> Answer:
    if reply.ok:
        found = [reply.resource] if reply.resource else []
        return Answer(reply.status or 0, found, etag=etag_of(reply), location=location_of(kind, reply, reply.resource))
    if reply.status is None:
        return Answer(0, error=FhirFatalError(f"{request.name}: the answer tells no status for an entry"))
    return Answer(reply.status, error=transport.error(replace(request, label=f"entry of {request.label}"), reply))
