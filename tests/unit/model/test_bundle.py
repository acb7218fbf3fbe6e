from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.model.conftest import NAMES, dumped, labels, rows

from screening.errors import ModelError
from screening.model.bundle import ModelBundle, as_bundle, load_bundle

Content = Callable[..., dict[str, Any]]


class Answering:
    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer

    def predict_proba(self, rows: Any) -> Any:
        positive = np.asarray(self.answer(rows), dtype=float)
        return np.column_stack([1 - positive, positive])


def bundle(content: dict[str, Any], **more: Any) -> ModelBundle:
    return as_bundle(content, name="sepsis", version="1.0.0", **more)


def test_the_tutorials_model_loads_and_answers(tutorial_model: Path) -> None:
    found = load_bundle(tutorial_model, expected_sha256=None)
    row = np.array([[113, 98.7, 25, 28.5, np.nan, 1.6, 60, 1]])
    assert found.predict(row)[0] == pytest.approx(0.9169, abs=5e-5)  # what the peer answers, requirements F1
    assert found.threshold == 0.4
    assert (found.name, found.version) == ("RandomForest", "sha256-fa5ef59008cd")
    assert found.feature_names[:2] == ("heart_rate", "temperature")
    assert found.contributions(row) is None
    assert found.synthetic is None
    assert len(found.warnings) == 1
    assert found.estimator.probabilities(row).shape == (1,)


def test_a_file_is_loaded_under_its_own_name_or_the_given(content: Content, tmp_path: Path) -> None:
    path = tmp_path / "mine.pkl"
    path.write_bytes(dumped(content(version="7")))
    found = load_bundle(path, expected_sha256=None)
    assert (found.name, found.version) == ("mine", "7")
    named = load_bundle(path, expected_sha256=found.sha256, name="sepsis", version="2", manifest={"synthetic": True})
    assert (str(named), named.synthetic) == ("model sepsis 2", True)
    assert (named.predict(rows(9)) == found.predict(rows(9))).all()


@pytest.mark.parametrize("mark", ["synthetic", "tiny"])
@pytest.mark.parametrize(
    ("manifest", "metadata", "told"),
    [
        ({}, True, True),
        (True, {}, True),
        (False, True, True),
        (True, False, True),
        (False, False, False),
        ({}, {}, None),
    ],
)
def test_what_a_model_is_of_is_lost_on_no_way(
    content: Content, mark: str, manifest: Any, metadata: Any, told: bool | None
) -> None:
    """A copy of the file alone tells it, and a manifest that was written otherwise does not unsay it."""
    given = {} if metadata == {} else {mark: metadata}
    found = bundle(content(**given), manifest={} if manifest == {} else {mark: manifest})
    assert getattr(found, mark) is (bool(told) if mark == "tiny" else told)


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pkl"
    path.write_bytes(dumped({"model": 1}))
    with pytest.raises(ModelError, match=r"mine\.pkl: lacks the key\(s\) metadata"):
        load_bundle(path, expected_sha256=None)


