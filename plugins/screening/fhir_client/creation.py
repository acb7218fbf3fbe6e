"""One resource that is to exist exactly once: how it is asked for, and how its answer is told from another's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from screening.errors import FhirFatalError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.content import dicts
from screening.fhir_client.exchange import FHIR_JSON, Answer, Reply, Request, Resource
from screening.fhir_client.questions import check_id, etag_of

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_CONDITION = re.compile(r"[A-Za-z_][A-Za-z_.:-]*=[!-~]+")
_LOCATION = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([^/?#]+)(?:/_history/[^/?#]+)?/?(?:[?#].*)?$")


@dataclass(frozen=True, slots=True)
class Creation:
    """A resource and the condition under which it must not be created again.

    Attributes
    ----------
    condition
        What `If-None-Exist` holds: `identifier=SYSTEM|VALUE`.
    """

    type: str
    resource: Resource = field(repr=False)
    condition: str = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What makes two creations the same one."""
        return self.type, self.condition

    @property
    def search(self) -> str:
        """The relative URL that finds what exists already."""
        return f"{self.type}?{urlencode(self._params, quote_via=quote, safe='/:,')}"

    @property
    def _params(self) -> list[tuple[str, str]]:
        return parse_qsl(self.condition, keep_blank_values=True)

    def request(self, address: ServerAddress, *, conditional: bool) -> Request:
        """Make the POST: with `If-None-Exist`, and so repeatable, or plain, and so not."""
        headers = {"Content-Type": FHIR_JSON, "Prefer": "return=representation"}
        if conditional:
            headers["If-None-Exist"] = self.condition
        return Request(
            "POST",
            address.url(self.type),
            orjson.dumps(self.resource),
            headers,
            repeatable=conditional,
            wants_body=False,
        )

    def is_met_by(self, resource: Resource) -> bool:
        """Tell whether a resource carries the identifier of the condition; True where it names none.

        Servers that do not know the parameter `identifier` of a type may ignore it and offer any resource as the
        existing one.
        """
        if resource["resourceType"] != self.type:
            return False
        held = resource.get("identifier")
        identifiers = dicts(held if isinstance(held, list) else [held])
        values = [value for name, value in self._params if name == "identifier"]
        return all(_manifold(value) or any(_same(value, identifier) for identifier in identifiers) for value in values)

    def answer(self, request: Request, reply: Reply) -> Answer:
        """Turn a 200 or 201 into an answer; its `resources` are empty where the body is yet to be fetched."""
        resource = reply.resource if reply.resource and reply.resource["resourceType"] == self.type else None
        if resource is not None and reply.status == 200 and not self.is_met_by(resource):
            return Answer(200, error=self.ignored(request))
        location = location_of(self.type, reply, resource)
        found = [] if resource is None or location is None else [resource]
        return Answer(reply.status or 0, found, etag=etag_of(reply), location=location)

    def existing(self, request: Request, found: Answer) -> Answer | None:
        """Judge a search for what exists; None where nothing does, and the resource may be created."""
        if found.error is not None:
            return Answer(found.status, error=found.error)
        if not all(self.is_met_by(resource) for resource in found.resources):
            return Answer(found.status, error=self.ignored(request))
        if len(found.resources) > 1:
            return Answer(412, error=self.several(request))
        if not found.resources:
            return None
        reply = Reply(200, resource=found.resources[0])
        return self.answer(request, reply)

    def several(self, request: Request) -> FhirFatalError:
        """Make the error of a condition that several resources meet."""
        names = ", ".join(dict.fromkeys(name for name, _ in self._params))
        return FhirFatalError(
            f"{request.name}: 412, several {self.type} resources have this {names}; keep one and delete the others",
            status=412,
        )

    def ignored(self, request: Request) -> FhirFatalError:
        """Make the error of a server that offers another resource as the existing one."""
        return FhirFatalError(
            f"{request.name}: the server offers a {self.type} without the identifier asked for as the existing one; "
            f"it does not search {self.type} by identifier, so nothing can be written there exactly once"
        )


def creations(resources: Sequence[Resource], conditions: Sequence[str]) -> list[Creation]:
    """Pair resources with their conditions.

    Raises
    ------
    ValueError
        Not as many conditions as resources; no resource type; a condition that is no percent-encoded query of at
        least one parameter, without which the server would create without any condition.
    """
    if len(resources) != len(conditions):
        raise ValueError(f"{len(resources)} resources, but {len(conditions)} conditions")
    for place, (resource, condition) in enumerate(zip(resources, conditions, strict=True), start=1):
        if not _TYPE.fullmatch(resource.get("resourceType") or ""):
            raise ValueError(f"resource {place}: no resourceType")
        if not _CONDITION.fullmatch(condition):
            raise ValueError(f"resource {place}: If-None-Exist must be like identifier=SYSTEM|VALUE, percent-encoded")
    return [Creation(r["resourceType"], r, condition) for r, condition in zip(resources, conditions, strict=True)]


def location_of(resource_type: str, reply: Reply, resource: Resource | None) -> str | None:
    """Give the server's own `Type/id` of what was written: from `Location`, else from the body."""
    match = _LOCATION.search(reply.headers.get("Location", ""))
    if match and match[1] == resource_type and check_id(match[2]):
        return f"{resource_type}/{match[2]}"
    told = resource.get("id") if resource else None
    return f"{resource_type}/{told}" if check_id(told) else None


def _manifold(token: str) -> bool:
    """Tell a token with an escape or an OR-list, which is taken as met: what it means is for the server to say."""
    return "\\" in token or "," in token


def _same(token: str, identifier: Resource) -> bool:
    """Compare a token (`system|value`, `|value`, `value`, `system|`) with an identifier."""
    system, bar, value = token.rpartition("|")
    if value and identifier.get("value") != value:
        return False
    return not bar or (identifier.get("system") or "") == system
