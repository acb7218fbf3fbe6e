"""What an access token may be used for, by its SMART scopes (CH-54).

Versions 1 (`patient/Observation.read`) and 2 (`patient/Observation.rs?category=…`):
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

_SCOPE = re.compile(
    r"(?P<level>patient|user|system)/(?P<type>[A-Za-z]+|\*)\."
    r"(?:(?P<first>read|write|\*)|(?P<second>(?=[cruds])c?r?u?d?s?)(?P<query>\?.+)?)"
)


class Interaction(StrEnum):
    """What is done with a type of resource; the value is its letter in a scope of version 2."""

    READ = "r"
    SEARCH = "s"


class Grant(StrEnum):
    """How far a token permits something: `restricted` leaves out what its scope's query does not name."""

    FULL = "full"
    RESTRICTED = "restricted"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class _Scope:
    level: str
    type: str
    letters: str
    restricted: bool


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of one token, as far as they are about FHIR resources."""

    granted: tuple[_Scope, ...]

    @classmethod
    def of(cls, scopes: Iterable[str], *, of_patient: bool) -> Self:
        """Read the scopes of a token; what is none of a FHIR resource (`launch`, `openid`) grants nothing here.

        Parameters
        ----------
        of_patient
            Whether the patient asked for is the one that the token is about: else its `patient/` scopes grant nothing.
        """
        found = (_parsed(text) for text in scopes)
        return cls(tuple(one for one in found if one is not None and (of_patient or one.level != "patient")))

    def grant(self, resource_type: str, interaction: Interaction) -> Grant:
        """Tell how far something is permitted."""
        fit = [one for one in self.granted if one.type in (resource_type, "*") and interaction in one.letters]
        if not fit:
            return Grant.NONE
        return Grant.RESTRICTED if all(one.restricted for one in fit) else Grant.FULL


def wanted(resource_type: str, interaction: Interaction) -> str:
    """Name the scope that is needed, in both versions."""
    return f"patient/{resource_type}.{interaction} (or patient/{resource_type}.read)"


def _parsed(text: str) -> _Scope | None:
    match = _SCOPE.fullmatch(text)
    if match is None:
        return None
    letters = {"read": "rs", "write": "cud", "*": "cruds"}.get(match["first"] or "", match["second"] or "")
    return _Scope(match["level"], match["type"], letters, match["query"] is not None)
