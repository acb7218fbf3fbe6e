"""A call of a service, from the parsed request to the cards: which of the answers that there are is given.

====================================================  ===============================================
the patient is                                        the answer
====================================================  ===============================================
scored moderate or high                               a card: warning or critical
scored low                                            no card
not scored for want of data, screened not long ago    that screening's result as a card, with its time
not scored: what was obtained is too little           an info card that says what is missing
not scored: what is needed could not be obtained      412
of a screen with `only_screened`, not screened high   no card
looked at by themselves (Patient, RelatedPerson)      no card, where CDS_CLINICIANS_ONLY
====================================================  ===============================================
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from cds_hooks.earlier_screening import EarlierUnknownError, earlier
from cds_hooks.fetching.fetcher import Fetcher
from cds_hooks.hook_request import HookRequest
from cds_hooks.live import LiveData, Look, missing_keys
from cds_hooks.screens import Loaded, Screen
from cds_hooks.settings import Settings
from screening.features import observed
from screening.fhir_client.budget import Budget
from screening.outcome import Outcome, PatientResult, RiskLevel
from screening.results import checks, risk_assessment
from screening.results.cards.card import earlier_card, not_computed_card, risk_card
from screening.results.cards.suggestions import create_action
from screening.results.earlier import EarlierScreening, from_resource
from screening.schema import Schema

Kind: TypeAlias = Literal["risk", "low", "not_computed", "earlier", "not_screened_high", "not_a_clinician"]
SCREENED_WITHIN = timedelta(hours=36)
"""How old the last screening may be for `only_screened`, where CDS_EARLIER_SCREENING does not say: a day's, run late."""


def new_id() -> str:
    """Return a fresh UUID4 for a card or a suggestion."""
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of 200, and what the log, the figures and feedback know of it."""

    body: dict[str, Any]
    kind: Kind
    loaded: Loaded | None = None
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
        if screen.schema.only_screened and not self._screened_high(call):
            return Given({"cards": []}, "not_screened_high", call.loaded)
        seen = LiveData(self.settings, self.fetcher).look(
            request, screen.schema, call.loaded.bundle, now=call.now, iss=iss, budget=call.budget
        )
        return self._scored(call, seen) if seen.result.outcome is Outcome.SCORED else self._not_scored(call, seen)

    def _scored(self, call: _Call, seen: Look) -> Given:
        result, loaded = seen.result, call.loaded
        card = risk_card(result, loaded.cards, **self._around(call, seen))
        body: dict[str, Any] = {"cards": [card] if card else []}
        if self.settings.system_actions and loaded.assessment:
            resource = risk_assessment.build(result, loaded.assessment)
            checks.check(resource)
            body["systemActions"] = [create_action(resource)]
        return Given(
            body,
            "risk" if card else "low",
            loaded,
            result.risk_level,
            result.probability,
            seen.patient_id,
            seen.fetched,
        )

    def _not_scored(self, call: _Call, seen: Look) -> Given:
        result, around = seen.result, self._around(call, seen)
        if result.outcome is Outcome.INSUFFICIENT_DATA:
            found = self._earlier(call, seen)
            if found is not None:
                card = earlier_card(found, result, call.loaded.cards, **around)
                return Given(
                    {"cards": [card]}, "earlier", call.loaded, found.risk_level, found.probability, seen.patient_id
                )
            needed = {key: why for key, why in seen.unobtained.items() if key in result.detail}
            if needed and could_be_scored(call.screen.schema, result, needed):
                raise missing_keys(needed)
        card = not_computed_card(result, call.loaded.cards, **around)
        return Given({"cards": [card]}, "not_computed", call.loaded, patient_id=seen.patient_id, fetched=seen.fetched)

    def _around(self, call: _Call, seen: Look) -> dict[str, Any]:
        """Return what every card is told besides the result."""
        latest = self.settings.prediction_time == "latest"
        encounter = call.request.encounter_id
        return {
            "new_id": self.make_id,
            # A record of the past is read as of its own time: ages against today's date would mean nothing.
            "shown_at": (seen.result.prediction_time if latest else None) or call.now,
            "stale": seen.stale,
            "remarks": seen.remarks,
            "patient_reference": f"Patient/{seen.patient_id}",
            "encounter_reference": f"Encounter/{encounter}" if encounter else None,
        }

    def _earlier(self, call: _Call, seen: Look) -> EarlierScreening | None:
        """Return the last screening's result; None where there is none to show, or it cannot be looked up."""
        max_age = self.settings.earlier_screening
        if max_age is None:
            return None
        at = (seen.result.prediction_time if self.settings.prediction_time == "latest" else None) or call.now
        try:
            return self._newest(call, seen.patient_id, at, max_age)
        except EarlierUnknownError:
            return None  # said in the log; the answer goes on to say what the live score lacks

    def _screened_high(self, call: _Call) -> bool:
        max_age = self.settings.earlier_screening or SCREENED_WITHIN
        try:
            found = self._newest(call, call.request.patient_id, call.now, max_age)
        except EarlierUnknownError as error:
            raise missing_keys({"RiskAssessment": str(error)}) from None
        return found is not None and found.risk_level is RiskLevel.HIGH

    def _newest(self, call: _Call, patient_id: str, at: datetime, max_age: timedelta) -> EarlierScreening | None:
        return earlier(
            self.fetcher, call.request, call.screen.schema, patient_id, at, max_age, from_resource,
            iss=call.iss, budget=call.budget,
        )  # fmt: skip


def could_be_scored(schema: Schema, result: PatientResult, unobtained: Collection[str]) -> bool:
    """Tell whether a patient without enough data might have had enough, had the keys that were not obtained been there.

    If not, what was obtained is too little whatever they hold, and that is what the chart should show.
    """
    certain = [schema.features[name] for name in result.detail if name not in unobtained]
    if schema.missing == "insufficient" and any(feature.required for feature in certain):
        return False
    possible = sum(map(observed, schema.features.values())) - sum(map(observed, certain))
    return possible >= schema.min_observed
