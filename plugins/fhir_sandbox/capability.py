"""The CapabilityStatement: what this server does as it is switched now."""

from functools import lru_cache
from typing import Any

import orjson

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.names import RESOURCE_TYPES
from fhir_sandbox.parameters import COMMON, PARAMETERS
from fhir_sandbox.refusals import FHIR_JSON

_INTERACTIONS = ("read", "vread", "update", "delete", "history-instance", "create", "search-type")


@lru_cache(maxsize=64)
def statement(behaviour: Behaviour, base: str) -> bytes:
    """Make the CapabilityStatement as JSON."""
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2025-01-01",
            "kind": "instance",
            "software": {"name": "FHIR sandbox"},
            "implementation": {"description": "A server for demonstrations and tests", "url": base},
            "fhirVersion": "4.0.1",
            "format": [FHIR_JSON],
            "rest": [_rest(behaviour)],
        }
    )


def _rest(behaviour: Behaviour) -> dict[str, Any]:
    types = sorted(RESOURCE_TYPES if behaviour.risk_assessment else RESOURCE_TYPES - {"RiskAssessment"})
    rest: dict[str, Any] = {"mode": "server"}
    if behaviour.bearer_token is not None:
        rest["security"] = {"description": "Every interaction but this one needs a bearer token."}
    rest["resource"] = [_resource(name, behaviour) for name in types]
    interactions = _system_interactions(behaviour)
    if interactions:
        rest["interaction"] = interactions
    return rest


def _system_interactions(behaviour: Behaviour) -> list[dict[str, str]]:
    interactions = []
    if behaviour.transactions != "unsupported":
        transaction = {"code": "transaction"}
        if behaviour.transactions == "as_batch":
            transaction["documentation"] = "Not atomic: each entry succeeds or fails alone."
        interactions.append(transaction)
    if behaviour.batch:
        batch = {"code": "batch"}
        if not behaviour.batch_search:
            batch["documentation"] = "No searches."
        interactions.append(batch)
    return interactions


def _resource(name: str, behaviour: Behaviour) -> dict[str, Any]:
    own = {parameter.name: parameter.kind for parameter in PARAMETERS.get(name, {}).values()}
    return {
        "type": name,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": behaviour.client_ids == "any",
        "conditionalCreate": behaviour.conditional_writes,
        "conditionalRead": "not-supported",
        "conditionalUpdate": behaviour.conditional_writes,
        "conditionalDelete": "not-supported",
        "searchParam": [{"name": key, "type": str(kind)} for key, kind in {**COMMON, **own}.items()],
    }
