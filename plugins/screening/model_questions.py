"""The questions that `model_checks` puts to a model file, one for each demand of the load contract."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

from screening.model.bundle import as_bundle
from screening.model.contract import Contract, parse_contract
from screening.model.estimator import Estimator
from screening.model.fit import fit_to_schema
from screening.model.kinds import is_booster
from screening.model.questions import asked, check_probabilities, probe_rows, takes_missing
from screening.model.versions import differences
from screening.schema import Schema
from screening.scoring import check_fits


class Verdict(StrEnum):
    """What a check came to: all is well, worth knowing, cannot be used, or could not be asked."""

    OK = "ok"
    NOTE = "note"
    REFUSED = "refused"
    NOT_ASKED = "not asked"


Answer = str | tuple[Verdict, str]
"""What was found, in words; with a verdict where it is not `ok`."""


class Questions:
    """The questions put to one model file's content; each answers in words or with a `ModelError`."""

    def __init__(self, content: Any, schema: Schema, manifest: Mapping[str, Any]) -> None:
        self.content, self.schema, self.manifest = content, schema, manifest
        self.names: tuple[str, ...] = ("x",)
        self.estimator: Estimator | None = None

    def all(self) -> tuple[tuple[str, tuple[str, ...], Callable[[], Answer]], ...]:
        """Return name, what must not be refused before, and question; in the order of loading."""
        keys, named = ("keys",), ("feature names",)
        return (
            ("keys", (), self.keys),
            ("feature names", keys, self.feature_names),
            ("predict_proba", keys, self.predict_proba),
            ("columns", (*named, "predict_proba"), self.columns),
            ("classes", (*named, "predict_proba"), self.classes),
            ("scaler", keys, self.scaler),
            ("probe rows", ("columns", "classes", "scaler"), self.probe),
            ("imputation", named, self.imputation),
            ("missing values", ("probe rows", "imputation"), self.missing),
            ("threshold", keys, self.threshold),
            ("calibration", keys, self.calibration),
            ("synthetic", keys, self.synthetic),
            ("schema: names", named, self.fits_names),
            ("schema: units", named, self.fits_units),
            ("schema: aggregation", named, self.fits_aggregation),
            ("schema: version", named, self.fits_version),
            ("versions", keys, self.versions),
        )

    def keys(self) -> Answer:
        whole = isinstance(self.content, Mapping) and isinstance(self.content.get("metadata"), Mapping)
        parse_contract(
            {**self.content, "scaler": None, "metadata": {"feature_names": ["x"]}} if whole else self.content
        )
        return "a dict with model and metadata"

    def feature_names(self) -> Answer:
        given = self.content["metadata"].get("feature_names")
        self.names = self._alone(feature_names=given).feature_names
        return f"{len(self.names)}: {', '.join(self.names)}"

    def predict_proba(self) -> Answer:
        model = self.content["model"]
        if not is_booster(model) and not callable(getattr(model, "predict_proba", None)):
            self._estimator(model)  # refuses it in its own words
        return f"a {type(model).__name__}"

    def columns(self) -> Answer:
        model = self.content["model"]
        if is_booster(model):
            return "asked with the probe rows"
        self._estimator(_like(model, "feature_names_in_", "n_features_in_"), scaler=self.content.get("scaler"))
        if getattr(model, "feature_names_in_", None) is not None:
            return "the model was fitted on these names in this order"
        counted = getattr(model, "n_features_in_", None)
        return Verdict.NOTE, (
            f"the model tells {'only how many' if counted else 'neither names nor how many'}: the order of "
            "metadata.feature_names must be the one it was fitted in"
        )

    def classes(self) -> Answer:
        positive = self.content["metadata"].get("positive_class")
        if not is_booster(self.content["model"]):
            self._estimator(_like(self.content["model"], "classes_"), positive_class=positive)
        return f"the positive one is {1 if positive is None else positive!r}"

    def scaler(self) -> Answer:
        given = self.content.get("scaler")
        told = self._alone("scaler_applies", scaler=given)
        if told.warnings:
            return Verdict.NOTE, "; ".join(told.warnings)
        return "none beside the model" if given is None else f"a {type(given).__name__}, applied before the model"

    def probe(self) -> Answer:
        contract = self._alone("scaler_applies", "positive_class", scaler=self.content.get("scaler"))
        self.estimator = asked(
            lambda: self._estimator(contract.model, contract.positive_class, contract.scaler),
            "the model does not answer probe rows",
        )
        rows, estimator = probe_rows(self.names, {}), self.estimator
        found = asked(lambda: estimator.probabilities(rows), "predict_proba fails on probe rows")
        check_probabilities(found, "the model")
        return f"{len(rows)} rows without NaN are answered with probabilities"

    def imputation(self) -> Answer:
        stored = self._alone("imputation", "handles_missing").imputation
        return f"{len(stored)} of {len(self.names)} features have a stored median"

    def missing(self) -> Answer:
        metadata, estimator = self.content["metadata"], self.estimator
        if estimator is not None and takes_missing(estimator) and metadata.get("handles_missing", True):
            return "the model takes NaN itself"
        stored = self._alone("imputation").imputation
        if lacking := [name for name in self.names if name not in stored]:
            return Verdict.NOTE, f"the model takes no NaN: a patient without {' or '.join(lacking)} is not scored"
        return "the model takes no NaN, and a median stands in for every feature"

    def threshold(self) -> Answer:
        found = self._alone("metrics").threshold
        return f"{found}" if found is not None else (Verdict.NOTE, "none: the schema's risk_levels alone decide")

    def calibration(self) -> Answer:
        found = self._alone("calibration").calibration
        return "none: the model's probability stands as it is" if found is None else type(found).__name__.lower()

    def synthetic(self) -> Answer:
        told = (self.manifest, self._alone("synthetic", "tiny").metadata)
        few = ", too few to judge it by" if any(one.get("tiny") for one in told) else ""
        if any(one.get("synthetic") for one in told):
            return f"trained on invented patients{few}"
        if not any("synthetic" in one for one in told):
            return Verdict.NOTE, f"metadata.synthetic does not tell whether it was trained on invented patients{few}"
        return f"not trained on invented patients{few}"

    def fits_names(self) -> Answer:
        extra = self._fit(self.names)[0]
        return f"schema {self.schema.name} has them all" + (f", and more: {', '.join(extra)}" if extra else "")

    def fits_units(self) -> Answer:
        theirs = {feature.name: feature.unit for feature in self.schema.features.values()}
        return self._compared("the same as the schema's", units=theirs)

    def fits_aggregation(self) -> Answer:
        coded = {feature.name: feature.how for feature in self.schema.features.values() if feature.codes}
        return self._compared("the same as the schema's", aggregation=coded)

    def fits_version(self) -> Answer:
        if self.content["metadata"].get("schema_sha256") is None:
            return Verdict.NOTE, "metadata.schema_sha256 does not tell which schema it was trained with"
        return self._compared("it was trained with this very schema", schema_sha256=self.schema.fingerprint())

    def versions(self) -> Answer:
        fitted = self.content["metadata"].get("versions") or self.manifest.get("versions")
        if not fitted:
            return Verdict.NOTE, "metadata.versions does not tell which libraries it was fitted with"
        told = differences(fitted)
        return (Verdict.NOTE, told[0]) if told else "fitted with the versions that run here"

    def load(self) -> Answer:
        bundle = as_bundle(self.content, name="the model", version="", manifest=self.manifest)
        check_fits(bundle, self.schema)
        return "loads, and can be used with the schema"

    def _alone(self, *keys: str, scaler: Any = None, **metadata: Any) -> Contract:
        """Read the content with nothing but these keys of its metadata, so that no other key is judged."""
        given = {key: self.content["metadata"][key] for key in keys if key in self.content["metadata"]}
        told = {"feature_names": list(self.names), **given, **metadata}
        return parse_contract({"model": self.content["model"], "scaler": scaler, "metadata": told})

    def _estimator(self, model: Any, positive_class: Any = None, scaler: Any = None) -> Estimator:
        probe = probe_rows(self.names, {})
        return Estimator(model, self.names, scaler=scaler, positive_class=positive_class, probe=probe)

    def _fit(self, features: tuple[str, ...], **compared: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        nothing: dict[str, Any] = {"schema_sha256": None, "units": None, "aggregation": None}
        metadata, offered = self.content["metadata"], self.schema.feature_names
        return fit_to_schema("the model", features, metadata, offered, **{**nothing, **compared})

    def _compared(self, words: str, **what: Any) -> Answer:
        remarks = self._fit(tuple(name for name in self.names if name in self.schema.features), **what)[1]
        return (Verdict.NOTE, "; ".join(remarks)) if remarks else words


def _like(model: Any, *attributes: str) -> Any:
    """Return an object like a model in these attributes alone, so that the estimator judges nothing else of it."""
    import numpy as np

    had = asked(
        lambda: {name: getattr(model, name, None) for name in attributes}, "the model does not tell its columns"
    )
    told = {name: value for name, value in had.items() if value is not None}
    if callable(getattr(model, "predict_proba", None)):
        told["predict_proba"] = lambda rows: np.full((len(rows), 2), 0.5)
    return SimpleNamespace(**told)
