"""What the server says of itself under `metadata`: the part of the CapabilityStatement that decisions rest on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from screening.errors import FhirFatalError, FhirNotFhir
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.content import dicts
from screening.fhir_client.exchange import Resource

_R4 = re.compile(r"4\.[03](?![0-9])")


@dataclass(frozen=True, slots=True)
class ResourceCapability:
    """What the server declares for one resource type.

    Attributes
    ----------
    interactions
        R4 codes: read, search-type, create, update and so on.
    conditional_create
        None where the statement is silent, which R4 gives no meaning.
    """

    interactions: frozenset[str]
    conditional_create: bool | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server declares.

    Attributes
    ----------
    fhir_version
        `4.0.1`, `4.3.0`.
    software
        Name and version, "" where it does not tell.
    resources
        By type.
    system
        Codes of system-wide interactions: batch, transaction and so on.
    """

    fhir_version: str
    software: str = ""
    resources: Mapping[str, ResourceCapability] = field(default_factory=dict)
    system: frozenset[str] = frozenset()

    def can_read(self, resource_type: str) -> bool:
        """Tell whether `GET Type/id` is declared."""
        return self._declares(resource_type, "read")

    def can_search(self, resource_type: str) -> bool:
        """Tell whether `GET Type?...` is declared."""
        return self._declares(resource_type, "search-type")

    def can_create(self, resource_type: str) -> bool:
        """Tell whether `POST Type` is declared."""
        return self._declares(resource_type, "create")

    def can_update(self, resource_type: str) -> bool:
        """Tell whether `PUT Type/id` is declared."""
        return self._declares(resource_type, "update")

    def conditional_create(self, resource_type: str) -> bool | None:
        """Tell whether `If-None-Exist` is honoured; None where the statement is silent."""
        known = self.resources.get(resource_type)
        return known.conditional_create if known else None

    @property
    def batch(self) -> bool:
        """Whether `batch` Bundles are declared; servers take them undeclared too."""
        return "batch" in self.system

    @property
    def transaction(self) -> bool:
        """Whether `transaction` Bundles are declared; servers that declare them may yet run them as a batch."""
        return "transaction" in self.system

    def _declares(self, resource_type: str, code: str) -> bool:
        known = self.resources.get(resource_type)
        return known is not None and code in known.interactions


def capabilities_of(statement: Resource, address: ServerAddress) -> Capabilities:
    """Read a CapabilityStatement.

    Raises
    ------
    FhirNotFhir
        It is another resource: the base URL leads somewhere else.
    FhirFatalError
        The server speaks another FHIR than R4 (4.0) or R4B (4.3).
    """
    if statement["resourceType"] != "CapabilityStatement":
        raise FhirNotFhir(
            f"GET metadata: the answer is no CapabilityStatement; check the base URL {address.base}", status=200
        )
    version = statement.get("fhirVersion")
    if not isinstance(version, str) or not _R4.match(version):
        shown = version if isinstance(version, str) and re.fullmatch(r"[\w.-]{1,20}", version) else "unknown"
        raise FhirFatalError(
            f"GET metadata: the server at {address.base} speaks FHIR {shown}, but 4.0 (R4) or 4.3 (R4B) is needed; "
            "set the base URL of its R4 endpoint"
        )
    resources: dict[str, ResourceCapability] = {}
    system: frozenset[str] = frozenset()
    for rest in dicts(statement.get("rest")):
        if rest.get("mode") == "server":
            system |= _codes(rest)
            resources.update(
                (item["type"], _resource(item))
                for item in dicts(rest.get("resource"))
                if isinstance(item.get("type"), str)
            )
    return Capabilities(version, _software(statement), resources, system)


def _resource(item: Resource) -> ResourceCapability:
    declared = item.get("conditionalCreate")
    return ResourceCapability(_codes(item), declared if isinstance(declared, bool) else None)


def _codes(item: Resource) -> frozenset[str]:
    codes = (interaction.get("code") for interaction in dicts(item.get("interaction")))
    return frozenset(code for code in codes if isinstance(code, str))


def _software(statement: Resource) -> str:
    software = statement.get("software")
    parts = (software.get("name"), software.get("version")) if isinstance(software, dict) else ()
    return " ".join(part for part in parts if isinstance(part, str))
