"""A model ready to be asked: verified, checked, and bound to its feature names, threshold, medians and calibration.

`load_bundle` is the way in for a file, `as_bundle` for an object in memory (training evaluates what it will publish by
the very code that will serve it). Both ask the model about probe rows before anybody's data, so that a model that cannot
answer is refused at start and not at the first patient. Probabilities, threshold and calibration: the threshold belongs
to the calibrated probability; contributions add up to the log-odds before calibration.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from screening.errors import ModelError
from screening.model.artifact import read_artifact
from screening.model.calibration import Calibration, calibrate
from screening.model.contract import parse_contract
from screening.model.estimator import Estimator
from screening.model.fit import Fit, fit_to_schema
from screening.model.imputation import Imputed, fill
from screening.model.metadata import read_only
from screening.model.questions import asked, check_probabilities, probe_rows, takes_missing
from screening.model.versions import differences

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A model and all that is needed to ask it.

    Attributes
    ----------
    name, version
        As published; for a file outside the registry what its metadata says, else the file's name and the sha256's begin.
    sha256
        Of the model file, 64 hexadecimal digits; "" for a model that was never a file.
    feature_names
        The columns of every matrix, in the order in which the model was fitted.
    threshold
        The training's operating point on the probability that `predict` returns; None where it has none.
    imputation
        Feature name → training median in canonical units; may be empty.
    handles_missing
        True where the model answers a row of NaN with a probability, and its metadata does not deny it.
    metadata, manifest
        Read-only; the manifest is empty for a file that none vouches for.
    warnings
        Sentences for the log and the health page.
    """

    name: str
    version: str
    sha256: str
    feature_names: tuple[str, ...]
    threshold: float | None
    imputation: Mapping[str, float]
    calibration: Calibration | None
    handles_missing: bool
    metadata: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = field(repr=False)
    estimator: Estimator = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def synthetic(self) -> bool | None:
        """Whether the model was trained on invented patients, by manifest or metadata; None where neither tells."""
        told = [where.get("synthetic") for where in (self.manifest, self.metadata)]
        return any(one is True for one in told) if any(isinstance(one, bool) for one in told) else None

    @property
    def tiny(self) -> bool:
        """Whether it was published, as manifest or metadata says, although there were too few patients to judge it by."""
        return any(where.get("tiny") is True for where in (self.manifest, self.metadata))

    def predict(self, matrix: Floats) -> Floats:
        """Return the probability of the positive class, calibrated where the model carries a calibration.

        Parameters
        ----------
        matrix
            float64 (n, f), columns as `feature_names`, NaN for missing; missing only where `handles_missing`.

        Returns
        -------
        ndarray
            float64 (n,), 0 to 1. A row's answer does not depend on the other rows.

        Raises
        ------
        ModelError
            The matrix has another shape or dtype, holds an infinite value, or NaN that the model does not handle; or the
            model fails, or answers with anything but probabilities.
        """
        self._check(matrix)
        self._check_missing(matrix)
        raw = asked(lambda: self.estimator.probabilities(matrix), f"{self}: predict_proba failed", with_data=True)
        return self._calibrated(raw)

    def predict_with_contributions(self, matrix: Floats) -> tuple[Floats, Floats | None]:
        """Return what `predict` and `contributions` return, bit for bit, for less than the time of the two.

        Raises
        ------
        ModelError
            As `predict`.
        """
        self._check(matrix)
        self._check_missing(matrix)
        raw, contributions = asked(lambda: self.estimator.both(matrix), f"{self}: the model failed", with_data=True)
        return self._calibrated(raw), contributions

    def impute(self, matrix: Floats) -> Imputed:
        """Fill in stored training medians; nothing is ever taken from the other rows.

        Raises
        ------
        ModelError
            As `predict`, for shape, dtype and infinite values.
        """
        self._check(matrix)
        return fill(matrix, self.feature_names, self.imputation, self.handles_missing)

    def contributions(self, matrix: Floats) -> Floats | None:
        """Return what each feature adds to the log-odds, exactly, float64 (n, f); None where the model cannot tell.

        Exact TreeSHAP for XGBoost's trees: with a constant of the model a row adds up to its log-odds before calibration.

        Raises
        ------
        ModelError
            As `predict`, for shape, dtype and infinite values; or the model fails.
        """
        self._check(matrix)
        return asked(lambda: self.estimator.contributions(matrix), f"{self}: contributions failed", with_data=True)

    def check_fits(
        self,
        feature_names: Collection[str],
        *,
        schema_sha256: str | None = None,
        units: Mapping[str, str | None] | None = None,
        aggregation: Mapping[str, str] | None = None,
    ) -> Fit:
        """Hold the model against a schema's features; see `screening.model.fit.fit_to_schema`."""
        return fit_to_schema(
            str(self),
            self.feature_names,
            self.metadata,
            feature_names,
            schema_sha256=schema_sha256,
            units=units,
            aggregation=aggregation,
        )

    def with_warning(self, sentence: str) -> "ModelBundle":
        """Return the same bundle with one more warning."""
        return replace(self, warnings=(*self.warnings, sentence))

    def __str__(self) -> str:
        return f"model {self.name} {self.version}"

    def _calibrated(self, raw: Floats) -> Floats:
        check_probabilities(raw, str(self))
        found = calibrate(self.calibration, raw)
        if found is not raw:
            check_probabilities(found, f"{self}, calibrated")
        return found

    def _check_missing(self, matrix: Floats) -> None:
        lacking = np.isnan(matrix).any(axis=0)
        if not self.handles_missing and lacking.any():
            names = ", ".join(np.array(self.feature_names)[lacking])
            raise ModelError(f"{self}: was given missing values, which it does not handle: {names}. Impute them first")

    def _check(self, matrix: Floats) -> None:
        if not isinstance(matrix, np.ndarray) or matrix.dtype != np.float64:
            raise ModelError(f"{self}: the matrix must be a numpy array of float64")
        if matrix.ndim != 2 or matrix.shape[1] != len(self.feature_names):
            raise ModelError(f"{self}: the matrix has shape {matrix.shape}, needed is (n, {len(self.feature_names)})")
        if (infinite := np.isinf(matrix).any(axis=0)).any():
            raise ModelError(f"{self}: infinite values for {', '.join(np.array(self.feature_names)[infinite])}")


