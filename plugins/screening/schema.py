"""The schema YAML: what a screen looks at and what it means, read once for training, screening and the sidecar.

A schema in the tutorial's vocabulary (`features: {name: {fhir_resource, code, code_system, …}}`) loads unchanged. Every key
has an effect or is listed under `DESCRIBING`; an unknown key is an error with its path, and all errors are told at once.
`docs/schema.md` is the reference.
"""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from screening.schema_features import PRESENCE, Coding, Feature, MimicSource, Part, Text
from screening.strict_yaml import duration, read_mapping, read_text, validated

__all__ = [
    "DESCRIBING",
    "PRESENCE",
    "Coding",
    "Cohort",
    "Feature",
    "MimicSource",
    "RiskLevels",
    "Schema",
    "Text",
    "Window",
    "load_schema",
    "parse_schema",
]

DESCRIBING = (
    "title", "description", "model_info", "metadata", "outcome.display", "features.*.display", "features.*.dtype",
    "features.*.codes.*.display", "features.*.order.display",
)  # fmt: skip
"""Keys that only describe: they are kept and shown, and change no score."""

_COLUMNS = ("patient_id", "prediction_time", "standing", "reason", "encounter")
"""Columns that stand beside the features in `FeatureMatrix.rows`."""


class Window(Part):
    """Values with prediction_time - lookback < effective <= prediction_time count."""

    lookback: Annotated[timedelta, BeforeValidator(duration)]


class RiskLevels(Part):
    """Inclusive lower bounds of `moderate` and `high` on the probability as written (4 decimals)."""

    moderate: float = Field(default=0.4, gt=0, lt=1)
    high: float = Field(default=0.7, gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.moderate < self.high:
            raise ValueError("moderate must be below high")
        return self


class Cohort(Part):
    """Who is screened when a run names nobody: a FHIR search, a Group, or a list of logical ids."""

    search: Text | None = None
    group: Annotated[str, StringConstraints(pattern=r"^Group/[A-Za-z0-9\-.]{1,64}$")] | None = None
    patient_ids: Annotated[list[Text], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.search, self.group, self.patient_ids)) != 1:
            raise ValueError("give exactly one of search, group and patient_ids")
        return self


class Schema(Part):
    """One screen. `docs/schema.md` tells every key; those in `DESCRIBING` change no score."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
    version: Text
    title: str = ""
    description: str = ""
    model_info: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    outcome: Coding | None = None
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] | None = None
    window: Window | None = None
    min_observed: int = Field(default=1, ge=1)
    risk_levels: RiskLevels = RiskLevels()
    missing: Literal["insufficient", "impute"] = "insufficient"
    preliminary: bool = True
    cohort: Cohort | None = None
    schedule: Text | None = None
    only_screened: bool = False
    features: dict[str, Feature]

    @field_validator("features", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not isinstance(value, dict) or not value:
            raise ValueError("give at least one feature")
        if any(isinstance(body, dict) and "name" in body for body in value.values()):
            raise ValueError("a feature's name is its key; remove the key name inside it")
        if odd := [key for key in value if isinstance(key, str) and (key != key.strip() or key in _COLUMNS)]:
            taken = ", ".join(_COLUMNS)
            raise ValueError(f"{odd}: a feature's name has no white space around it and is none of {taken}")
        return {key: {**body, "name": key} if isinstance(body, dict) else body for key, body in value.items()}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        measured = [feature for feature in self.features.values() if feature.fhir_resource != "Patient"]
        if not measured:
            raise ValueError("features: at least one must be observed; a screen of Patient fields alone scores no data")
        if self.min_observed > len(measured):
            raise ValueError(f"min_observed: {self.min_observed}, but only {len(measured)} features are observed")
        if self.schedule and not (self.model and self.outcome and self.cohort):
            raise ValueError("schedule: a scheduled screen also needs model, outcome and cohort")
        return self

    @property
    def heading(self) -> str:
        """The title in one line; without one the name as words."""
        words = " ".join(self.name.replace("_", " ").split())
        return " ".join(self.title.split()) or words[:1].upper() + words[1:]  # AKI stays AKI

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names in the order of the YAML: the columns of the feature matrix."""
        return tuple(self.features)

    @property
    def lookback(self) -> timedelta | None:
        """How far back values count, or None: everything up to the prediction time."""
        return self.window.lookback if self.window else None

    def of(self, *resources: str) -> tuple[Feature, ...]:
        """Return the features that come from these resource types."""
        return tuple(feature for feature in self.features.values() if feature.fhir_resource in resources)

    def fingerprint(self) -> str:
        """Return the sha256 of all that can change a score; describing keys, and who sees what, are left out."""
        leave = ("title", "description", "model_info", "metadata", "cohort", "schedule", "only_screened", "features")
        body = self.model_dump_json(exclude={"outcome": {"display"}} | dict.fromkeys(leave, True))
        without: Any = {"display": True, "dtype": True, "order": True, "codes": {"__all__": {"display"}}}
        body += "".join(feature.model_dump_json(exclude=without) for feature in self.features.values())
        return hashlib.sha256(body.encode()).hexdigest()


def parse_schema(text: str, source: str = "schema") -> Schema:
    """Read a schema from YAML text.

    Raises
    ------
    SchemaError
        With every problem found, each with the path of its key.
    """
    return validated(Schema, read_mapping(text, source, needs="name, version and features"), source)


def load_schema(path: Path | str) -> Schema:
    """Read a schema file; see `parse_schema`."""
    path = Path(path)
    return parse_schema(read_text(path), path.name)