def test_a_bundle_cannot_be_changed(content: Content) -> None:
    found = bundle(content())
    with pytest.raises(FrozenInstanceError):
        found.threshold = 0.1  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.metadata["metrics"] = {}  # type: ignore[index]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda r: np.full(len(r), np.nan), "no probabilities"),
        (lambda r: np.full(len(r), 1.2), "no probabilities"),
        (lambda r: np.full(len(r), -0.1), "no probabilities"),
        (lambda r: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda r: r.no_such_thing, "AttributeError"),
    ],
)
def test_a_model_that_fails_on_probe_rows_is_refused(content: Content, answer: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        bundle(content(Answering(answer)))


def test_raw_margins_are_no_probabilities(content: Content) -> None:
    from xgboost import XGBClassifier

    matrix = rows(200)
    model = XGBClassifier(objective="binary:logitraw", n_estimators=30).fit(matrix, labels(matrix))
    with pytest.raises(ModelError, match="no probabilities"):
        bundle(content(model))


def test_an_unfitted_model_is_refused(content: Content) -> None:
    from sklearn.linear_model import LogisticRegression
    from xgboost import XGBClassifier

    for model in (LogisticRegression(), XGBClassifier()):
        with pytest.raises(ModelError, match=r"NotFittedError|not fitted"):
            bundle(content(model))


def test_a_failure_over_patients_keeps_its_words_to_itself(content: Content) -> None:
    def answer(matrix: Any) -> Any:
        if matrix.max() > 1000:
            raise ValueError("heart_rate 1234.5 of Mrs Jones is too high")
        return np.full(len(matrix), 0.5)

    found = bundle(content(Answering(answer)))
    with pytest.raises(ModelError) as refused:
        found.predict(np.full((1, 5), 1234.5))
    assert "model sepsis 1.0.0: predict_proba failed: ValueError" in str(refused.value)
    assert "1234" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_an_answer_that_turns_bad_over_patients_is_refused(content: Content) -> None:
    found = bundle(content(Answering(lambda r: np.where(r[:, 0] > 1000, np.nan, 0.5))))
    assert found.predict(np.ones((2, 5))).tolist() == [0.5, 0.5]
    with pytest.raises(ModelError, match="no probabilities"):
        found.predict(np.full((1, 5), 2000.0))


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        (np.ones((2, 4)), r"shape \(2, 4\), needed is \(n, 5\)"),
        (np.ones(5), r"shape \(5,\)"),
        (np.ones((1, 5), dtype="float32"), "float64"),
        (np.ones((1, 5), dtype=object), "float64"),
        ([[1.0] * 5], "numpy array"),
        (np.array([[1.0, np.inf, 1, 1, -np.inf]]), "infinite values for wbc, gender"),
    ],
)
def test_a_matrix_that_is_none_is_refused(content: Content, matrix: Any, told: str) -> None:
    found = bundle(content())
    for ask in (found.predict, found.impute, found.contributions):
        with pytest.raises(ModelError, match=told):
            ask(matrix)


def test_no_patients_have_no_probabilities(content: Content) -> None:
    found = bundle(content())
    empty = np.empty((0, 5))
    assert found.predict(empty).shape == (0,)
    assert [part.shape for part in found.impute(empty)] == [(0, 5), (0, 5), (0,)]