def load_bundle(
    path: Path,
    *,
    expected_sha256: str | None,
    name: str | None = None,
    version: str | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> ModelBundle:
    """Load a model file; its sha256 is compared before anything is unpickled, for a pickle runs code.

    Parameters
    ----------
    path
        A joblib file of `{"model", "metadata": {"feature_names", …}}`; `screening.model.contract` tells all.
    expected_sha256
        What the file's sha256 must be; None trusts the file unseen. `screening.model.registry` decides who may.
    name, version
        As published; None takes the metadata's `model_name` and `version`, else the file's name and the sha256's begin.
    manifest
        What was published beside the file.

    Raises
    ------
    ModelError
        The file is missing, is another one, cannot be unpickled, lacks what it must hold or contradicts itself; the model
        fails on probe rows or answers with anything but probabilities.
    """
    artifact = read_artifact(path, expected_sha256)
    told = artifact.content.get("metadata") if isinstance(artifact.content, Mapping) else None
    said = told if isinstance(told, Mapping) else {}
    try:
        bundle = as_bundle(
            artifact.content,
            name=name or str(said.get("model_name") or path.stem),
            version=version or str(said.get("version") or f"sha256-{artifact.sha256[:12]}"),
            sha256=artifact.sha256,
            manifest=manifest,
        )
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return replace(bundle, warnings=(*artifact.warnings, *bundle.warnings))


def as_bundle(
    content: Any, *, name: str, version: str, sha256: str = "", manifest: Mapping[str, Any] | None = None
) -> ModelBundle:
    """Make a bundle of what a model file holds; the model is set to one thread, in place.

    Raises
    ------
    ModelError
        As `load_bundle`, for the content.
    """
    contract = parse_contract(content)
    probe = probe_rows(contract.feature_names, contract.imputation)
    estimator = asked(
        lambda: Estimator(
            contract.model,
            contract.feature_names,
            scaler=contract.scaler,
            positive_class=contract.positive_class,
            probe=probe,
        ),
        "the model does not answer probe rows",
    )
    check_probabilities(asked(lambda: estimator.probabilities(probe), "predict_proba fails on probe rows"), "the model")
    vouched = manifest or {}
    return ModelBundle(
        name=name,
        version=version,
        sha256=sha256,
        feature_names=contract.feature_names,
        threshold=contract.threshold,
        imputation=contract.imputation,
        calibration=contract.calibration,
        handles_missing=takes_missing(estimator) and contract.metadata.get("handles_missing", True),
        metadata=contract.metadata,
        warnings=(*contract.warnings, *differences(contract.metadata.get("versions") or vouched.get("versions"))),
        estimator=estimator,
        manifest=read_only(vouched),
    )
