"""Batch and transaction Bundles."""

from collections.abc import Iterator
from typing import Any

from fhir_sandbox import dispatch, references, structure, writes
from fhir_sandbox.bundle_entries import Step, read_steps, response, response_bundle
from fhir_sandbox.calls import Answer, Context
from fhir_sandbox.refusals import Refusal
from fhir_sandbox.routes import WRITES, Kind
from fhir_sandbox.session import Reader, Writer
from fhir_sandbox.store import Store
from fhir_sandbox.writes import Identity

# FHIR R4 3.1.0.11.2: the order in which a transaction's entries are carried out.
_ORDER = {Kind.DELETE: 0, Kind.CREATE: 1, Kind.UPDATE: 2, Kind.CONDITIONAL_UPDATE: 2}
_LAST = 3


def answer(store: Store, body: object, prefer: str, context: Context) -> Answer:
    """Carry out a Bundle.

    Raises
    ------
    Refusal
        400 if it is no batch and no transaction or the server has none of these, 413 if it has too many entries; for a
        transaction also whatever refused one of its entries, and then nothing was stored.
    """
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise Refusal(400, "structure", "what is posted to the base must be a Bundle")
    kind, entries = body.get("type"), body.get("entry", [])
    if not isinstance(entries, list):
        raise Refusal(400, "structure", "Bundle.entry must be an array", expression="Bundle.entry")
    behaviour = context.behaviour
    if kind not in ("batch", "transaction"):
        raise Refusal(400, "invalid", "Bundle.type must be batch or transaction", expression="Bundle.type")
    if not behaviour.batch if kind == "batch" else behaviour.transactions == "unsupported":
        raise Refusal(400, "not-supported", f"this server carries out no {kind}")
    if behaviour.max_bundle_entries is not None and len(entries) > behaviour.max_bundle_entries:
        raise Refusal(413, "too-costly", f"a Bundle must not have more than {behaviour.max_bundle_entries} entries")
    steps = read_steps(entries, prefer, context)
    if kind == "batch":
        return _batch(store, steps, context)
    if behaviour.transactions == "as_batch":
        return _transaction_as_batch(store, steps, context)
    return _transaction(store, steps, context)


def _batch(store: Store, steps: list[Step | Refusal], context: Context) -> Answer:
    return response_bundle("batch-response", [_alone(store, step, context, None) for step in steps])


def _alone(store: Store, step: Step | Refusal, context: Context, planned: Identity | None) -> dict[str, Any]:
    if isinstance(step, Refusal):
        return response(step)
    if step.route.kind is Kind.SEARCH and not context.behaviour.batch_search:
        return response(Refusal(400, "not-supported", "this server carries out no search within a Bundle"))
    interruption = context.on_entry(step.call, step.route)
    if interruption is not None and not interruption.commit:
        return response(interruption.refusal)
    try:
        done = dispatch.perform(store, step.call, step.route, context, planned)
    except Refusal as refusal:
        return response(refusal)
    return response(done if interruption is None else interruption.refusal)


def _transaction_as_batch(store: Store, steps: list[Step | Refusal], context: Context) -> Answer:
    """Carry out each entry alone; the references between entries are resolved first and may then lead nowhere."""
    good = [step for step in steps if isinstance(step, Step)]
    with store.reading() as reader:
        planned, refused = _plan(reader, good, context)
    known = _known(good, planned)
    for step in good:
        if step.call.body is not None and step.place not in refused:
            _rewrite(step, known, complete=False, refused=refused)
    done = []
    for each in steps:
        if isinstance(each, Step):
            done.append(_alone(store, refused.get(each.place, each), context, planned.get(each.place)))
        else:
            done.append(response(each))
    return response_bundle("transaction-response", done)


def _transaction(store: Store, steps: list[Step | Refusal], context: Context) -> Answer:
    good = list(_all_good(steps))
    by_place: dict[str, dict[str, Any]] = {}
    with store.writing() as writer:
        for step in good:
            if step.route.kind is Kind.DELETE:
                by_place[step.place] = _within(writer, step, context, None)
        planned, refused = _plan(writer, good, context)
        known = _known(good, planned)
        for step in good:
            if step.call.body is not None and step.place not in refused:
                _rewrite(step, known, complete=True, refused=refused)
        for place, refusal in refused.items():
            raise refusal.inside(place)
        _check_overlap(good, planned)
        for step in sorted(good, key=lambda step: _ORDER.get(step.route.kind, _LAST)):
            if step.route.kind is not Kind.DELETE:
                by_place[step.place] = _within(writer, step, context, planned.get(step.place))
    return response_bundle("transaction-response", [by_place[step.place] for step in good])


def _all_good(steps: list[Step | Refusal]) -> Iterator[Step]:
    for position, step in enumerate(steps):
        if isinstance(step, Refusal):
            raise step.inside(f"Bundle.entry[{position}]")
        yield step


def _within(writer: Writer, step: Step, context: Context, identity: Identity | None) -> dict[str, Any]:
    """Carry out one entry within the transaction, or end the transaction."""
    try:
        interruption = context.on_entry(step.call, step.route)
        if interruption is not None:
            raise interruption.refusal
        if step.route.kind not in WRITES:
            return response(dispatch.look(writer, step.call, step.route, context))
        return response(
            dispatch.write(writer, step.call, step.route, context, identity or Identity(step.route.id, False))
        )
    except Refusal as refusal:
        raise refusal.inside(step.place) from refusal


def _plan(reader: Reader, steps: list[Step], context: Context) -> tuple[dict[str, Identity], dict[str, Refusal]]:
    """Find the resource of every create and update, by place; two entries with one condition mean one resource."""
    planned: dict[str, Identity] = {}
    refused: dict[str, Refusal] = {}
    met: dict[tuple[str, str], Identity] = {}
    for step in steps:
        if step.route.kind in (Kind.CREATE, Kind.UPDATE, Kind.CONDITIONAL_UPDATE):
            try:
                structure.check(step.call.body, step.route.type)
                condition = (step.route.type, step.condition)
                identity = met.get(condition) if step.condition else None
                if identity is None:
                    identity = writes.identify(reader, step.call, step.route, context)
                    met[condition] = Identity(identity.id, True)
                planned[step.place] = identity
            except Refusal as refusal:
                refused[step.place] = refusal
    return planned, refused


def _known(steps: list[Step], planned: dict[str, Identity]) -> dict[str, str]:
    """Map each entry's fullUrl to the reference of the resource that it becomes."""
    return {
        step.full_url: f"{step.route.type}/{planned[step.place].id}"
        for step in steps
        if step.full_url and step.place in planned
    }


def _rewrite(step: Step, known: dict[str, str], *, complete: bool, refused: dict[str, Refusal]) -> None:
    try:
        references.check_and_rewrite(step.call.body, known, complete=complete)
    except Refusal as refusal:
        refused[step.place] = refusal


def _check_overlap(steps: list[Step], planned: dict[str, Identity]) -> None:
    changed: set[tuple[str, str]] = set()
    for step in steps:
        if step.route.kind in (Kind.UPDATE, Kind.CONDITIONAL_UPDATE, Kind.DELETE):
            identity = planned.get(step.place)
            key = (step.route.type, step.route.id if identity is None else identity.id)
            if key in changed:
                raise Refusal(400, "invalid", "two entries of the transaction change one resource").inside(step.place)
            changed.add(key)
