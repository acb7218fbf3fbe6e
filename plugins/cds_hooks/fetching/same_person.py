"""Whether two servers mean the same person by one patient id.

A logical id is a server's own (FHIR R4, "Resource", 2.27.3.1). An EHR's patients have those of our own FHIR connection only
where both are one system, or one was loaded from the other; else its patient 123 is another's 123, and what was fetched for
the chart would be somebody else's.
"""

from collections.abc import Mapping
from typing import Any

from screening.readers.fhir_fields import text

_SEXES = ("male", "female")
"""Of FHIR's codes for a gender the two that two records of one person seldom differ in."""


def contradiction(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Return the names of the fields in which two Patients cannot be one person; None where there is none.

    A date of less precision agrees with each within it. What either does not tell contradicts nothing.
    """
    fields = []
    born, too = text(one.get("birthDate")).strip(), text(other.get("birthDate")).strip()
    if born and too and not (born.startswith(too) or too.startswith(born)):
        fields.append("birthDate")
    sex, as_well = text(one.get("gender")).strip().lower(), text(other.get("gender")).strip().lower()
    if sex in _SEXES and as_well in _SEXES and sex != as_well:
        fields.append("gender")
    return " and ".join(fields) or None
