"""A call of a service, from the parsed request to the cards: which of the answers that there are is given.

====================================================  ===============================================
the patient is                                        the answer
====================================================  ===============================================
scored moderate or high                               a card: warning or critical
scored low                                            no card
scored low, and data were lost or could not be used   an info card that says which
not scored for want of data, screened not long ago    that screening's result as a card, with its time
not scored: what was obtained is too little           an info card that says what is missing
not scored: what is needed could not be obtained      412
of a screen with `only_screened`, not screened high   no card
looked at by themselves (Patient, RelatedPerson)      no card, where CDS_CLINICIANS_ONLY
====================================================  ===============================================
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import uuid4

from cds_hooks.earlier_screening import EarlierUnknownError, earlier
from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.hook_request import HookRequest
from cds_hooks.live import LiveData, Look, missing_keys
from cds_hooks.prefetch import Prefetch
from cds_hooks.screens import Loaded, Screen
from cds_hooks.settings import Settings
from screening.fhir_client.budget import Budget
from screening.outcome import Outcome, RiskLevel
from screening.results import checks, risk_assessment
from screening.results.cards.card import earlier_card, not_computed_card, risk_card
from screening.results.cards.suggestions import create_action
from screening.results.earlier import EarlierScreening, from_resource

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["risk", "low", "not_computed", "earlier", "not_screened_high", "not_a_clinician"]
SCREENED_WITHIN = timedelta(hours=36)
"""How old the last screening may be for `only_screened`, where CDS_EARLIER_SCREENING does not say: a day's, run late."""


def new_id() -> str:
    """Return a fresh UUID4 for a card or a suggestion."""
    return str(uuid4())


class Model(NamedTuple):
    """The model by which an answer was given: with `earlier` that of the screening, and not the one in force."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of 200, and what the log, the figures and feedback know of it."""

    body: dict[str, Any]
    kind: Kind
    model: Model | None = None
    level: RiskLevel | None = None
    probability: float | None = None
    patient_id: str = ""
    fetched: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """One call on its way: what every step needs to know of it."""

    request: HookRequest
    screen: Screen
    loaded: Loaded
    now: datetime
    iss: str | None
    budget: Budget

    @property
    def model(self) -> Model:
        bundle = self.loaded.bundle
        return Model(bundle.name, bundle.version, bundle.sha256)


