"""The schema YAML: what a screen looks at and what it means, read once for training, screening and the sidecar.

A schema in the tutorial's vocabulary (`features: {name: {fhir_resource, code, code_system, …}}`) loads unchanged. Every key
has an effect or is listed under `DESCRIBING`; an unknown key is an error with its path, and all errors are told at once.
`docs/schema.md` is the reference.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from screening.errors import SchemaError
from screening.units import KNOWN, by_text

DESCRIBING = ("description", "model_info", "metadata", "features.*.display", "features.*.dtype")
"""Keys that only describe: they are kept and shown, and change no score."""

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
PRESENCE = ("Condition", "MedicationRequest", "MedicationAdministration")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(m|min|h|d)")
_STEPS = {"m": 1, "min": 1, "h": 60, "d": 1440}


def _duration(value: object) -> object:
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match or float(match[1]) <= 0:
        raise ValueError(f"{value!r} is no duration: write a number above 0 and m, h or d, such as 24h")
    return timedelta(minutes=float(match[1]) * _STEPS[match[2]])


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Coding(_Part):
    """One (system, code) that is matched exactly over all codings of a resource."""

    system: Text
    code: Text
    display: str = ""


class Window(_Part):
    """Values with prediction_time - lookback < effective <= prediction_time count."""

    lookback: Annotated[timedelta, BeforeValidator(_duration)]


class RiskLevels(_Part):
    """Inclusive lower bounds of `moderate` and `high` on the probability as written (4 decimals)."""

    moderate: float = Field(default=0.4, gt=0, lt=1)
    high: float = Field(default=0.7, gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.moderate < self.high:
            raise ValueError("moderate must be below high")
        return self


class Cohort(_Part):
    """Who is screened when a run names nobody: a FHIR search, a Group, or a list of logical ids."""

    search: Text | None = None
    group: Annotated[str, StringConstraints(pattern=r"^Group/[A-Za-z0-9\-.]{1,64}$")] | None = None
    patient_ids: Annotated[list[Text], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.search, self.group, self.patient_ids)) != 1:
            raise ValueError("give exactly one of search, group and patient_ids")
        return self


class MimicSource(_Part):
    """Where MIMIC-IV keeps the same quantity."""

    table: Literal["chartevents", "labevents", "patients"]
    itemid: list[int] = []


class Feature(_Part):
    """One column of the feature matrix.

    Attributes
    ----------
    codes
        (system, code) pairs; the tutorial's `code` and `code_system` become one pair.
    unit
        The canonical unit as a UCUM code; a known text (`bpm`, `°F`, `K/uL`) is turned into its code.
    range
        Inclusive bounds in the canonical unit; a value outside is dropped and counted.
    aggregate
        How the values in the window become one number. `delta` is last minus first and needs two values.
    assume_unit
        Accept a Quantity without any unit as being in the canonical one.
    molar_mass
        Of the analyte, g/mol; lets mg/dL and mmol/L meet.
    """

    name: Text
    fhir_resource: Literal[
        "Observation", "Patient", "Condition", "MedicationRequest", "MedicationAdministration", "Encounter"
    ]
    code: Text | None = None
    code_system: Text | None = None
    codes: tuple[Coding, ...] = ()
    field: Literal["birthDate", "gender", "period"] | None = None
    transform: Literal["calculate_age", "encode_gender", "hours_since_admission"] | None = None
    unit: str | None = None
    dtype: Literal["float64", "float32", "int64", "int32", "bool"] = "float64"
    required: bool = False
    display: str = ""
    mimic: MimicSource | None = None
    range: tuple[float, float] | None = None
    aggregate: Literal["last", "first", "mean", "median", "min", "max", "count", "delta", "present"] | None = None
    assume_unit: bool = False
    molar_mass: float | None = Field(default=None, gt=0)

    @field_validator("codes", mode="before")
    @classmethod
    def _codes(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("range", mode="before")
    @classmethod
    def _range(cls, value: object) -> object:
        return tuple(float(v) if type(v) is int else v for v in value) if isinstance(value, list) else value

    @model_validator(mode="before")
    @classmethod
    def _tutorial_code(cls, data: object) -> object:
        """Turn the tutorial's `code` and `code_system` into the one pair of `codes`, and settle the unit's code."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if ("code" in data) != ("code_system" in data):
            raise ValueError("code and code_system go together (or give codes: a list of {system, code})")
        if "code" in data:
            if "codes" in data:
                raise ValueError("give either code with code_system or codes, not both")
            data["codes"] = [{"system": data["code_system"], "code": data["code"]}]
        if isinstance(data.get("unit"), str):
            unit = by_text(data["unit"])
            if unit is None:
                raise ValueError(f"unit {data['unit']!r} is unknown; known: {', '.join(sorted(KNOWN))}")
            data["unit"] = unit.code
        return data

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = list(_source_problems(self))
        if self.range is not None and not self.range[0] < self.range[1]:
            problems.append("range must be [low, high] with low below high")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def how(self) -> str:
        """The aggregate in force: mean for an Observation as in the tutorial, present for a Condition or medication."""
        return self.aggregate or ("mean" if self.fhir_resource == "Observation" else "present")


