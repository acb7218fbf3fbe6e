"""Change one resource, if it is still in the version that we know."""

import re

import orjson

from screening.errors import FhirFatalError
from screening.fhir_client.creation import location_of
from screening.fhir_client.exchange import FHIR_JSON, Answer, Reply, Request, Resource
from screening.fhir_client.questions import etag_of, read_question
from screening.fhir_client.reads import Reads
from screening.fhir_client.transport import Transport

_ETAG = re.compile(r'(W/)?"[!#-~]+"')


def update(transport: Transport, reads: Reads, resource: Resource, if_match: str) -> Answer:
    """PUT one resource; see `client.FhirClient.update`."""
    resource_type = resource.get("resourceType") or ""
    question = read_question(resource_type, resource.get("id") or "")
    request = Request(
        "PUT",
        transport.address.url(question.path),
        orjson.dumps(resource),
        {"Content-Type": FHIR_JSON, "Prefer": "return=representation", "If-Match": _version(if_match)},
        repeatable=True,
        wants_body=False,
    )
    reply = transport.send(request)
    if reply.for_all:
        raise transport.error(request, reply)
    if reply.ok and question.is_answered_by(reply.resource):
        return _answer(resource_type, reply)
    if reply.ok:
        return _read_back(reads, question.path, reply)
    if reply.status == 412 and reply.doubtful:
        # An attempt whose answer was lost may have made the new version itself.
        now = reads.ask(question.path)
        if now.resources and _content(now.resources[0]) == _content(resource):
            return Answer(200, now.resources, etag=now.etag, location=question.path)
    return Answer(reply.status or 0, error=transport.error(request, reply))


def _answer(resource_type: str, reply: Reply) -> Answer:
    location = location_of(resource_type, reply, reply.resource)
    return Answer(reply.status or 0, [reply.resource] if reply.resource else [], etag=etag_of(reply), location=location)


def _read_back(reads: Reads, path: str, reply: Reply) -> Answer:
    read = reads.ask(path)
    return Answer(reply.status or 0, read.resources, read.error, etag=read.etag or etag_of(reply), location=path)


def _version(if_match: str) -> str:
    """Make the header's value from a version id or an ETag."""
    tag = if_match if if_match.endswith('"') else f'W/"{if_match}"'
    if not if_match or not _ETAG.fullmatch(tag):
        raise FhirFatalError("update: If-Match must be the version that was read, as its id or its ETag")
    return tag


def _content(resource: Resource) -> Resource:
    """Leave out what the server itself sets."""
    return {name: value for name, value in resource.items() if name not in ("meta", "text")}
