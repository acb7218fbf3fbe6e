"""The screens that are served: for each schema its verified model, exchanged for the new champion while calls go on.

What the registry says holds, here as in the batch path: a champion that cannot be verified answers nobody, whatever model
was in force before. A model that is not there yet makes its service answer 503, and one that was tampered with, or does
not fit the schema, keeps the process from starting.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cds_hooks.discovery import service_id
from cds_hooks.refusals import Refusal
from cds_hooks.settings import Settings, SettingsError
from screening.errors import ModelError, ScreeningError
from screening.model.bundle import ModelBundle
from screening.model.files import load_file
from screening.model.layout import MODEL, POINTER
from screening.model.registry import champion
from screening.results.cards.context import CardContext, card_context
from screening.results.risk_assessment import AssessmentContext
from screening.schema import Schema, load_schema
from screening.scoring import check_fits

log = logging.getLogger(__name__)

Mark: TypeAlias = "tuple[tuple[int, int, int] | None, ...]"
"""What tells one state of the files from another; None for a file that is not there."""
CHECK_EVERY = 0.5
"""Seconds between two looks at the registry; between them a call costs no look at the disk."""


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
    """

    def __init__(self, schema: Schema, settings: Settings, check_every: float = CHECK_EVERY) -> None:
        self.schema, self.id = schema, service_id(schema)
        self._settings, self._check_every = settings, check_every
        self._lock = threading.Lock()
        self._loading = False
        self._looked = time.monotonic()
        self._loaded: Loaded | None = None
        self.problem: str | None = None
        self._mark = self._marks()
        if None in self._mark[:1] or (settings.model_file is None and not self._version_there()):
            self._fail("there is no model")
        else:
            self._loaded = self._load()
            self._mark = self._marks()

    @property
    def loaded(self) -> Loaded | None:
        """The model in force; None where there is none to be trusted."""
        return None if self.problem else self._loaded

    def current(self) -> Loaded:
        """Return the model in force, and begin to load its successor where the registry has changed.

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
        """Look at the registry, if the last look is long enough ago, and begin to load what is new in it."""
        if time.monotonic() - self._looked < self._check_every:
            return
        with self._lock:
            self._looked = time.monotonic()
            if self._loading or self._marks() == self._mark:
                return
            self._loading = True
        # Beside the calls: loading takes a second or more, and until it is done the old champion is the champion.
        threading.Thread(target=self._reload, name=f"load-{self.id}", daemon=True).start()

    def _reload(self) -> None:
        mark = self._marks()
        try:
            loaded = self._load()
        except ScreeningError as error:
            self._fail(str(error))
        else:
            self._loaded, self.problem = loaded, None
            log.info("%s: %s is in force, sha256 %s", self.id, loaded.bundle, loaded.bundle.sha256)
        finally:
            with self._lock:
                # The version's own file is known only now; a change while it was read shows at the next look.
                self._mark = (mark[0], *self._marks()[1:]) if self.problem is None else mark
                self._loading = False

    def _fail(self, problem: str) -> None:
        self.problem = problem
        log.error("%s answers 503: %s", self.id, problem)

    def _load(self) -> Loaded:
        bundle = self._bundle()
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

    def _bundle(self) -> ModelBundle:
        settings = self._settings
        if settings.model_file is not None:
            return load_file(
                settings.model_file,
                models_dir=settings.models,
                allow_unverified=settings.allow_unverified_model,
            )
        return champion(settings.models, str(self.schema.model))

    def _home(self) -> Path:
        return self._settings.models / str(self.schema.model)

    def _version_there(self) -> bool:
        return any(self._home().glob(f"*/{MODEL}"))

    def _marks(self) -> Mark:
        if self._settings.model_file is not None:
            return (_mark(self._settings.model_file),)
        pointer = _mark(self._home() / POINTER)
        inside = _mark(self._home() / self._loaded.bundle.version / MODEL) if self._loaded else None
        return pointer, inside


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


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
