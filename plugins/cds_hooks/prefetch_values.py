"""What one prefetch key holds: resources, in whatever a client wrapped them, or the words that say why there are none.

A client sends a read's resource or a search's Bundle; some send a Bundle of type collection, a bare resource where a Bundle
is expected, the other way round, or a list. What is broken anywhere is no data at all: nobody could tell what is missing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from screening.fhir_client.bundles import next_link, shortfall_of
from screening.fhir_client.content import issue_codes

Json = dict[str, Any]

_ERRORS = ("fatal", "error")
_REMARKS = ("warning", "information")
_BUNDLES = (None, "searchset", "collection")
"""A batch-response or a history holds also what is none of the patient's data now."""


class Unusable(Exception):  # noqa: N818 - a finding about the EHR's answer, not a defect
    """The value is no data; the words say why, and repeat nothing of it but severities and codes that FHIR defines."""


class Value(NamedTuple):
    """What a prefetch key holds.

    Attributes
    ----------
    content
        What to hand to the reader.
    resources
        The resources in it, OperationOutcomes left out.
    matches
        Those that the search itself found, in the order sent.
    remark
        What the EHR remarked on its own answer, less than an error; "" where it did not.
    link
        Where the next page is, "" where there is one and no address; None where this is the last.
    short
        Whether the EHR counts more than it sent.
    """

    content: Any
    resources: tuple[Json, ...]
    matches: tuple[Json, ...]
    remark: str = ""
    link: str | None = None
    short: bool = False


def read_value(value: Any, kind: str) -> Value:
    """Read the value of a prefetch key.

    Parameters
    ----------
    value
        As sent; not None.
    kind
        The type of resource that was asked for. A Patient may lack its `resourceType` where one was asked for.

    Raises
    ------
    Unusable
        An OperationOutcome in place of the data, or an error among them; or a value that is not made as FHIR makes it.
    """
    if isinstance(value, list):
        found = [_typed(one, kind) for one in value]
        return _of_entries(found, [{"resource": one} for one in found])
    resource = _typed(value, kind)
    if resource["resourceType"] == "Bundle":
        return _of_bundle(resource, kind)
    if resource["resourceType"] == "OperationOutcome":
        raise Unusable(f"the EHR sent an OperationOutcome ({_said(resource)})")
    if resource["resourceType"] != kind:
        raise Unusable(f"the EHR sent a resource that is no {kind}")
    return Value(resource, (resource,), (resource,))


def _typed(value: Any, kind: str) -> Json:
    """Return a resource as it is, or with the type that only a Patient may leave out."""
    if not isinstance(value, dict):
        raise Unusable("the EHR sent what is no FHIR resource")
    if isinstance(value.get("resourceType"), str):
        return value
    bare = value.get("resourceType") is None and isinstance(value.get("id"), str)
    if kind == "Patient" and bare and not value.keys() & {"entry", "resource"}:
        return {**value, "resourceType": "Patient"}
    raise Unusable("the EHR sent a resource without its type")


def _of_bundle(bundle: Json, kind: str) -> Value:
    entries, links = bundle.get("entry"), bundle.get("link")
    if bundle.get("type") not in _BUNDLES:
        raise Unusable("the EHR sent a Bundle that is neither searchset nor collection")
    if not all(part is None or (isinstance(part, list) and all(isinstance(one, dict) for one in part))
               for part in (entries, links)):  # fmt: skip
        raise Unusable("the EHR sent a broken Bundle")
    typed = [_entry(entry, kind) for entry in entries or ()]
    return _of_entries({**bundle, "entry": typed}, typed, next_link(bundle), short=shortfall_of([bundle]) > 0)


def _entry(entry: Json, kind: str) -> Json:
    found = _typed(entry.get("resource"), kind)
    return entry if found is entry["resource"] else {**entry, "resource": found}


def _of_entries(content: Any, entries: list[Json], link: str | None = None, *, short: bool = False) -> Value:
    by_mode: dict[str, list[Json]] = {"match": [], "include": [], "outcome": []}
    resources = []
    for entry in entries:
        mode, resource = _mode(entry), entry["resource"]
        by_mode[mode].append(resource)
        if mode != "outcome":
            resources.append(resource)
    outcomes = by_mode["outcome"]
    if any(map(_is_error, outcomes)):
        raise Unusable(f"the EHR sent an OperationOutcome among the data ({_all_said(outcomes)})")
    if any(one["resourceType"] == "Bundle" for one in resources):
        raise Unusable("the EHR sent a Bundle within a Bundle or list")
    return Value(content, tuple(resources), tuple(by_mode["match"]), _all_said(outcomes), link, short)


def _mode(entry: Json) -> str:
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, dict) else None
    if mode == "outcome" or entry["resource"]["resourceType"] == "OperationOutcome":
        return "outcome"
    return "include" if mode == "include" else "match"


def _is_error(outcome: Json) -> bool:
    """Tell an error; what does not say that it is less is one."""
    issues = outcome.get("issue")
    if not isinstance(issues, list) or not issues:
        return True
    return not all(isinstance(issue, dict) and issue.get("severity") in _REMARKS for issue in issues)


def _all_said(outcomes: list[Json]) -> str:
    return "; ".join(dict.fromkeys(map(_said, outcomes)))


def _said(outcome: Mapping[str, Any]) -> str:
    """Say an OperationOutcome in severities and codes: its texts may hold names and values."""
    told = {severity: issue_codes(outcome, [severity]) for severity in (*_ERRORS, *_REMARKS)}
    return (
        ", ".join(f"{severity} {' '.join(codes)}" for severity, codes in told.items() if codes) or "which says nothing"
    )
