"""What of a resource is indexed: the one row of the index that its body implies."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_sandbox import references
from fhir_sandbox.moments import EARLIEST, LATEST, Span, span
from fhir_sandbox.parameters import PARAMETERS, Kind, Parameter
from fhir_sandbox.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Entry:
    """What is indexed of one resource.

    Attributes
    ----------
    subject, encounter
        `Type/id` on this server, or the reference as it stands; None where there is none.
    low, high
        The span of the type's date parameter in microseconds since 1970; None where there is none.
    tokens
        (parameter as `Type.name`, system, code); system "" where the resource gives none.
    """

    subject: str | None
    encounter: str | None
    low: int | None
    high: int | None
    tokens: frozenset[tuple[str, str, str]]


def index(resource: dict[str, Any], own_base: str = "") -> Entry:
    """Read what is indexed out of a resource.

    Parameters
    ----------
    resource
        With its `resourceType`.
    own_base
        This server's base URL: absolute references below it are indexed as relative ones.

    Raises
    ------
    Refusal
        400 if an indexed element has not the shape that FHIR gives it.
    """
    resource_type = resource["resourceType"]
    links: dict[str, str | None] = {"subject": None, "encounter": None}
    low = high = None
    tokens: set[tuple[str, str, str]] = set()
    for parameter in PARAMETERS.get(resource_type, {}).values():
        for element in parameter.elements:
            value = resource.get(element)
            if value is None:
                continue
            place = f"{resource_type}.{element}"
            if parameter.kind is Kind.REFERENCE:
                links[element] = _reference(value, place, own_base)
            elif parameter.kind is Kind.DATE:
                low, high = _span(value, place)
            else:
                name = f"{resource_type}.{parameter.name}"
                tokens.update((name, system, code) for system, code in _tokens(value, place, parameter))
    return Entry(links["subject"], links["encounter"], low, high, frozenset(tokens))


def _reference(value: object, place: str, own_base: str) -> str | None:
    if not isinstance(value, dict):
        raise Refusal(400, "structure", f"{place} must be one Reference", expression=place)
    reference = value.get("reference")
    return references.target(reference, own_base) if isinstance(reference, str) else None


def _span(value: object, place: str) -> Span:
    try:
        if isinstance(value, str):
            return span(value)
        if isinstance(value, dict):
            start, end = value.get("start"), value.get("end")
            return (span(start)[0] if start is not None else EARLIEST, span(end)[1] if end is not None else LATEST)
    except (TypeError, ValueError):
        pass
    raise Refusal(400, "value", f"{place} is no FHIR date or Period", expression=place)


def _tokens(value: object, place: str, parameter: Parameter) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _tokens(item, place, parameter)
    elif isinstance(value, bool):
        yield "", "true" if value else "false"
    elif isinstance(value, str):
        yield parameter.system, value
    elif isinstance(value, dict):
        yield from _coded(value, place, parameter)
    else:
        raise Refusal(400, "structure", f"{place} is no coded value", expression=place)


def _coded(value: dict[str, Any], place: str, parameter: Parameter) -> Iterator[tuple[str, str]]:
    """Take a CodeableConcept, a Coding or an Identifier apart."""
    if "coding" in value:
        if not isinstance(value["coding"], list) or not all(isinstance(coding, dict) for coding in value["coding"]):
            raise Refusal(400, "structure", f"{place}.coding must be an array of Codings", expression=place)
        for coding in value["coding"]:
            yield from _coding(coding, place, parameter)
    else:
        yield from _coding(value, place, parameter)


def _coding(value: dict[str, Any], place: str, parameter: Parameter) -> Iterator[tuple[str, str]]:
    system, code = value.get("system", ""), value.get("value" if parameter.name == "identifier" else "code")
    if not isinstance(system, str) or not isinstance(code, str | None):
        raise Refusal(400, "structure", f"{place} has a system or a code that is no string", expression=place)
    if code is not None:
        yield system, code
