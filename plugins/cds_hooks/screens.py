"""The screens that are served: for each schema its verified model, exchanged for the new champion while calls go on.

What the registry says holds, here as in the batch path: a champion that cannot be verified answers nobody, whatever model
was in force before. A model that is not there yet makes its service answer 503, and one that was tampered with, or does
not fit the schema, keeps the process from starting.

Whoever finds that the files have changed loads what they hold now, and is answered by it; calls beside are answered by the
model that they began with. So no worker, however long it had nothing to do, answers by a champion that was replaced.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cds_hooks.discovery import service_id
from cds_hooks.model_source import Mark, ModelSource
from cds_hooks.refusals import Refusal
from cds_hooks.settings import Settings, SettingsError
from cds_hooks.waiting import will_wait
from screening.errors import ModelError, ScreeningError
from screening.model.bundle import ModelBundle
from screening.results.cards.context import CardContext, card_context
from screening.results.risk_assessment import AssessmentContext
from screening.schema import Schema, load_schema
from screening.scoring import check_fits

log = logging.getLogger(__name__)

CHECK_EVERY = 0.5
"""Seconds between two looks at the registry; between them a call costs no look at the disk."""
RETRY_EVERY = 30.0
"""Seconds after which a model that could not be loaded is tried again though no file seems to have changed."""
NO_MODEL = "there is no model"


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A verified model and what is derived from it once.

    Attributes
    ----------
    assessment
        What its RiskAssessments have in common; None where the schema does not say what is predicted.
    """

    bundle: ModelBundle
    cards: CardContext
    assessment: AssessmentContext | None


class Screen:
    """One schema and the model in force for it.

    Parameters
    ----------
    schema
        The screen.
    settings
        Where its model is.
    check_every
        See `CHECK_EVERY`.

    Raises
    ------
    ModelError
        The model is there and cannot be trusted, or does not fit the schema.

    Attributes
    ----------
    state
        The model in force, or why there is none that can be trusted. Read it once: it may be another the next moment.
    """

    def __init__(self, schema: Schema, settings: Settings, check_every: float = CHECK_EVERY) -> None:
        self.schema, self.id = schema, service_id(schema)
        self.state: Loaded | str = NO_MODEL
        self._settings, self._check_every = settings, check_every
        self._source = ModelSource(settings, str(schema.model))
        self._turn = threading.Lock()
        self._mark = self._source.mark()
        if self._source.missing():
            log.error("%s answers 503: %s", self.id, NO_MODEL)
        else:
            self.state = self._load()
        self._looked = self._tried = time.monotonic()

    @property
    def loaded(self) -> Loaded | None:
        """The model in force; None where there is none to be trusted."""
        state = self.state
        return state if isinstance(state, Loaded) else None

    def current(self) -> Loaded:
        """Return the model in force, as the registry has it.

        Raises
        ------
        Refusal
            503: there is no model that can be trusted.
        """
        self.refresh()
        loaded = self.loaded
        if loaded is None:
            raise Refusal(
                503,
                "the model of this service is not available: its operator finds the reason at /health and in the log",
                diagnostics=self.id,
                headers={"Retry-After": "30"},
            )
        return loaded

    def refresh(self) -> None:
        """Look at the registry, if the last look is long enough ago, and load what is new in it.

        Nobody waits for anybody: while one call loads, the others go on with the model before.
        """
        if time.monotonic() - self._looked < self._check_every or not self._turn.acquire(blocking=False):
            return
        try:
            mark = self._source.mark()
            overdue = isinstance(self.state, str) and time.monotonic() - self._tried >= RETRY_EVERY
            if mark != self._mark or overdue:
                self._exchange(mark)
        finally:
            self._looked = time.monotonic()
            self._turn.release()

    def _exchange(self, mark: Mark) -> None:
        """Take what the files hold now; `mark` is of before, so that a change meanwhile shows at the next look."""
        will_wait()
        state: Loaded | str = "it could not be loaded: the log tells where"
        try:
            state = self._load()
        except ScreeningError as error:
            state = str(error)
        finally:  # whatever happens, the model before is not the champion any more
            self.state, self._mark, self._tried = state, mark, time.monotonic()
            if isinstance(state, str):
                log.error("%s answers 503: %s", self.id, state)
            else:
                log.info("%s: %s is in force, sha256 %s", self.id, state.bundle, state.bundle.sha256)

    def _load(self) -> Loaded:
        bundle = self._source.load()
        check_fits(bundle, self.schema)
        for warning in bundle.warnings:
            log.warning("%s: %s", self.id, warning)
        facts = {
            "name": bundle.name,
            "version": bundle.version,
            "sha256": bundle.sha256,
            "synthetic": bundle.synthetic,
            "tiny": bundle.tiny,
        }
        assessment = AssessmentContext.of(self.schema, facts) if self.schema.outcome else None
        return Loaded(bundle, card_context(self.schema, bundle, self._settings.base_url), assessment)


class Screens(Mapping[str, Screen]):
    """Every service by its id.

    Raises
    ------
    SettingsError
        There is no schema, or one without a model, or two of one name.
    SchemaError, ModelError
        A schema or a model is broken.
    """

    def __init__(self, settings: Settings, check_every: float = CHECK_EVERY) -> None:
        self._screens: dict[str, Screen] = {}
        for path in _schema_files(settings.schemas):
            schema = load_schema(path)
            if schema.model is None and settings.model_file is None:
                raise SettingsError(
                    f"{path.name} names no model: add `model:` to it, or set CDS_MODEL_FILE for one outside the registry"
                )
            if settings.system_actions and schema.outcome is None:
                raise SettingsError(f"{path.name} has no outcome, which CDS_SYSTEM_ACTIONS=true needs")
            if settings.system_actions and schema.only_screened:
                raise SettingsError(
                    f"{path.name} has only_screened, and CDS_SYSTEM_ACTIONS=true would make each look at a chart the last "
                    "screening: one low score, and the patient gets no card until the next night. Use one of the two"
                )
            try:
                screen = Screen(schema, settings, check_every)
            except ModelError as error:
                raise ModelError(f"{path.name}: {error}") from error
            if screen.id in self._screens:
                raise SettingsError(f"two schemas of {settings.schemas} would be the service {screen.id}")
            self._screens[screen.id] = screen

    def __getitem__(self, key: str) -> Screen:
        return self._screens[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._screens)

    def __len__(self) -> int:
        return len(self._screens)

    def find(self, key: str) -> Screen:
        """Return a service.

        Raises
        ------
        Refusal
            404: there is none of this id.
        """
        screen = self._screens.get(key)
        if screen is None:
            raise Refusal(404, "there is no such service: GET /cds-services lists those that there are")
        return screen


def _schema_files(where: Path) -> list[Path]:
    found = sorted(where.glob("*.yaml")) if where.is_dir() else [where]
    if not found:
        raise SettingsError(f"CDS_SCHEMAS: there is no schema (*.yaml) in {where}")
    return found
