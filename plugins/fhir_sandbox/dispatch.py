"""One interaction carried out, in the transaction that it needs."""

from fhir_sandbox import reads, references, searchset, structure, writes
from fhir_sandbox.calls import Answer, Call, Context
from fhir_sandbox.refusals import Refusal
from fhir_sandbox.routes import WRITES, Kind, Route
from fhir_sandbox.session import Reader, Writer
from fhir_sandbox.store import Store
from fhir_sandbox.writes import Identity


def perform(store: Store, call: Call, route: Route, context: Context, planned: Identity | None = None) -> Answer:
    """Carry out one interaction on its own.

    Parameters
    ----------
    planned
        The id that a Bundle has promised to the resource, or None.

    Raises
    ------
    Refusal
        If the interaction is refused; then nothing was written.
    """
    if route.kind not in WRITES:
        with store.reading() as reader:
            return look(reader, call, route, context)
    if route.kind is not Kind.DELETE:
        references.check_and_rewrite(structure.check(call.body, route.type), {})
    with store.writing() as writer:
        identity = writes.identify(writer, call, route, context)
        if planned is not None and not identity.exists:
            identity = planned
        return write(writer, call, route, context, identity)


def look(reader: Reader, call: Call, route: Route, context: Context) -> Answer:
    """Read or search within a transaction."""
    match route.kind:
        case Kind.READ:
            return reads.read(reader, route)
        case Kind.VREAD:
            return reads.vread(reader, route)
        case Kind.HISTORY:
            return reads.history(reader, route, context)
        case Kind.SEARCH:
            return searchset.answer(reader, call, route.type, context)
    raise Refusal(400, "not-supported", f"{route.kind} is no interaction with a resource")


def write(writer: Writer, call: Call, route: Route, context: Context, identity: Identity) -> Answer:
    """Write within a transaction; the references of the body must have been checked."""
    match route.kind:
        case Kind.CREATE:
            return writes.create(writer, call, route, context, identity)
        case Kind.DELETE:
            return writes.delete(writer, call, route)
    return writes.update(writer, call, route, context, identity)