@pytest.mark.parametrize("kind", ["boosted", "forest"])
def test_models_that_take_nan_say_so_unless_denied(kind: str, content: Content, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(kind)
    assert bundle(content(model)).handles_missing
    denied = bundle(content(model, handles_missing=False))
    assert not denied.handles_missing
    with pytest.raises(ModelError, match=r"missing values.*: wbc\."):
        denied.predict(np.array([[90, np.nan, 2, 60, 1.0]]))


def test_models_that_do_not_take_nan_are_found_out(content: Content, scaled_linear: Any) -> None:
    model, scaler = scaled_linear
    assert not bundle(content(model, scaler)).handles_missing
    assert not bundle(content(Answering(lambda r: np.where(np.isnan(r[:, 0]), np.nan, 0.5)))).handles_missing
    assert not bundle(content(model, scaler, handles_missing=True)).handles_missing


def test_medians_stand_in_where_they_are_stored(content: Content, scaled_linear: Any) -> None:
    model, scaler = scaled_linear
    found = bundle(content(model, scaler, imputation={"lactate": 1.8, "wbc": 9.5}))
    matrix = np.array([[90, np.nan, np.nan, 60, 1], [90, 10, 2, np.nan, 1], [90, 10, 2, 60, 1]])
    before = matrix.copy()
    filled, imputed, unscorable = found.impute(matrix)
    assert filled[0].tolist() == [90, 9.5, 1.8, 60, 1]
    assert imputed.tolist() == [[False, True, True, False, False], [False] * 5, [False] * 5]
    assert unscorable.tolist() == [False, True, False]
    assert np.isnan(filled[1, 3])
    assert np.array_equal(matrix, before, equal_nan=True)
    assert found.predict(filled[~unscorable]).shape == (2,)


def test_nan_is_left_to_a_model_that_takes_it_and_is_told(content: Content, boosted: Any) -> None:
    found = bundle(content(boosted, imputation={"lactate": 1.8}))
    filled, imputed, unscorable = found.impute(np.array([[90, np.nan, np.nan, 60, 1]]))
    assert filled[0, 2] == 1.8
    assert np.isnan(filled[0, 1])
    assert imputed.tolist() == [[False, True, True, False, False]]
    assert unscorable.tolist() == [False]


def test_nothing_is_filled_in_from_the_batch(content: Content, scaled_linear: Any) -> None:
    """F2 and F3: without a stored median a missing value stays missing, whoever else is in the batch."""
    model, scaler = scaled_linear
    found = bundle(content(model, scaler))
    sick = np.full((5, 5), 60.0)
    alone = np.array([[90, np.nan, 2, 60, 1.0]])
    assert found.impute(alone).unscorable.tolist() == [True]
    assert found.impute(np.vstack([alone, sick])).unscorable.tolist() == [True] + [False] * 5


def test_calibration_is_applied_after_the_model_and_contributions_stay_before_it(
    content: Content, boosted: Any
) -> None:
    matrix = rows(40)
    plain = bundle(content(boosted))
    found = bundle(content(boosted, calibration={"method": "platt", "coef": 0.5, "intercept": -1.0}))
    raw, calibrated = plain.predict(matrix), found.predict(matrix)
    assert np.log(calibrated / (1 - calibrated)) == pytest.approx(0.5 * np.log(raw / (1 - raw)) - 1.0)
    shares, before = found.contributions(matrix), plain.contributions(matrix)
    assert shares is not None
    assert before is not None
    assert (shares == before).all()


def test_versions_that_differ_are_told_once(content: Content) -> None:
    from screening.model.versions import installed

    assert bundle(content(versions=installed())).warnings == ()
    told = bundle(content(versions={**installed(), "xgboost": "0.1", "numpy": "0.2"})).warnings
    assert len(told) == 1
    assert "numpy 0.2 →" in told[0]
    assert "xgboost 0.1 →" in told[0]
    assert (
        bundle(content(), manifest={"versions": {"python": "2.7"}}).warnings[0].startswith("fitted with other versions")
    )


def test_a_warning_can_be_added(content: Content) -> None:
    found = bundle(content())
    assert found.with_warning("careful").warnings == ("careful",)
    assert found.warnings == ()


def test_a_model_fits_a_schema_by_name(content: Content) -> None:
    found = bundle(
        content(units={"wbc": "10*3/uL", "gender": None}, aggregation={"wbc": "mean"}, schema_sha256="a" * 64)
    )
    extra, remarks = found.check_fits(["sodium", *NAMES[::-1], "bilirubin"])
    assert (extra, remarks) == (("bilirubin", "sodium"), ())
    same = {"units": {"wbc": "10*3/uL", "gender": None, "age": "a"}, "aggregation": {"wbc": "mean"}}
    assert found.check_fits(NAMES, schema_sha256="a" * 64, **same).warnings == ()
    assert "another version of the schema" in found.check_fits(NAMES, schema_sha256="b" * 64).warnings[0]


def test_a_model_that_does_not_fit_is_refused(content: Content) -> None:
    found = bundle(content(units={"wbc": "10*3/uL", "gender": None}, aggregation={"wbc": "mean"}))
    with pytest.raises(ModelError, match=r"model sepsis 1\.0\.0 needs feature\(s\) that the schema lacks: wbc, age"):
        found.check_fits(["heart_rate", "lactate", "gender"])
    with pytest.raises(ModelError, match=r"other units: wbc \(10\*3/uL, the schema has /uL\)"):
        found.check_fits(NAMES, units={"wbc": "/uL"})
    with pytest.raises(ModelError, match=r"other units: gender"):
        found.check_fits(NAMES, units={"gender": "1"})
    with pytest.raises(ModelError, match=r"other aggregation: wbc \(mean, the schema has last\)"):
        found.check_fits(NAMES, aggregation={"wbc": "last"})


def test_a_model_that_does_not_tell_its_units_is_told(content: Content) -> None:
    assert "does not tell its units" in bundle(content()).check_fits(NAMES, units={"wbc": "/uL"}).warnings[0]