@dataclass(frozen=True, slots=True)
class Answers:
    """Gives the answers of all services.

    Attributes
    ----------
    clock
        The present, with its zone.
    """

    settings: Settings
    fetcher: Fetcher
    clock: Callable[[], datetime]
    make_id: Callable[[], str] = field(default=new_id)

    def answer(self, request: HookRequest, screen: Screen, *, iss: str | None) -> Given:
        """Answer one call.

        Raises
        ------
        Refusal
            4xx where the request or its data do not allow an answer, 503 without a model.
        ScreeningError
            The model fails on the data: the caller makes it a 500.
        """
        if self.settings.clinicians_only and not request.clinician:
            return Given({"cards": []}, "not_a_clinician")
        call = _Call(request, screen, screen.current(), self.clock(), iss, self.fetcher.budget())
        data = LiveData(self.settings, self.fetcher)
        sent = data.sent(request, screen.schema, now=call.now)
        latest = self.settings.prediction_time == "latest"
        if not latest and not self._wanted(call, sent, call.now):
            return Given({"cards": []}, "not_screened_high", call.model)
        seen = data.look(request, sent, screen.schema, call.loaded.bundle, now=call.now, iss=iss, budget=call.budget)
        # Records of the past were screened at their own time, which only their data tell.
        if latest and not self._wanted(call, seen, self._at(call, seen)):
            return Given({"cards": []}, "not_screened_high", call.model, fetched=seen.fetched)
        return self._scored(call, seen) if seen.result.outcome is Outcome.SCORED else self._not_scored(call, seen)

    def _scored(self, call: _Call, seen: Look) -> Given:
        result, loaded = seen.result, call.loaded
        doubtful = seen.incomplete | (seen.unused if result.risk_level is RiskLevel.LOW else frozenset())
        card = risk_card(result, loaded.cards, incomplete=doubtful, **self._around(call, seen))
        body: dict[str, Any] = {"cards": [card] if card else []}
        # What was scored on a part of the data is for the chart, and not for the record: the batch would write nothing.
        if self.settings.system_actions and loaded.assessment and not seen.incomplete:
            resource = risk_assessment.build(result, loaded.assessment)
            checks.check(resource)
            body["systemActions"] = [create_action(resource)]
        return Given(
            body,
            "risk" if card else "low",
            call.model,
            result.risk_level,
            result.probability,
            seen.patient_id,
            seen.fetched,
        )

    def _not_scored(self, call: _Call, seen: Look) -> Given:
        result, unknown = seen.result, {}
        if result.outcome is Outcome.INSUFFICIENT_DATA:
            try:
                found = self._earlier(call, seen)
            except EarlierUnknownError as error:
                log.warning("%s", error)
                found, unknown = None, {"RiskAssessment": str(error)}
            if found is not None:
                return self._as_screened(call, seen, found)
            if seen.lacking:
                needed = {key: why for key, why in seen.unobtained.items() if key in result.detail}
                raise missing_keys((needed or dict(seen.unobtained)) | unknown)
        seen = replace(seen, remarks={**seen.remarks, **unknown})
        card = not_computed_card(result, call.loaded.cards, **self._around(call, seen))
        return Given({"cards": [card]}, "not_computed", call.model, patient_id=seen.patient_id, fetched=seen.fetched)

    def _as_screened(self, call: _Call, seen: Look, found: EarlierScreening) -> Given:
        return Given(
            {"cards": [earlier_card(found, seen.result, call.loaded.cards, **self._around(call, seen))]},
            "earlier",
            Model(found.model_name, found.model_version, found.model_sha256),
            found.risk_level,
            found.probability,
            seen.patient_id,
            seen.fetched,
        )

    def _around(self, call: _Call, seen: Look) -> dict[str, Any]:
        """Return what every card is told besides the result."""
        encounter = call.request.encounter_id
        return {
            "new_id": self.make_id,
            "shown_at": self._at(call, seen),
            "stale": seen.stale,
            "remarks": seen.remarks,
            "patient_reference": f"Patient/{seen.patient_id}",
            "encounter_reference": f"Encounter/{encounter}" if encounter else None,
        }

    def _at(self, call: _Call, seen: Look) -> datetime:
        """Return the moment of the answer: a record of the past is read as of its own time, for ages against today's date
        would mean nothing.
        """
        latest = self.settings.prediction_time == "latest"
        return (seen.result.prediction_time if latest else None) or call.now

    def _earlier(self, call: _Call, seen: Look) -> EarlierScreening | None:
        """Return the last screening's result; None where there is none to show."""
        max_age = self.settings.earlier_screening
        return None if max_age is None else self._newest(call, seen, self._at(call, seen), max_age)

    def _wanted(self, call: _Call, whose: Prefetch | Look, at: datetime) -> bool:
        """Tell whether this screen speaks of the patient: of all, or with `only_screened` of who was screened high."""
        if not call.screen.schema.only_screened:
            return True
        max_age = self.settings.earlier_screening or SCREENED_WITHIN
        try:
            found = self._newest(call, whose, at, max_age)
        except EarlierUnknownError as error:
            raise missing_keys({"RiskAssessment": str(error)}) from None
        return found is not None and found.risk_level is RiskLevel.HIGH

    def _newest(self, call: _Call, whose: Prefetch | Look, at: datetime, max_age: timedelta) -> EarlierScreening | None:
        return earlier(
            self.fetcher, call.request, call.screen.schema, whose.patient_id, at, max_age, from_resource,
            patient=whose.patient, iss=call.iss, budget=call.budget,
        )  # fmt: skip
