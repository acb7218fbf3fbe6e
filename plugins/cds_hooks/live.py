"""One patient now: what the EHR sent, what had to be fetched besides, and the score that the batch path would give.

From the reader on it is the library's one road; nothing of a score is decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cds_hooks.absences import without_invented_zeros
from cds_hooks.fetching.fetcher import Fetched, Fetcher
from cds_hooks.hook_request import HookRequest
from cds_hooks.prefetch import Prefetch, sort_out
from cds_hooks.refusals import Refusal
from cds_hooks.settings import Settings
from cds_hooks.supposing import could_be_scored
from cds_hooks.unused import unused
from screening.features import featurize
from screening.fhir_client.budget import Budget
from screening.model.bundle import ModelBundle
from screening.outcome import Outcome, PatientResult, RiskLevel
from screening.readers.fhir import FhirReader
from screening.results.cards.dropped import dropped, not_usable
from screening.schema import Schema
from screening.scoring import score
from screening.window import outside_window


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at one look at a chart.

    Attributes
    ----------
    patient_id
        Whose data it is; `context.patientId` unless a patient match is not required.
    patient
        The Patient that was sent; None where none was.
    result
        The library's answer.
    stale
        Feature → time of its newest value before the window, where none within it counts.
    remarks
        Feature → why its value is missing or incomplete, in words for the card.
    unobtained
        Prefetch key → why it was neither sent nor fetched.
    lacking
        Whether the patient could be scored if there were values for what is `unobtained`.
    incomplete
        Features whose data, or a part of them, were lost: sent in a way that cannot be read, or asked for in vain. One that
        was not sent and that nobody may be asked for is not among them: an EHR may have no such data to send.
    unused
        Features of a low risk of which something of the window was found and did not count: it may tell of another risk.
    fetched
        How many keys were fetched.
    """

    patient_id: str
    patient: Mapping[str, Any] | None = field(repr=False)
    result: PatientResult
    stale: Mapping[str, datetime]
    remarks: Mapping[str, str]
    unobtained: Mapping[str, str]
    lacking: bool
    incomplete: frozenset[str]
    unused: frozenset[str]
    fetched: int


@dataclass(frozen=True, slots=True)
class LiveData:
    """Looks at charts.

    Attributes
    ----------
    settings
        `prediction_time`, `zone` and `require_patient_match` count.
    """

    settings: Settings
    fetcher: Fetcher

    def sent(self, request: HookRequest, schema: Schema, *, now: datetime) -> Prefetch:
        """Sort out what the EHR sent.

        Raises
        ------
        Refusal
            400 where the data are another patient's.
        """
        return sort_out(
            request,
            schema,
            prediction_time=self._at(now),
            require_patient_match=self.settings.require_patient_match,
        )

    def look(
        self,
        request: HookRequest,
        sent: Prefetch,
        schema: Schema,
        bundle: ModelBundle,
        *,
        now: datetime,
        iss: str | None,
        budget: Budget,
    ) -> Look:
        """Score the patient of a request.

        Parameters
        ----------
        sent
            What came with it, sorted out.
        iss
            Whose token came with the call; None where none is asked for.
        budget
            What fetching may use of time and bytes.

        Raises
        ------
        Refusal
            412 where the Patient itself can be had nowhere.
        """
        at = self._at(now)
        more = self.fetcher.fetch(
            request, schema, sent.absent, sent.patient_id, at,
            iss=iss, partial=sent.partial, patient=sent.patient, budget=budget,
        )  # fmt: skip
        if "patient" in more.unobtained:
            raise missing_keys(more.unobtained)  # all of them: whoever integrates should hear of the rest at once
        zone = self.settings.zone or self.fetcher.zone
        # What was sent names the EHR's server, and what was fetched the one that we know it by.
        bases = tuple(url for url in (more.base_url, request.fhir_server) if url)
        reader = FhirReader(schema, [sent.patient_id], bases, zone)
        for content in (*sent.contents, *more.contents):
            reader.add(content)
        reading = reader.reading()
        matrix = featurize(reading, schema, at or "latest", patient_ids=[sent.patient_id], zone=zone)
        unknown = frozenset((*sent.problems, *more.problems, *more.unobtained))
        matrix = without_invented_zeros(matrix, schema, unknown)
        result = score(matrix, schema, bundle)[0]
        stale, half = outside_window(reading.values, schema, sent.patient_id, result.prediction_time)
        lacking = bool(more.unobtained) and result.outcome is Outcome.INSUFFICIENT_DATA
        if lacking:
            lacking = could_be_scored(
                reading, schema, bundle, sent.patient_id, more.unobtained, result.detail, result.prediction_time or now,
                unknown=unknown, latest=at is None, zone=zone,
            )  # fmt: skip
        remarks = _remarks(sent, more, dropped(matrix.drops, sent.patient_id, half))
        inputs = frozenset(bundle.feature_names)
        beside: frozenset[str] = frozenset()
        observed = frozenset(matrix.observed.feature)
        if result.risk_level is RiskLevel.LOW and not_usable(matrix.drops, sent.patient_id, observed):
            beside = unused(
                (*sent.contents, *more.contents), schema, sent.patient_id, result.prediction_time or now,
                observed=observed, bases=bases, zone=zone, latest=at is None,
            )  # fmt: skip
        return Look(
            sent.patient_id,
            sent.patient,
            result,
            stale,
            remarks,
            more.unobtained,
            lacking,
            _lost(sent, more) & inputs,
            (beside | half) & inputs,
            len(more.contents),
        )

    def _at(self, now: datetime) -> datetime | None:
        return None if self.settings.prediction_time == "latest" else now


def _remarks(sent: Prefetch, more: Fetched, unused: Mapping[str, str]) -> dict[str, str]:
    """Say for the card what is wrong with which key; what was not obtained last, for it outweighs the rest.

    What was found and did not count is told in any case: the key may be one, and the value have come by another.
    """
    found = {**sent.remarks, **sent.problems, **more.problems, **more.unobtained}
    return found | {key: f"{words}; {found[key]}" if key in found else words for key, words in unused.items()}


def _lost(sent: Prefetch, more: Fetched) -> frozenset[str]:
    return frozenset((*sent.problems, *more.problems, *more.failed))


def missing_keys(unobtained: Mapping[str, str]) -> Refusal:
    """Return the refusal that names what could not be had (CDS Hooks 2.0.1, "Prefetch": 412)."""
    return Refusal(
        412,
        "Data that this service needs were neither sent as prefetch nor could they be fetched.",
        diagnostics="; ".join(f"{key}: {why}" for key, why in unobtained.items()),
    )
