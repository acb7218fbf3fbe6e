"""Suggestions to order what a score lacked, and the RiskAssessment as an action of the system (CH-49, CH-4C).

A suggested order is a `draft` of intent `proposal`: R4 keeps `order` for what a practitioner authorizes, and a `proposal` is
what somebody suggests who neither authorizes it nor sees to it (https://hl7.org/fhir/R4/codesystem-request-intent.html).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from screening.results.cards.context import CardContext
from screening.results.cards.markdown import plain


def orders(
    features: Iterable[str],
    context: CardContext,
    remarks: Mapping[str, str],
    new_id: Callable[[], str],
    patient_reference: str,
    encounter_reference: str | None = None,
) -> list[dict[str, Any]]:
    """Return a suggestion for each of these features that the schema says how to order; each can be taken alone."""
    since = f"no value in the last {context.lookback}" if context.lookback else "no value"
    found = []
    for name in features:
        words = context.features.get(name)
        if words and words.order:
            resource = _service_request(words.display, words.order, patient_reference, encounter_reference)
            found.append(
                _suggestion(plain(words.display, 60), plain(remarks.get(name, "")) or since, resource, new_id())
            )
    return found


def create_action(assessment: dict[str, Any]) -> dict[str, Any]:
    """Return a RiskAssessment as a system action: the EHR is asked to keep it; only where that was agreed upon (CH-4C)."""
    return {"type": "create", "resource": assessment}


def _service_request(
    display: str, order: Mapping[str, str], patient_reference: str, encounter_reference: str | None
) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {"coding": [dict(order)], "text": order.get("display", display)},
        "subject": {"reference": patient_reference},
    }
    if encounter_reference:
        resource["encounter"] = {"reference": encounter_reference}
    return resource


def _suggestion(what: str, why: str, resource: dict[str, Any], identity: str) -> dict[str, Any]:
    action = {"type": "create", "description": f"Order {what}: {why}", "resource": resource}
    return {"label": f"Order {what}", "uuid": identity, "actions": [action]}
