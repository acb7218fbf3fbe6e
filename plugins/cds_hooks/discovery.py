"""The answer of `GET /cds-services`: what this installation offers, and which data it wants sent along."""

import re
from collections.abc import Iterable
from typing import Any

from cds_hooks.prefetch_templates import templates
from cds_hooks.settings import Settings
from screening.schema import Schema

NOT_A_DEVICE = "Research software, not a medical device."
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_SHORT_VERSION = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))?", re.ASCII)
_FETCHING = {
    "ehr": "Keys of the prefetch that are not sent are fetched from fhirServer, where the service knows that server: "
    "this needs fhirAuthorization with read access to {resources}.",
    "own": "Keys of the prefetch that are not sent are fetched from a FHIR server that the service itself is connected to.",
    "nowhere": "Send every key of the prefetch, and null for one without data: what is not sent is not fetched.",
}


def service_id(schema: Schema) -> str:
    """Return the id of a screen's service; no two screens share one, since a schema's name has no hyphen."""
    return f"{schema.name.replace('_', '-')}-risk"


def title(schema: Schema) -> str:
    """Return a service's name for people: `Sepsis risk`."""
    return f"{schema.heading} risk"


def discovery(screens: Iterable[tuple[str, Schema]], settings: Settings) -> dict[str, Any]:
    """Return the discovery document (CDS Hooks 2.0.1, "Discovery"): an entry for each screen and hook.

    A service that is listed for several hooks has one id. Members without content are left out, but for `services`.

    Parameters
    ----------
    screens
        Service id and schema of each screen, also of one whose model is missing: what is not listed looks like all clear.

    Raises
    ------
    SchemaError
        A schema that no prefetch can be asked for; see `templates`.
    """
    return {
        "services": [
            {"hook": hook} | _service(identity, schema, settings)
            for identity, schema in screens
            for hook in settings.hooks
        ]
    }


def _service(identity: str, schema: Schema, settings: Settings) -> dict[str, Any]:
    said = schema.description.strip().rstrip(".") or f"{title(schema)} from the values in the chart"
    found: dict[str, Any] = {
        "id": identity,
        "title": title(schema),
        "description": f"{said}. {NOT_A_DEVICE}",
        "prefetch": templates(schema, today=settings.prefetch_today),
        "usageRequirements": _FETCHING[settings.fetch_from].format(resources=_resources(schema)),
    }
    if version := _semver(schema.version):
        found["version"] = version
    return found


def _resources(schema: Schema) -> str:
    kinds = dict.fromkeys(["Patient", *(feature.fhir_resource for feature in schema.features.values())])
    return ", ".join(kinds)


def _semver(version: str) -> str | None:
    """Return the version as https://semver.org has it, 1.0 as 1.0.0; None for what cannot be one."""
    if _SEMVER.fullmatch(version):
        return version
    if _SHORT_VERSION.fullmatch(version):
        return f"{version}.0" if "." in version else f"{version}.0.0"
    return None
