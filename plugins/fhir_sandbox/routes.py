"""Which interaction a method and an address mean."""

from dataclasses import dataclass
from enum import StrEnum

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.names import ID, RESOURCE_TYPES
from fhir_sandbox.refusals import Refusal


class Kind(StrEnum):
    """The interactions; the values are the words of the statistics."""

    METADATA = "metadata"
    BUNDLE = "bundle"
    READ = "read"
    VREAD = "vread"
    HISTORY = "history"
    SEARCH = "search"
    CREATE = "create"
    UPDATE = "update"
    CONDITIONAL_UPDATE = "conditional_update"
    DELETE = "delete"


WRITES = frozenset({Kind.CREATE, Kind.UPDATE, Kind.CONDITIONAL_UPDATE, Kind.DELETE})


@dataclass(frozen=True, slots=True)
class Route:
    """An interaction and what it is about; "" where the interaction has no such part."""

    kind: Kind
    type: str = ""
    id: str = ""
    version: str = ""

    def stated(self, if_none_exist: str | None) -> str:
        """Give the word of the statistics: a create with a condition is one of its own."""
        return "conditional_create" if self.kind is Kind.CREATE and if_none_exist is not None else str(self.kind)


_TYPE = {"GET": Kind.SEARCH, "POST": Kind.CREATE, "PUT": Kind.CONDITIONAL_UPDATE}
_INSTANCE = {"GET": Kind.READ, "PUT": Kind.UPDATE, "DELETE": Kind.DELETE}


def route(method: str, path: str, behaviour: Behaviour) -> Route:
    """Find the interaction of a method and a path below the base.

    Raises
    ------
    Refusal
        404 if there is nothing at this address or the type is not supported, 405 if not with this method, 400 if the
        id is none.
    """
    match path.removeprefix("/").split("/"):
        case [""]:
            return Route(_of({"POST": Kind.BUNDLE}, method))
        case ["metadata"]:
            return Route(_of({"GET": Kind.METADATA}, method))
        case [resource_type]:
            return Route(_of(_TYPE, method), _type(resource_type, behaviour))
        case [resource_type, "_search"]:
            return Route(_of({"POST": Kind.SEARCH}, method), _type(resource_type, behaviour))
        case [resource_type, resource_id]:
            return Route(_of(_INSTANCE, method), _type(resource_type, behaviour), _id(resource_id))
        case [resource_type, resource_id, "_history"]:
            return Route(_of({"GET": Kind.HISTORY}, method), _type(resource_type, behaviour), _id(resource_id))
        case [resource_type, resource_id, "_history", version]:
            kind = _of({"GET": Kind.VREAD}, method)
            return Route(kind, _type(resource_type, behaviour), _id(resource_id), version)
    raise Refusal(404, "not-supported", "there is no such interaction")


def _of(kinds: dict[str, Kind], method: str) -> Kind:
    if method not in kinds:
        allowed = ", ".join(kinds)
        raise Refusal(405, "not-supported", f"this address knows only {allowed}", headers={"Allow": allowed})
    return kinds[method]


def _type(name: str, behaviour: Behaviour) -> str:
    if name not in RESOURCE_TYPES or (name == "RiskAssessment" and not behaviour.risk_assessment):
        raise Refusal(404, "not-supported", "this resource type is not supported")
    return name


def _id(text: str) -> str:
    if ID.fullmatch(text) is None:
        if text.startswith(("$", "_")):
            raise Refusal(404, "not-supported", "there is no such operation")
        raise Refusal(400, "value", "Invalid id: not 1 to 64 letters, digits, '-' or '.'")
    return text
