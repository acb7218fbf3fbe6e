"""The entries of a Bundle: what each asks for, and what each is answered."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from fhir_sandbox.calls import Answer, Call, Context, etag
from fhir_sandbox.moments import instant
from fhir_sandbox.refusals import Refusal
from fhir_sandbox.routes import Kind, Route, route


@dataclass(frozen=True, slots=True)
class Step:
    """One entry, read.

    Attributes
    ----------
    place
        FHIRPath of the entry.
    full_url
        What other entries call it; "" if it has no name.
    condition
        The search on which the write hangs; "" if it hangs on none.
    """

    place: str
    call: Call
    route: Route
    full_url: str
    condition: str


def read_steps(entries: list[Any], prefer: str, context: Context) -> list[Step | Refusal]:
    """Read the entries; an entry that cannot be read is the refusal that it is answered with.

    Raises
    ------
    Refusal
        400 if two entries have the same fullUrl.
    """
    steps: list[Step | Refusal] = []
    names: set[str] = set()
    for position, entry in enumerate(entries):
        try:
            step = _step(f"Bundle.entry[{position}]", entry, prefer, context)
        except Refusal as refusal:
            steps.append(refusal)
            continue
        if step.full_url and step.full_url in names:
            raise Refusal(400, "duplicate", "two entries have the same fullUrl", expression=step.place)
        names.add(step.full_url)
        steps.append(step)
    return steps


def _step(place: str, entry: object, prefer: str, context: Context) -> Step:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise Refusal(400, "required", "an entry must be an object with a request")
    texts = [request.get(name, "") for name in ("method", "url")] + [entry.get("fullUrl", "")]
    options = [request.get(name) for name in ("ifMatch", "ifNoneExist")]
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(text, str | None) for text in options):
        raise Refusal(400, "structure", "a request's method, url, ifMatch, ifNoneExist and fullUrl must be strings")
    method, url, full_url = texts
    path, _, query = url.removeprefix(context.base).removeprefix("/").partition("?")
    found = route(method, path, context.behaviour)
    if found.kind in (Kind.BUNDLE, Kind.METADATA) or (found.kind is Kind.SEARCH and method == "POST"):
        raise Refusal(400, "not-supported", "this interaction cannot stand in a Bundle")
    call = Call(
        method=method,
        path=path,
        query=query,
        body=entry.get("resource") if method in ("POST", "PUT") else None,
        if_match=options[0],
        if_none_exist=options[1],
        prefer="representation" if prefer == "representation" else "minimal",
    )
    condition = query if found.kind is Kind.CONDITIONAL_UPDATE else (options[1] or "")
    return Step(place, call, found, full_url, condition)


def response(done: Answer | Refusal) -> dict[str, Any]:
    """Make the entry that answers an entry."""
    if isinstance(done, Refusal):
        return {"response": {"status": _status(done.status), "outcome": done.outcome()}}
    told: dict[str, Any] = {"status": _status(done.status)}
    if done.version is not None:
        told["etag"] = etag(done.version)
        told["lastModified"] = instant(done.version.updated)
        if done.written and done.version.body is not None:
            told["location"] = f"{done.version.reference}/_history/{done.version.version}"
    entry: dict[str, Any] = {"response": told}
    if done.body is not None:
        entry["resource"] = orjson.Fragment(done.body)
    return entry


def response_bundle(kind: str, entries: list[dict[str, Any]]) -> Answer:
    """Make the Bundle of the entries' answers."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if entries:
        bundle["entry"] = entries
    return Answer(200, orjson.dumps(bundle))


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
