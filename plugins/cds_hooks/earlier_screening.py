"""The last screening of a patient: for a chart that has too little data, and for screens of screened patients alone.

"There is none" and "it could not be looked up" are two answers, and never one: a patient must not seem not to have been
screened high because a server was away.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from cds_hooks.fetching import reasons
from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.fetching.scopes import Interaction
from cds_hooks.fetching.sources import Call
from screening.errors import ScreeningError
from screening.fhir_client.budget import Budget
from screening.fhir_client.questions import check_id
from screening.results.checks import RETRACTED
from screening.results.identity import IDENTIFIER_SYSTEM, SCHEMA_SYSTEM
from screening.schema import Schema
from screening.times import moment, span

_KIND = "RiskAssessment"
_IN_VAIN = "the last screening could not be looked up"
_SUBJECT = re.compile(r"(?:^|/)Patient/([A-Za-z0-9\-.]+)(?:/_history/[^/]*)?$")


class EarlierUnknownError(ScreeningError):
    """Whether there is an earlier screening could not be found out; the message says why, without PHI."""


class Earlier(Protocol):
    """A RiskAssessment of ours as it was read."""

    @property
    def reference(self) -> str:
        """`RiskAssessment/id`."""


E = TypeVar("E", bound=Earlier)


def earlier(
    fetcher: Fetcher,
    call: Call,
    schema: Schema,
    patient_id: str,
    prediction_time: datetime,
    max_age: timedelta,
    read: Callable[[Any, Schema, str], E | None],
    *,
    patient: Mapping[str, Any] | None = None,
    iss: str | None = None,
    budget: Budget | None = None,
) -> E | None:
    """Return the newest RiskAssessment of this screen about a patient, as old as `max_age` at most.

    Our own FHIR connection is asked if there is one, for screening writes there; else the EHR's server with its token.

    Parameters
    ----------
    prediction_time
        Timezone-aware; an assessment of a later moment does not count.
    read
        `screening.results.earlier.from_resource`: makes an `EarlierScreening` of a resource, or None where it must not be
        shown as one of this screen and patient.
    patient
        The Patient that the EHR sent, if it did: what our own server has counts only if it is of the same person.
    iss
        Whose JWT came with the call; None where none is asked for.
    budget
        What this call has left; a new one unless given.

    Returns
    -------
    EarlierScreening or None
        None where there is none: retracted ones, older ones, and those of other screens are none.

    Raises
    ------
    EarlierUnknownError
        Nobody could be asked, the answer is of no use, or the newest one cannot be read; or there are only some by another
        version of this screen: what they found holds by other rules, and the patient was screened all the same.
    """
    found = _ask(fetcher, call, patient_id, prediction_time, max_age, patient, iss, budget)
    ours = [one for one in found if _is_ours(one, schema, patient_id)]
    dated = [(_occurred(one), one) for one in ours]
    of_any_version = [pair for pair in dated if prediction_time - max_age <= pair[0] <= prediction_time]
    within = [pair for pair in of_any_version if _is_of_version(pair[1], schema)]
    if not within:
        if of_any_version:
            raise EarlierUnknownError("the last screening cannot be shown: it was by another version of this screen")
        return None
    _, newest = max(within, key=lambda pair: (pair[0], _updated(pair[1]), str(pair[1].get("id"))))
    result = read(newest, schema, patient_id)
    if result is None:
        raise EarlierUnknownError(
            "the last screening cannot be shown: its RiskAssessment is not as this service writes it"
        )
    return result


def _ask(
    fetcher: Fetcher,
    call: Call,
    patient_id: str,
    at: datetime,
    max_age: timedelta,
    patient: Mapping[str, Any] | None,
    iss: str | None,
    budget: Budget | None,
) -> list[dict[str, Any]]:
    source = fetcher.sources.of_screenings(call, patient_id, iss) if check_id(patient_id) else reasons.NO_ID
    lacks = source if isinstance(source, str) else source.lacks(_KIND, Interaction.SEARCH)
    if isinstance(source, str) or lacks:
        raise EarlierUnknownError(f"{_IN_VAIN}: {lacks}")
    span_of_time = [("date", f"ge{_instant(at - max_age)}"), ("date", f"le{_instant(at + timedelta(seconds=1))}")]
    query = urlencode([("subject", f"Patient/{patient_id}"), *span_of_time], safe="/:")
    answers = source.get_each([f"{_KIND}?{query}"], budget or fetcher.budget(), patient=patient)
    if isinstance(answers, str):
        raise EarlierUnknownError(f"{_IN_VAIN}: {answers}")
    (answer,) = answers
    words = source.why_not(answer, _KIND, Interaction.SEARCH)
    if words:
        raise EarlierUnknownError(f"{_IN_VAIN}: {words}")
    return [_with_relative_subject(one, source.base_url) for one in answer.resources]


def _is_ours(resource: Mapping[str, Any], schema: Schema, patient_id: str) -> bool:
    """Tell a standing assessment by this screen of this patient; a server may give more than it was asked for.

    What is of ours but odd counts: that it cannot be read is then said, where leaving it out would say that there is none.
    """
    screen = {"system": SCHEMA_SYSTEM, "code": schema.name}
    return (
        resource.get("resourceType") == _KIND
        and _whom(resource) in (patient_id, None)
        and any(one.get("system") == IDENTIFIER_SYSTEM for one in _objects(resource, "identifier"))
        and resource.get("status") not in RETRACTED
        and any(screen.items() <= coding.items() for coding in _objects(resource, "code", "coding"))
    )


def _is_of_version(resource: Mapping[str, Any], schema: Schema) -> bool:
    screen = {"system": SCHEMA_SYSTEM, "code": schema.name, "version": schema.version}
    return any(screen.items() <= coding.items() for coding in _objects(resource, "code", "coding"))


def _whom(resource: Mapping[str, Any]) -> str | None:
    """Return the patient that the subject names, on whichever server; None where it names none that can be told."""
    reference = _at(resource, "subject", "reference")
    match = _SUBJECT.search(reference) if isinstance(reference, str) else None
    return match[1] if match else None


def _occurred(resource: Mapping[str, Any]) -> datetime:
    text = resource.get("occurrenceDateTime")
    found = span(text, None) if isinstance(text, str) else ""
    if isinstance(found, str) or found[0] != found[1]:
        raise EarlierUnknownError(
            "an earlier screening does not tell its time: its RiskAssessment has no occurrenceDateTime"
        )
    return moment(found[0])


def _objects(resource: Mapping[str, Any], *path: str) -> list[dict[str, Any]]:
    found = _at(resource, *path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _updated(resource: Mapping[str, Any]) -> datetime:
    text = _at(resource, "meta", "lastUpdated")
    found = span(text, None) if isinstance(text, str) else ""
    return datetime.min.replace(tzinfo=UTC) if isinstance(found, str) else moment(found[0])


def _with_relative_subject(resource: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Write a subject on this very server as a relative reference, as we wrote it: some servers make it absolute."""
    reference = _at(resource, "subject", "reference")
    if not isinstance(reference, str) or not reference.startswith(f"{base_url}/"):
        return resource
    return resource | {"subject": {**resource["subject"], "reference": reference.removeprefix(f"{base_url}/")}}


def _at(node: Any, *path: str) -> Any:
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
