"""The bodies that an EHR sends: a `patient-view` request, and feedback on its cards (CDS Hooks 2.0)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from screening.hook_client.charts import Chart
from screening.hook_client.searches import as_searched
from screening.hook_client.services import Service

Json = dict[str, Any]
Outcome = Literal["accepted", "overridden"]

USER = "Practitioner/cds-client"
PATIENTS_THEMSELVES = ("Patient/", "RelatedPerson/")
SCOPE = "patient/*.read"
NOT_SAVED = "(not saved)"


@dataclass(frozen=True, slots=True)
class FhirAccess:
    """The EHR's FHIR server, and the token that it lends to a service for one call.

    Attributes
    ----------
    server
        Base URL.
    token
        None: the server is open.
    scope
        SMART scopes of the token.
    subject
        The OAuth 2 client id of the service at the EHR's authorization server.
    expires_in
        Seconds.
    """

    server: str
    token: str | None = field(default=None, repr=False)
    scope: str = SCOPE
    subject: str = "cds-service"
    expires_in: int = 300


def request(
    chart: Chart,
    service: Service,
    *,
    user: str = USER,
    fhir: FhirAccess | None = None,
    new_id: Callable[[], object] = uuid4,
) -> Json:
    """Make the request of a chart that is opened.

    Only what the service asked for is sent: data that it has no template for are not its business. A template that the
    chart has no key for stays out, which says "not at hand"; a chart that knows there are none has null or an empty Bundle.

    Parameters
    ----------
    user
        `context.userId`, such as Practitioner/7.
    """
    body: Json = {
        "hook": service.hook,
        "hookInstance": str(new_id()),
        "context": {"userId": user, "patientId": chart.patient_id},
    }
    if fhir is not None:
        body["fhirServer"] = fhir.server
        if fhir.token is not None:
            body["fhirAuthorization"] = {
                "access_token": fhir.token,
                "token_type": "Bearer",
                "expires_in": fhir.expires_in,
                "scope": fhir.scope,
                "subject": fhir.subject,
                "patient": chart.patient_id,
            }
    body["prefetch"] = {
        key: as_searched(chart.prefetch[key], template)
        for key, template in service.prefetch.items()
        if key in chart.prefetch
    }
    return body


def without_token(body: Mapping[str, Any]) -> Json:
    """Return a request as it may be kept: the access token is transient and stands in no file."""
    kept = dict(body)
    if "fhirAuthorization" in kept:
        kept["fhirAuthorization"] = kept["fhirAuthorization"] | {"access_token": NOT_SAVED}
    return kept


def feedback(cards: list[Json], outcome: Outcome, moment: datetime) -> Json | None:
    """Make the feedback on cards; None where there is nothing that could be said.

    A card without uuid gets none. To accept a card is to accept its first suggestion: one without suggestions can only be
    overridden. Overriding gives the first of the card's own reasons, if it offers any.
    """
    stamp = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    entries = []
    for card in cards:
        entry: Json = {"card": card.get("uuid"), "outcome": outcome, "outcomeTimestamp": stamp}
        if outcome == "accepted":
            chosen = [{"id": one["uuid"]} for one in card.get("suggestions", [])[:1] if one.get("uuid")]
            entry["acceptedSuggestions"] = chosen
            entry["card"] = entry["card"] if chosen else None
        elif card.get("overrideReasons"):
            entry["overrideReason"] = {"reason": card["overrideReasons"][0]}
        if entry["card"]:
            entries.append(entry)
    return {"feedback": entries} if entries else None
