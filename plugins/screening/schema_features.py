"""A schema's feature: one column of the feature matrix, where it comes from and what of it counts.

`screening.schema` holds the rest of the YAML; `docs/schema.md` is the reference.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

from screening.feature_rules import code_problems, mimic_problems, source_problems
from screening.units import KNOWN, by_text

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
PRESENCE = ("Condition", "MedicationRequest", "MedicationAdministration")
"""Kinds of resource of which the absence is a value: 0."""


class Part(BaseModel):
    """What every part of a schema is: frozen, without unknown keys, nothing read as another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Coding(Part):
    """One (system, code) that is matched exactly over all codings of a resource."""

    system: Text
    code: Text
    display: str = ""


class MimicSource(Part):
    """Where MIMIC-IV keeps the same quantity; training reads it there."""

    table: Literal["chartevents", "labevents", "patients"]
    itemid: Annotated[
        tuple[int, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
    ] = ()


class Feature(Part):
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
    order
        What a card suggests to order where the value is missing; None suggests nothing.
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
    molar_mass: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    order: Coding | None = None

    @field_validator("codes", mode="before")
    @classmethod
    def _codes(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("range", mode="before")
    @classmethod
    def _range(cls, value: object) -> object:
        return tuple(float(v) if type(v) is int else v for v in value) if isinstance(value, list) else value

    @field_validator("unit")
    @classmethod
    def _unit(cls, value: str | None) -> str | None:
        unit = None if value is None else by_text(value)
        if value is not None and unit is None:
            raise ValueError(f"{value!r} is unknown; known: {', '.join(sorted(KNOWN))}")
        return unit.code if unit else None

    @model_validator(mode="before")
    @classmethod
    def _tutorial_code(cls, data: object) -> object:
        """Turn the tutorial's `code` and `code_system` into the one pair of `codes`."""
        if isinstance(data, dict) and "codes" not in data and {"code", "code_system"} <= data.keys():
            pair = {"system": data["code_system"], "code": data["code"]}
            if all(isinstance(part, str) for part in pair.values()):  # else the error stands at the key itself
                return {**data, "codes": [pair]}
        return data

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = [*code_problems(self), *source_problems(self), *mimic_problems(self)]
        if self.range is not None and not self.range[0] < self.range[1]:
            problems.append("range must be [low, high] with low below high")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def how(self) -> str:
        """The aggregate in force: mean for an Observation as in the tutorial, present for a Condition or medication."""
        return self.aggregate or ("mean" if self.fhir_resource == "Observation" else "present")
