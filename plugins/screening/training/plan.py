"""The training YAML: what is learned, from whom, and what a new model must show before it may screen anybody.

What a feature is stands in the schema alone. Every key has an effect; an unknown one is an error with its path.
`docs/training.md` is the reference.
"""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from screening.errors import SchemaError
from screening.schema import Text
from screening.strict_yaml import duration, read_mapping, read_text, sentence

Candidate = Literal["logistic_regression", "random_forest", "xgboost"]
CANDIDATES: tuple[Candidate, ...] = ("logistic_regression", "random_forest", "xgboost")
"""From the simplest; with equal F1 the one that stands first wins."""
INVENTED_PATIENTS = 5000
"""Size of the invented hospital, where a run is given neither folder nor database; the demo model learned from it."""
Duration = Annotated[timedelta, BeforeValidator(duration)]
Codes = Annotated[tuple[str, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]
Pair = Annotated[tuple[float, float], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Label(_Part):
    """Which ICD codes, by prefix, make a stay positive; written as MIMIC does, without dots.

    Raises
    ------
    SchemaError
        For a code with a dot (it would match nothing), in lower case, or with anything but letters and digits.
    """

    name: Text
    version: Text
    icd9: Codes = ()
    icd10: Codes = ()

    @field_validator("icd9", "icd10")
    @classmethod
    def _dotless(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        if odd := [code for code in codes if not (code.isascii() and code.isalnum() and code == code.upper())]:
            raise ValueError(
                f"{odd}: MIMIC writes ICD codes without dots and in capitals (R6520 for R65.20): do the same"
            )
        return codes

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.icd9 and not self.icd10:
            raise ValueError("give at least one prefix under icd9 or icd10")
        return self


class Cohort(_Part):
    """Which stays are learned from: age in completed years at the prediction time, and length of the stay."""

    min_age: int = Field(default=18, ge=0, le=120)
    min_stay: Duration = timedelta(hours=6)


class Prediction(_Part):
    """When a stay is looked at: so long after it began, or at its end where that comes first."""

    after_intime: Duration = timedelta(hours=24)


class Untouched(_Part):
    """The share of patients that are kept for the last evaluation, chosen by a hash of salt and subject_id."""

    share: float = Field(default=0.2, gt=0, lt=0.9)
    salt: Text


class GateLimits(_Part):
    """What a new model must hold to become champion; `screening.training.gate.judge` tells each rule."""

    min_positives: int = Field(default=20, ge=1)
    max_auroc: float = Field(default=0.90, gt=0.5, le=1)
    max_auprc_loss: float = Field(default=0.01, ge=0, le=1)
    max_f1_loss: float = Field(default=0.02, ge=0, le=1)
    calibration_slope: Pair = (0.8, 1.25)
    max_calibration_intercept: float = Field(default=0.2, gt=0)
    max_ece: float = Field(default=0.05, gt=0, le=1)
    max_subgroup_loss: float = Field(default=0.10, gt=0, le=1)
    max_latency_ms: float = Field(default=50.0, gt=0)


class TrainingPlan(_Part):
    """One training YAML."""

    schema_file: Annotated[str, Field(alias="schema", pattern=r"^[A-Za-z0-9_.-]+\.ya?ml$")]
    label: Label
    cohort: Cohort = Cohort()
    prediction: Prediction = Prediction()
    zone: Text = "America/New_York"
    seed: int = Field(default=20260101, ge=0, lt=2**31)
    folds: int = Field(default=5, ge=2, le=20)
    untouched: Untouched
    bootstrap: int = Field(default=1000, ge=100, le=100_000)
    candidates: dict[Candidate, dict[str, Any]]
    gate: GateLimits = GateLimits()

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: America is a folder
            raise ValueError(f"{name!r} is no time zone of the IANA list, such as America/New_York") from None
        return name

    @field_validator("candidates")
    @classmethod
    def _some(cls, value: dict[Candidate, dict[str, Any]]) -> dict[Candidate, dict[str, Any]]:
        if not value:
            raise ValueError("name at least one candidate")
        return value

    def clock(self) -> ZoneInfo:
        """Return the zone of MIMIC's times."""
        return ZoneInfo(self.zone)

    def fingerprint(self) -> str:
        """Return the sha256 of the plan's values, defaults filled in; comments and the order of keys do not count."""
        held = self.model_dump(mode="json", by_alias=True)
        return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def parse_plan(text: str, source: str = "training plan", **changes: Any) -> TrainingPlan:
    """Read a training plan from YAML text.

    Parameters
    ----------
    changes
        Values in place of the file's, by key: what one run wants otherwise (`seed`, `prediction`). `candidates` as a list of
        names keeps these of the file's.

    Raises
    ------
    SchemaError
        With every problem found, each with the path of its key.
    """
    data = dict(read_mapping(text, source, needs="schema, label, untouched and candidates"))
    chosen = changes.pop("candidates", None)
    data.update(changes)
    known = data.get("candidates")
    if chosen is not None and isinstance(known, dict):  # else what is wrong with it is told below
        if unknown := [name for name in chosen if name not in known]:
            raise SchemaError(
                source, [f"candidates: {', '.join(unknown)} is not in the plan; it has {', '.join(known)}"]
            )
        data["candidates"] = {name: known[name] for name in known if name in chosen}
    try:
        return TrainingPlan.model_validate(data)
    except ValidationError as error:
        raise SchemaError(source, [sentence(item) for item in error.errors(include_url=False)]) from None


def load_plan(path: Path | str, **changes: Any) -> TrainingPlan:
    """Read a training plan's file; see `parse_plan`."""
    path = Path(path)
    return parse_plan(read_text(path), path.name, **changes)
