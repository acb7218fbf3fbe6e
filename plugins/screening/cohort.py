"""Who is screened: logical ids from a list, a FHIR search or a Group."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from screening.errors import FatalError, FhirFatalError, FhirGone, FhirNotFound
from screening.fhir_client.bundles import resources_of, shortfall_of
from screening.schema import Cohort

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""https://hl7.org/fhir/R4/datatypes.html#id"""


class SearchingClient(Protocol):
    """What a cohort needs of the FHIR client."""

    def read(self, resource_type: str, resource_id: str) -> dict[str, Any]: ...
    def search_pages(self, resource_type: str, params: list[tuple[str, str]]) -> Iterable[dict[str, Any]]: ...


@dataclass(frozen=True)
class Members:
    """The cohort of a run.

    Attributes
    ----------
    patient_ids
        Each once, sorted, so that a run's batches do not depend on the server's order.
    unusable
        Entries found that name no patient of this server, and those that the server counts and yet does not give; they
        are told in the summary and never passed over.
    """

    patient_ids: tuple[str, ...]
    unusable: int = 0


def members(cohort: Cohort, prediction_time: datetime | None, client: SearchingClient, base_url: str) -> Members:
    """Find the patients of a cohort.

    Parameters
    ----------
    cohort
        Exactly one of search, group and patient_ids; `{prediction_time}` in a search becomes that instant.
    prediction_time
        None in the mode `latest`.
    client, base_url
        The FHIR server; an absolute reference counts only below its base.

    Raises
    ------
    FatalError
        For an id that is none, a search that cannot be read or is refused, a Group that is not there, and a cohort
        without a single patient.
    """
    withheld = 0
    if cohort.patient_ids is not None:
        found: list[str | None] = [_checked(text) for text in cohort.patient_ids]
    elif cohort.group is not None:
        found = _group(_read_group(client, cohort.group), cohort.group, base_url)
    else:
        kind, params = parse_search(cohort.search or "", prediction_time)
        pages = _search(client, kind, params)
        found = [_subject(resource, base_url) for page in pages for resource in resources_of(page)]
        withheld = shortfall_of(pages)
    known = sorted({one for one in found if one})
    if not known:
        source = cohort.group or (cohort.search or "").partition("?")[0] or "patient_ids"
        raise FatalError(
            f"the cohort is empty: {source} names no patient"
            f"{f' ({len(found)} entries without a usable patient reference)' if found else ''}; "
            "mend the schema's cohort or give patient_ids or a search for this run"
        )
    return Members(tuple(known), sum(one is None for one in found) + withheld)


def parse_search(text: str, prediction_time: datetime | None) -> tuple[str, list[tuple[str, str]]]:
    """Split `Type?name=value&…` and put the prediction time in.

    Raises
    ------
    FatalError
        Where the text is no search, or needs a prediction time that the run does not have.
    """
    kind, mark, query = text.partition("?")
    if not re.fullmatch(r"[A-Z][A-Za-z]+", kind) or not mark:
        raise FatalError("the cohort's search must read like Encounter?class=IMP or Patient?active=true")
    if "{prediction_time}" in query:
        if prediction_time is None:
            raise FatalError(
                "the cohort's search needs a prediction time, but the run takes each patient's latest: "
                "give patient_ids, a Group or a search without {prediction_time}"
            )
        instant = prediction_time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        query = query.replace("{prediction_time}", instant)
    return kind, parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)


def _checked(text: str) -> str:
    identity = text.strip().removeprefix("Patient/")
    if not ID.fullmatch(identity):
        raise FatalError("patient_ids holds what is no logical id (letters, digits, - and . only, 64 at most): mend it")
    return identity


def _read_group(client: SearchingClient, name: str) -> dict[str, Any]:
    try:
        return client.read("Group", name.removeprefix("Group/"))
    except (FhirNotFound, FhirGone) as error:
        raise type(error)(
            f"the cohort's {name} is not on the server ({error}): mend the schema's cohort or this run's",
            status=error.status,
        ) from None


def _search(client: SearchingClient, kind: str, params: list[tuple[str, str]]) -> list[dict[str, Any]]:
    try:
        return list(client.search_pages(kind, params))
    except FhirFatalError as error:
        if error.status not in (400, 404):
            raise
        raise FhirFatalError(
            f"the server refused the cohort's search ({error}): mend the schema's cohort or this run's",
            status=error.status,
        ) from None


def _group(group: dict[str, Any], name: str, base_url: str) -> list[str | None]:
    entries = group.get("member")
    found: list[str | None] = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("inactive") is not True:
            entity = entry.get("entity")
            text = entity.get("reference") if isinstance(entity, dict) else None
            if isinstance(text, str) and "Group/" in text:
                raise FhirFatalError(f"{name} has a Group as a member: name the inner groups' patients instead")
            found.append(_patient_id(text, base_url))
    return found


def _subject(resource: dict[str, Any], base_url: str) -> str | None:
    if resource.get("resourceType") == "Patient":
        identity = resource.get("id")
        return identity if isinstance(identity, str) and ID.fullmatch(identity) else None
    for key in ("subject", "patient"):
        holder = resource.get(key)
        if isinstance(holder, dict):
            return _patient_id(holder.get("reference"), base_url)
    return None


def _patient_id(text: Any, base_url: str) -> str | None:
    if not isinstance(text, str):
        return None
    kind, _, rest = text.removeprefix(base_url.rstrip("/") + "/").partition("/")
    identity = rest.partition("/")[0]
    return identity if kind == "Patient" and ID.fullmatch(identity) else None


def split(patient_ids: Iterable[str], size: int, most: int) -> list[list[str]]:
    """Cut a cohort into batches of `size`, larger ones where there would be more than `most` of them.

    Airflow refuses to map over more than `core.max_map_length` batches; larger batches screen everybody, a refused
    mapping screens nobody.
    """
    ids = list(patient_ids)
    size = max(1, size, -(-len(ids) // most))
    return [ids[start : start + size] for start in range(0, len(ids), size)]