def _source_problems(feature: Feature) -> list[str]:
    """Say what a feature's keys lack, or have without effect, for its kind of source."""
    kind = feature.fhir_resource
    pairs = {"birthDate": "calculate_age", "gender": "encode_gender", "period": "hours_since_admission"}
    wanted = {"Patient": ("birthDate", "gender"), "Encounter": ("period",)}.get(kind)
    idle: dict[str, object] = {
        "range": feature.range, "molar_mass": feature.molar_mass, "assume_unit": feature.assume_unit or None,
    }  # fmt: skip
    problems = []
    if wanted:
        if feature.field not in wanted:
            problems.append(f"a {kind} feature needs field: {' or '.join(wanted)}")
        elif feature.transform != pairs[feature.field]:
            problems.append(f"field {feature.field} needs transform: {pairs[feature.field]}")
        idle |= {"codes": feature.codes or None, "aggregate": feature.aggregate}
    else:
        if not feature.codes:
            problems.append(f"{kind} features need code with code_system, or codes")
        idle |= {"field": feature.field, "transform": feature.transform}
        if kind == "Observation":
            idle = {key: idle[key] for key in ("field", "transform")}
            if feature.unit is None and feature.how != "count":
                problems.append("an Observation feature needs unit")
            if feature.how == "present":
                problems.append("aggregate present is for Condition and medication features")
        elif feature.how not in ("present", "count"):
            problems.append(f"a {kind} feature can be aggregated by present or count")
        if feature.how in ("present", "count") and feature.required:
            problems.append(f"required has no effect with aggregate {feature.how}: absence is the value 0")
    return problems + [f"{key} has no effect on a {kind} feature" for key, value in idle.items() if value is not None]


class Schema(_Part):
    """One screen. `docs/schema.md` tells every key; those in `DESCRIBING` change no score."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
    version: Text
    description: str = ""
    model_info: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    outcome: Coding | None = None
    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] | None = None
    window: Window | None = None
    min_observed: int = Field(default=1, ge=1)
    risk_levels: RiskLevels = RiskLevels()
    missing: Literal["insufficient", "impute"] = "insufficient"
    preliminary: bool = True
    cohort: Cohort | None = None
    schedule: Text | None = None
    features: dict[str, Feature]

    @field_validator("features", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not isinstance(value, dict) or not value:
            raise ValueError("give at least one feature")
        if any(isinstance(body, dict) and "name" in body for body in value.values()):
            raise ValueError("a feature's name is its key; remove the key name inside it")
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
        """Return the sha256 of all that can change a feature's value; describing keys are left out."""
        leave = {"description", "model_info", "metadata", "cohort", "schedule"}
        body = self.model_dump_json(exclude=leave | {"features"})
        body += "".join(f.model_dump_json(exclude={"display", "dtype"}) for f in self.features.values())
        return hashlib.sha256(body.encode()).hexdigest()


class _StrictLoader(yaml.SafeLoader):
    """PyYAML lets the last of two equal keys win in silence; here that is an error."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is not text: quote it", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return dict(loader.construct_pairs(node, deep=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_schema(text: str, source: str = "schema") -> Schema:
    """Read a schema from YAML text.

    Raises
    ------
    SchemaError
        With every problem found, each with the path of its key.
    """
    try:
        data = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader that only refuses more
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "unreadable"
        raise SchemaError(source, [f"{where}not readable as YAML: {problem}"]) from None
    if not isinstance(data, Mapping):
        raise SchemaError(source, ["the file is empty or is no mapping: it needs name, version and features"])
    try:
        return Schema.model_validate(data)
    except ValidationError as error:
        raise SchemaError(source, [_sentence(item) for item in error.errors(include_url=False)]) from None


def load_schema(path: Path | str) -> Schema:
    """Read a schema file; see `parse_schema`."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SchemaError(path.name, [f"no such file: {path}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(path.name, [f"cannot be read as UTF-8 text: {type(error).__name__}"]) from None
    return parse_schema(text, path.name)


def _sentence(item: Any) -> str:
    path = ".".join(str(part) for part in item["loc"]) or "top level"
    kind, message = item["type"], item["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = "unknown key; remove it or mend its spelling"
    elif kind == "missing":
        message = "is missing"
    elif kind == "string_type":
        message = f"must be text, not {item['input']!r}: quote it"
    return f"{path}: {message}"
