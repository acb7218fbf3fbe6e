"""Transaction Bundles that load synthetic patients onto a FHIR server.

`client` ids are PUT under the ids of the resources (update as create): loading twice changes nothing. Where a server
refuses ids of the client's choosing (Medplum: 404), `server` POSTs with If-None-Exist on an identifier that every
resource then carries, and references are urn:uuid within the Bundle. A resource that the server already has stays as
it is, with the times of its first load.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from screening.errors import FatalError, ResultError
from screening.synthetic.hospital import Hospital
from screening.synthetic.ids import SYNTHETIC_ID, stable_uuid
from screening.synthetic.people import SyntheticPatient
from screening.synthetic.resources import Resource, fhir_resources
from screening.synthetic.terms import Style

Ids = Literal["client", "server"]


def fhir_transaction(
    resources: Iterable[Resource], ids: Ids = "client", *, elsewhere: Iterable[Resource] = ()
) -> Resource:
    """Return one transaction Bundle of resources that `fhir_resources` made.

    Parameters
    ----------
    resources
        Of one patient or of several; they are not changed.
    ids
        Who chooses the logical ids.
    elsewhere
        Resources that an earlier Bundle has loaded. With `server` ids a reference to one of them becomes a conditional
        reference (`Patient?identifier=...`), since nobody here knows its id.

    Raises
    ------
    ResultError
        With `server` ids, when a reference names a resource that is in neither.
    FatalError
        When `ids` is neither `client` nor `server`.
    """
    resources = list(resources)
    if ids == "client":
        entries = [
            {"resource": resource, "request": {"method": "PUT", "url": _name(resource)}} for resource in resources
        ]
    elif ids == "server":
        addresses = {_name(resource): f"{resource['resourceType']}?{_search(resource)}" for resource in elsewhere}
        addresses |= {_name(resource): _urn(resource) for resource in resources}
        entries = [_created(resource, addresses) for resource in resources]
    else:
        raise FatalError("the ids of a transaction are chosen by `client` or by `server`")
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def fhir_transactions(
    patients: Hospital | Iterable[SyntheticPatient], style: Style, entries: int = 500, ids: Ids = "client"
) -> Iterator[Resource]:
    """Yield transaction Bundles of at most `entries` entries, in memory of about two patients and one Bundle.

    A patient is split over Bundles only where the record alone is over the limit; Patient and Encounters then come in
    the first of them, so the Bundles must be loaded in their order.

    Raises
    ------
    FatalError
        When `entries` is below 10, which would not hold a patient's Patient and Encounters.
    """
    if entries < 10:
        raise FatalError("a transaction of the synthetic hospital needs room for at least 10 entries")
    waiting: list[Resource] = []
    for patient in patients.patients() if isinstance(patients, Hospital) else patients:
        record = fhir_resources(patient, style)
        if waiting and len(waiting) + len(record) > entries:
            yield fhir_transaction(waiting, ids)
            waiting = []
        if len(record) > entries:
            yield from _split(record, entries, ids)
        else:
            waiting += record
    if waiting:
        yield fhir_transaction(waiting, ids)


def _split(record: list[Resource], entries: int, ids: Ids) -> Iterator[Resource]:
    for start in range(0, len(record), entries):
        yield fhir_transaction(record[start : start + entries], ids, elsewhere=record[:start])


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _urn(resource: Resource) -> str:
    return f"urn:uuid:{stable_uuid(_name(resource))}"


def _search(resource: Resource) -> str:
    return f"identifier={SYNTHETIC_ID}|{resource['id']}"


def _created(resource: Resource, addresses: dict[str, str]) -> Resource:
    body: Resource = _rewired({key: value for key, value in resource.items() if key != "id"}, addresses)
    body["identifier"] = [*body.get("identifier", ()), {"system": SYNTHETIC_ID, "value": resource["id"]}]
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": _search(resource)}
    return {"fullUrl": _urn(resource), "resource": body, "request": request}


def _rewired(node: Any, addresses: dict[str, str]) -> Any:
    """Return a copy in which every reference leads to where the resource will be; `#contained` ones stay."""
    if isinstance(node, list):
        return [_rewired(item, addresses) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _rewired(value, addresses) for key, value in node.items()}
    target = copy.get("reference")
    if isinstance(target, str) and not target.startswith("#"):
        if target not in addresses:
            raise ResultError(f"{target} is referred to, but is not among the resources of this transaction")
        copy["reference"] = addresses[target]
    return copy
