"""What FHIR content comes wrapped in: Bundles, CDS Hooks prefetch objects, lists, bare resources."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from screening.observations import Drop
from screening.readers.fhir_fields import Json, text

NO_PATIENT = ""
DEEPEST = 32
_NOT_A_RESOURCE: Drop = (NO_PATIENT, "", "not_a_resource")


def unwrap(content: Any, drops: Counter[Drop], depth: int = 0) -> Iterator[tuple[str, Json]]:
    """Yield (fullUrl, resource) of everything in a Bundle, a prefetch object, a list or a bare resource.

    Entries of search mode `outcome`, and OperationOutcome wherever it stands, are never data; what is no resource is
    counted as `not_a_resource`, and so is what is wrapped `DEEPEST` times: nobody wraps so, and it could end the batch.
    """
    if depth > DEEPEST:
        drops[_NOT_A_RESOURCE] += 1
    elif isinstance(content, list):
        for item in content:
            yield from unwrap(item, drops, depth + 1)
    elif not isinstance(content, dict):
        if content is not None:  # a prefetch key of null says "no data" (CDS Hooks 2.0)
            drops[_NOT_A_RESOURCE] += 1
    elif content.get("resourceType") == "Bundle":
        yield from _entries(content.get("entry") or [], drops, depth + 1)
    elif isinstance(content.get("resourceType"), str):
        if content["resourceType"] != "OperationOutcome":
            yield "", content
    elif (inside := _inside(content)) is not None:
        yield from unwrap(inside, drops, depth + 1)
    else:
        drops[_NOT_A_RESOURCE] += 1


def _inside(content: Json) -> list[Any] | None:
    """Return what a prefetch object holds, bare or within a CDS Hooks request; None for what is none."""
    if "prefetch" in content:
        return list(content["prefetch"].values()) if isinstance(content["prefetch"], dict) else None
    if content and any(isinstance(value, dict | list) or value is None for value in content.values()):
        return list(content.values())
    return None


def _entries(entries: Any, drops: Counter[Drop], depth: int) -> Iterator[tuple[str, Json]]:
    for entry in entries if isinstance(entries, list) else [entries]:
        yield from _entry(entry, drops, depth)


def _entry(entry: Any, drops: Counter[Drop], depth: int) -> Iterator[tuple[str, Json]]:
    if not isinstance(entry, dict):
        drops[_NOT_A_RESOURCE] += 1
        return
    search = entry.get("search")
    if isinstance(search, dict) and search.get("mode") == "outcome":
        return
    resource = entry.get("resource")
    if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
        yield from unwrap(resource, drops, depth)  # an answer inside a batch's answer: its own entries' URLs count
    elif resource is not None:
        for _, found in unwrap(resource, drops, depth):
            yield text(entry.get("fullUrl")), found
