"""A demo patient's files: a CDS Hooks prefetch, and a transaction Bundle that any FHIR server takes.

The prefetch is a JSON object as a CDS Hooks request carries it: `patient`, and under each feature's name a searchset with
the resources that hold its values. The transaction creates the Patient and those resources under ids of the server's
choosing; references within it are urn:uuid, and references to what is not in it (Encounter, Organization, Specimen) are left
out, for a server that checks references would refuse them. Every entry is a conditional create (`ifNoneExist`), a Patient by
its own identifier, all else by one that is added here, so that loading twice changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

Resource = dict[str, Any]

SOURCE_SYSTEM = "urn:airflow-risk-screening:demo-source"
"""Identifier that a created resource carries in place of the id that it had in the files."""
ENTRIES = 500
"""Of one transaction at most: what the strictest known server (Azure) takes."""
_NAMESPACE = UUID("b51b1f0a-5a3d-5f43-9d0e-3c8a1f7d2c66")
_SERVERS_OWN = ("versionId", "lastUpdated", "source")  # of meta: the next server makes its own


def prefetch(patient: Resource, by_feature: Mapping[str, Iterable[Resource]]) -> Resource:
    """Make the prefetch of one patient.

    Parameters
    ----------
    by_feature
        Feature name → the resources that hold its values; a feature without any has no key, as in a chart without it.
    """
    about = f"Patient/{patient['id']}"
    bundles = {
        name: {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": resource | {"subject": {"reference": about}}} for resource in resources],
        }
        for name, resources in by_feature.items()
    }
    return {"patient": patient, **{name: bundle for name, bundle in bundles.items() if bundle["entry"]}}


def transaction(patient: Resource, resources: Iterable[Resource]) -> Resource:
    """Make the transaction Bundle of one patient, the Patient first; the same input gives the same bytes.

    Parameters
    ----------
    resources
        Of this patient, each with an id, in any order.
    """
    own = _own_identifier(patient)
    known_as = "|".join(own) if own else _name(patient)
    inside = [patient, *sorted(resources, key=_name)]
    keys = {_name(one): str(uuid5(_NAMESPACE, f"{known_as}\x1f{_name(one)}")) for one in inside}
    addresses = {name: f"urn:uuid:{key}" for name, key in keys.items()}
    entries = []
    for one in inside:
        body = _rewired({name: part for name, part in one.items() if name not in ("id", "link")}, addresses)
        body["meta"] = {name: part for name, part in one.get("meta", {}).items() if name not in _SERVERS_OWN}
        if one is not patient:
            body["subject"] = {"reference": addresses[_name(patient)]}
        identifier = own if one is patient and own else (SOURCE_SYSTEM, keys[_name(one)])
        entries.append(_entry(body, addresses[_name(one)], identifier))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def parts(bundle: Resource, entries: int = ENTRIES) -> Iterator[Resource]:
    """Cut a patient's transaction into ones of at most so many entries.

    Each begins with the Patient, which is created once only and found by the others; references from one part into another
    are left out.
    """
    patient, *others = bundle["entry"]
    for start in range(0, max(len(others), 1), entries - 1):
        chosen = [patient, *others[start : start + entries - 1]]
        if len(chosen) < len(bundle["entry"]):
            here = {entry["fullUrl"]: entry["fullUrl"] for entry in chosen}
            chosen = [entry | {"resource": _rewired(entry["resource"], here)} for entry in chosen]
        yield bundle | {"entry": chosen}


def _entry(body: Resource, address: str, identifier: tuple[str, str]) -> Resource:
    system, value = identifier
    held = body.get("identifier", [])
    if not any((one.get("system"), one.get("value")) == identifier for one in held):
        body["identifier"] = [*held, {"system": system, "value": value}]
    condition = f"identifier={quote(f'{system}|{value}', safe='')}"
    request = {"method": "POST", "url": body["resourceType"], "ifNoneExist": condition}
    return {
        "fullUrl": address,
        "resource": {name: part for name, part in body.items() if part != {}},
        "request": request,
    }


def _own_identifier(patient: Resource) -> tuple[str, str] | None:
    for one in patient.get("identifier", []):
        if one.get("system") and one.get("value"):
            return one["system"], one["value"]
    return None


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _rewired(node: Any, addresses: Mapping[str, str]) -> Any:
    """Return a copy whose references lead to what is in the Bundle, or into the resource itself; others are left out."""
    if isinstance(node, list):
        return [one for one in (_rewired(item, addresses) for item in node) if one not in ({}, None)]
    if not isinstance(node, dict):
        return node
    target = node.get("reference")
    if isinstance(target, str) and not target.startswith("#"):
        to = addresses.get(target.split("/_history/")[0])
        return {"reference": to} if to else {}  # without its display, which may be a name
    copy = {name: _rewired(part, addresses) for name, part in node.items()}
    left_out = {name for name, part in copy.items() if part in ({}, []) and node[name] not in ({}, [])}
    if "url" in copy and left_out:  # an extension without its value is none
        return {}
    return {name: part for name, part in copy.items() if name not in left_out}
