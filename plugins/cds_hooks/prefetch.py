"""The prefetch sorted out: what is data, what the EHR has none of, what it did not send, and what went wrong with which key.

CDS Hooks 2.0.1, "Prefetch": a key that is absent was not sent, for whatever reason, and may be fetched; null, or a search
without an entry, says that there is nothing, and is not asked again; an OperationOutcome is an error, and is not asked again
either. Only keys that this service asks for are looked at, as they are spelled. Which feature a resource feeds, its code
decides and not its key, as when it comes from a server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cds_hooks.hook_request import LOGICAL_ID, HookRequest
from cds_hooks.prefetch_pages import holds_window, is_cut, window_begins
from cds_hooks.prefetch_templates import PATIENT, keys, page_size
from cds_hooks.prefetch_values import Unusable, Value, read_value
from cds_hooks.refusals import Refusal
from screening.readers.fhir_fields import text
from screening.schema import Schema


@dataclass(frozen=True, slots=True)
class Prefetch:
    """What came of the prefetch; every key of the screen is in exactly one of `absent`, `no_data`, `problems` or the data.

    Attributes
    ----------
    patient_id
        Whose data it is: of nobody else may anything be scored.
    patient
        The Patient that was sent; None where none was.
    contents
        What to hand to `FhirReader.add`. Never shown.
    absent
        Keys that were not sent, in the templates' order: to be fetched, where that is allowed.
    no_data
        Keys of which the EHR says that there is nothing.
    problems
        Key → why nothing of it is data, in words to show.
    partial
        Key → the next page's link as sent (unchecked: it may lead anywhere), or None where the page tells none. What was
        sent is in `contents`.
    remarks
        Key → what the EHR remarked on data that are used, or on there being none.
    """

    patient_id: str
    patient: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    contents: tuple[Any, ...] = field(default=(), repr=False)
    absent: tuple[str, ...] = ()
    no_data: frozenset[str] = frozenset()
    problems: Mapping[str, str] = field(default_factory=dict)
    partial: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    remarks: Mapping[str, str] = field(default_factory=dict)


def sort_out(
    request: HookRequest, schema: Schema, *, prediction_time: datetime | None, require_patient_match: bool
) -> Prefetch:
    """Sort out a request's prefetch.

    Parameters
    ----------
    prediction_time
        None where it is not known before the data are (mode `latest`): then a cut page is partial whatever it holds.
    require_patient_match
        Whether the prefetched Patient must be `context.patientId`. If not, `patient_id` is the prefetched Patient's, whoever
        that is: for clients that demonstrate, and invent the context.

    Raises
    ------
    Refusal
        400: the prefetched Patient is another one, has no id, or is two. Nobody's data may show at another's chart.
    """
    sent, wanted = request.prefetch, keys(schema)
    values: dict[str, Value] = {}
    problems: dict[str, str] = {}
    for key in (key for key in wanted if sent.get(key) is not None):
        try:
            values[key] = read_value(sent[key], _kind(schema, key))
        except Unusable as reason:
            problems[key] = str(reason)
    patient_id = request.patient_id
    if PATIENT in values and values[PATIENT].resources:
        found = _patient_of(values[PATIENT], patient_id if require_patient_match else None)
        if found is None:
            problems[PATIENT] = "the EHR sent other resources and no Patient"
            del values[PATIENT]
        patient_id = found or patient_id
    patients = values[PATIENT].resources if PATIENT in values else ()
    partial = _partial(values, schema, prediction_time)
    empty = {key for key, value in values.items() if not value.resources and key not in partial}
    return Prefetch(
        patient_id,
        patient=next((one for one in patients if one["resourceType"] == "Patient"), None),
        contents=tuple(value.content for value in values.values() if value.resources),
        absent=tuple(key for key in wanted if key not in sent),
        no_data=frozenset(empty.union(key for key in wanted if key in sent and sent[key] is None)),
        problems=problems,
        partial=partial,
        remarks={key: value.remark for key, value in values.items() if value.remark},
    )


def _kind(schema: Schema, key: str) -> str:
    return "Patient" if key == PATIENT else schema.features[key].fhir_resource


def _patient_of(value: Value, wanted: str | None) -> str | None:
    """Return the id of the one Patient; None where there is no Patient."""
    found = {text(one.get("id")) for one in value.resources if one["resourceType"] == "Patient"}
    if not found:
        return None
    if len(found) > 1:
        raise _refusal("is more than one Patient")
    (identity,) = found
    if not LOGICAL_ID.fullmatch(identity):
        raise _refusal("has no id, or none that FHIR allows")
    if wanted is not None and identity != wanted:
        raise _refusal("is not the patient of context.patientId")
    return identity


def _refusal(what: str) -> Refusal:
    said = f"The prefetched Patient {what}: send the Patient whose chart is open."
    return Refusal(400, said, diagnostics="prefetch.patient, context.patientId")


def _partial(values: Mapping[str, Value], schema: Schema, prediction_time: datetime | None) -> dict[str, str | None]:
    begins = window_begins(schema, prediction_time)
    found: dict[str, str | None] = {}
    for key, value in values.items():
        if key == PATIENT or not is_cut(value, page_size(schema, schema.features[key])):
            continue
        if not holds_window(value.matches, _kind(schema, key), begins):
            found[key] = value.link or None
    return found
