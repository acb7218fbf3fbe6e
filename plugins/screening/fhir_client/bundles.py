"""Bundles that we send, `batch`, and the ones that come back: `batch-response` and `searchset`."""

import re
from collections.abc import Iterator, Sequence

from screening.fhir_client.content import dicts, is_resource, issue_codes
from screening.fhir_client.exchange import Reply, Resource

_STATUS = re.compile(r"\s*(\d{3})(?!\d)")
_ERRORS = ("error", "fatal")
# What the HTTP answer of a batch says of the server's quota holds for its entries.
_THROTTLE_HEADERS = ("Retry-After", "RateLimit")


def batch_of_gets(urls: Sequence[str]) -> Resource:
    """Make a batch of reads and searches from relative URLs."""
    return _batch([{"request": {"method": "GET", "url": url}} for url in urls])


def batch_of_creates(resources: Sequence[Resource], conditions: Sequence[str]) -> Resource:
    """Make a batch of conditional creates; a condition is what `If-None-Exist` would hold."""
    return _batch(
        [
            {
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"], "ifNoneExist": condition},
            }
            for resource, condition in zip(resources, conditions, strict=True)
        ]
    )


def _batch(entries: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


def replies_of_batch(reply: Reply, expected: int) -> list[Reply] | None:
    """Take the answer to a batch apart.

    Returns
    -------
    list of Reply, or None
        One an entry, in the order asked; status None where the entry tells none. None for all where the answer is not
        to be trusted: no batch-response, or another number of entries than were asked.
    """
    bundle = reply.resource or {}
    entries = bundle.get("entry")
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("batch-response", "transaction-response"):
        return None
    if not isinstance(entries, list) or len(entries) != expected or len(dicts(entries)) != expected:
        return None
    inherited = {name: reply.headers[name] for name in _THROTTLE_HEADERS if name in reply.headers}
    return [_entry_reply(entry, inherited) for entry in entries]


def _entry_reply(entry: Resource, inherited: dict[str, str]) -> Reply:
    response = entry.get("response")
    response = response if isinstance(response, dict) else {}
    match = _STATUS.match(str(response.get("status", "")))
    status = int(match[1]) if match else None
    headers = dict(inherited)
    for name, key in (("ETag", "etag"), ("Location", "location")):
        if isinstance(response.get(key), str):
            headers[name] = response[key]
    resource = entry.get("resource")
    good = status is not None and 200 <= status < 300
    codes = () if good else issue_codes(response.get("outcome")) or issue_codes(resource)
    return Reply(status, headers, resource if good and is_resource(resource) else None, codes=codes)


def is_searchset(resource: Resource | None) -> bool:
    """Tell a search's answer, whose entries all hold a resource."""
    if resource is None or resource.get("resourceType") != "Bundle" or resource.get("type") != "searchset":
        return False
    entries = resource.get("entry") or []
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and is_resource(entry.get("resource")) for entry in entries
    )


def data_entries(page: Resource) -> Iterator[Resource]:
    """Give the entries that are data: matches and includes, not what the server remarks on the search."""
    for entry in dicts(page.get("entry")):
        if _mode(entry) != "outcome" and entry["resource"]["resourceType"] != "OperationOutcome":
            yield entry


def resources_of(page: Resource) -> list[Resource]:
    """Give the resources of a searchset, in order."""
    return [entry["resource"] for entry in data_entries(page)]


def matches_of(page: Resource) -> int:
    """Count the entries that the search itself matched: what `total` counts."""
    return sum(_mode(entry) != "include" for entry in data_entries(page))


def shortfall_of(pages: Sequence[Resource]) -> int:
    """Count what the server says that a search found and yet did not give on any page, `total` of the last one being right.

    A server that cuts its answer and links no next page shows it there alone. Every entry counts as given: of some servers
    `total` is known to count remarks and includes too.
    """
    total = pages[-1].get("total") if pages else None
    if not isinstance(total, int) or isinstance(total, bool):
        return 0
    return max(0, total - sum(len(dicts(page.get("entry"))) for page in pages))


def remarks_of(page: Resource, *, errors: bool) -> tuple[str, ...]:
    """Give the issue codes of the OperationOutcomes in a searchset: errors, or what is less than an error."""
    severities = _ERRORS if errors else ("warning",)
    outcomes = [entry.get("resource") for entry in dicts(page.get("entry"))]
    return tuple(dict.fromkeys(code for outcome in outcomes for code in issue_codes(outcome, severities)))


def next_link(page: Resource) -> str | None:
    """Give the `next` link as the server wrote it; "" where there is one without a URL, None where there is none."""
    for link in dicts(page.get("link")):
        if link.get("relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else ""
    return None


def _mode(entry: Resource) -> object:
    search = entry.get("search")
    return search.get("mode") if isinstance(search, dict) else None
