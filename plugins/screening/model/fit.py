"""Whether a model can be used with a schema: by name, and by unit and aggregation where the model tells them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from screening.errors import ModelError


class Fit(NamedTuple):
    """What is worth knowing of a model that fits a schema.

    Attributes
    ----------
    extra
        Features of the schema that the model does not use, sorted.
    warnings
        Sentences for the log.
    """

    extra: tuple[str, ...]
    warnings: tuple[str, ...]


def fit_to_schema(
    who: str,
    model_features: Sequence[str],
    metadata: Mapping[str, Any],
    feature_names: Collection[str],
    *,
    schema_sha256: str | None,
    units: Mapping[str, str | None] | None,
    aggregation: Mapping[str, str] | None,
) -> Fit:
    """Hold a model against a schema's features; columns are matched by name, never by place.

    Parameters
    ----------
    who
        The model's name for messages.
    metadata
        The model's; `schema_sha256`, `units` and `aggregation` in it are compared where both sides tell.
    schema_sha256
        The schema's fingerprint. Another one than at training is a warning: a code added for a site is no fault.
    units, aggregation
        Feature name → canonical UCUM unit (None for none), and → aggregate.

    Raises
    ------
    ModelError
        The schema lacks a feature of the model, or has one in another unit or aggregated in another way.
    """
    offered = set(feature_names)
    if lacking := [name for name in model_features if name not in offered]:
        raise ModelError(f"{who} needs feature(s) that the schema lacks: {', '.join(lacking)}")
    remarks = []
    for key, theirs in (("units", units), ("aggregation", aggregation)):
        if theirs is not None:
            remarks += _compare(who, key, metadata.get(key), theirs, model_features)
    fitted = metadata.get("schema_sha256")
    if schema_sha256 is not None and fitted is not None and fitted != schema_sha256:
        remarks.append(f"{who} was fitted with another version of the schema: compare what changed")
    return Fit(tuple(sorted(offered - set(model_features))), tuple(remarks))


def _compare(
    who: str, key: str, ours: Any, theirs: Mapping[str, str | None], model_features: Sequence[str]
) -> list[str]:
    if not isinstance(ours, Mapping):
        return [f"{who} does not tell its {key}: whether they are the schema's cannot be checked"]
    shared = [name for name in model_features if name in ours and name in theirs]
    different = [
        f"{name} ({ours[name]}, the schema has {theirs[name]})" for name in shared if ours[name] != theirs[name]
    ]
    if different:
        raise ModelError(f"{who} was fitted with other {key}: {'; '.join(different)}")
    return []
