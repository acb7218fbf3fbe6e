"""Load the synthetic hospital into a FHIR server."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from screening.errors import FhirFatalError
from screening.synthetic import Hospital, fhir_transactions

if TYPE_CHECKING:
    from screening.fhir_client.client import FhirClient


def seed(
    client: FhirClient,
    hospital: Hospital,
    *,
    named: bool = False,
    style: Literal["loinc", "mimic"] = "loinc",
    ids: Literal["client", "server"] = "client",
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write a hospital's patients as transactions; a repeat changes nothing.

    Parameters
    ----------
    named
        Whether `demo-high`, `demo-moderate` and `demo-low` come too.
    ids
        `client` writes under the hospital's own ids; `server` creates by identifier, for servers that choose ids.
    progress
        Called with the number of resources written so far.

    Returns
    -------
    int
        How many resources were sent.

    Raises
    ------
    FhirFatalError
        Where the server refuses an entry.
    """
    patients = itertools.chain(hospital.named() if named else (), hospital.patients())
    sent = 0
    for bundle in fhir_transactions(patients, style, ids=ids):
        for answer in client.transact(bundle):
            if answer.error is not None:
                raise FhirFatalError(
                    f"the server refused a resource of the synthetic hospital (HTTP {answer.status}): where it refuses "
                    "ids chosen by the client, seed with --ids server",
                    status=answer.status,
                ) from answer.error
        sent += len(bundle["entry"])
        if progress is not None:
            progress(sent)
    return sent
