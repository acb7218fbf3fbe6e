"""Read, versioned read and history of one resource."""

import orjson

from fhir_sandbox.calls import Answer, Context, etag
from fhir_sandbox.moments import instant
from fhir_sandbox.refusals import Refusal
from fhir_sandbox.routes import Route
from fhir_sandbox.session import Reader, Stored


def read(reader: Reader, route: Route) -> Answer:
    """Answer with the current version.

    Raises
    ------
    Refusal
        404 if there never was such a resource, 410 if it was deleted.
    """
    newest = reader.newest(route.type, route.id)
    if newest is None:
        raise Refusal(404, "not-found", f"{route.type}/{route.id} is not known")
    return _shown(newest)


def vread(reader: Reader, route: Route) -> Answer:
    """Answer with one version.

    Raises
    ------
    Refusal
        404 if there is no such version, 410 if this version is the deletion.
    """
    for version in reader.versions_of(route.type, route.id):
        if str(version.version) == route.version:
            return _shown(version)
    raise Refusal(404, "not-found", f"{route.type}/{route.id} has no such version")


def history(reader: Reader, route: Route, context: Context) -> Answer:
    """Answer with all versions, the newest first, on one page.

    Raises
    ------
    Refusal
        404 if there never was such a resource.
    """
    versions = reader.versions_of(route.type, route.id)
    if not versions:
        raise Refusal(404, "not-found", f"{route.type}/{route.id} is not known")
    link = [{"relation": "self", "url": f"{context.root}/{route.type}/{route.id}/_history"}]
    head = {"resourceType": "Bundle", "type": "history", "total": len(versions), "link": link}
    before = [*versions[1:], None]
    entries = b",".join(_history_entry(*pair, context.base) for pair in zip(versions, before, strict=True))
    return Answer(200, orjson.dumps(head)[:-1] + b',"entry":[' + entries + b"]}")


def _shown(version: Stored) -> Answer:
    if version.body is None:
        raise Refusal(410, "deleted", f"{version.reference} was deleted", headers={"ETag": etag(version)})
    return Answer(200, version.body, version)


def _history_entry(version: Stored, before: Stored | None, base: str) -> bytes:
    made = version.body is not None and (before is None or before.body is None)
    status = "201" if made else "200" if version.body is not None else "204"
    entry = {
        "fullUrl": f"{base}/{version.reference}",
        "request": {"method": version.method, "url": version.type if version.method == "POST" else version.reference},
        "response": {"status": status, "etag": etag(version), "lastModified": instant(version.updated)},
    }
    if version.body is not None:
        entry["resource"] = orjson.Fragment(version.body)
    return orjson.dumps(entry)
