from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.unit.model.conftest import NAMES

from screening.errors import ModelError
from screening.model.contract import parse_contract

Content = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1], "holds a list"),
        (None, "holds a NoneType"),
        ({}, r"model, metadata"),
        ({"model": 1}, r"key\(s\) metadata"),
        ({"metadata": {"feature_names": ["a"]}}, r"key\(s\) model"),
        ({"model": 1, "metadata": [1]}, "metadata is a list"),
        ({"model": 1, "metadata": {}}, r"metadata\.feature_names"),
    ],
)
def test_what_is_missing_is_named(content: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        parse_contract(content)


@pytest.mark.parametrize("names", [[], "heart_rate", ["a", ""], ["a", "  "], ["a", 3], ["a", None], {"a": 1}, 7])
def test_feature_names_must_be_names(content: Content, names: Any) -> None:
    with pytest.raises(ModelError, match="feature_names"):
        parse_contract(content(feature_names=names))


def test_feature_names_that_stand_twice_are_named(content: Content) -> None:
    with pytest.raises(ModelError, match="twice: wbc"):
        parse_contract(content(feature_names=["wbc", "age", "wbc"]))


@pytest.mark.parametrize("names", [tuple(NAMES), np.array(NAMES)])
def test_feature_names_may_be_a_tuple_or_an_array(content: Content, names: Any) -> None:
    assert parse_contract(content(feature_names=names)).feature_names == tuple(NAMES)


@pytest.mark.parametrize("threshold", [0, 1, 0.0, 1.0, -0.2, 1.2, float("nan"), float("inf"), "0.4", True])
def test_a_threshold_that_is_none_is_refused(content: Content, threshold: Any) -> None:
    with pytest.raises(ModelError, match="optimal_threshold"):
        parse_contract(content(metrics={"optimal_threshold": threshold}))


@pytest.mark.parametrize(
    ("metrics", "threshold"),
    [({}, None), ({"optimal_threshold": np.float32(0.5)}, 0.5), ({"optimal_threshold": 0.4}, 0.4)],
)
def test_a_threshold_is_read_and_may_be_absent(content: Content, metrics: Any, threshold: float | None) -> None:
    assert parse_contract(content(metrics=metrics)).threshold == threshold


def test_metrics_may_be_absent_altogether(content: Content) -> None:
    made = content()
    del made["metadata"]["metrics"]
    assert parse_contract(made).threshold is None


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"metrics": [0.4]}, "metrics must be a dict"),
        ({"imputation": [1]}, "imputation must be a dict"),
        ({"imputation": {"wbc": float("nan")}}, "imputation must be a dict"),
        ({"imputation": {"wbc": "8"}}, "imputation must be a dict"),
        ({"imputation": {"wbc": True}}, "imputation must be a dict"),
        ({"imputation": {"sodium": 140}}, "lacks: sodium"),
        ({"handles_missing": "no"}, "handles_missing"),
        ({"synthetic": 1}, "synthetic"),
        ({"tiny": "yes"}, "tiny"),
        ({"calibration": {"method": "beta"}}, "calibration"),
    ],
)
def test_metadata_that_cannot_be_meant_is_refused(content: Content, metadata: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        parse_contract(content(**metadata))


def test_metadata_cannot_be_changed(content: Content) -> None:
    made = content(note={"deep": [1]}, edges=np.zeros(2))
    found = parse_contract(made).metadata
    with pytest.raises(TypeError):
        found["note"]["deep"] = 2
    with pytest.raises(ValueError, match="read-only"):
        found["edges"][0] = 1
    made["metadata"]["note"]["deep"].append(2)
    assert found["note"]["deep"] == (1,)


def test_the_scaler_of_a_bare_linear_model_is_applied(content: Content, scaled_linear: tuple[Any, Any]) -> None:
    model, scaler = scaled_linear
    assert parse_contract(content(model, scaler)).scaler is scaler
    assert parse_contract(content(model, None)).scaler is None


def test_the_scaler_of_trees_is_not_applied_and_told(content: Content, boosted: Any, scaled_linear: Any) -> None:
    for trees in (None, boosted):
        found = parse_contract(content(trees, scaled_linear[1]))
        assert found.scaler is None
        assert "not applied" in found.warnings[0]


def test_a_scaler_of_which_nothing_tells_is_refused(content: Content, scaled_linear: Any) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC
    from xgboost import XGBClassifier

    linear, scaler = scaled_linear
    for unclear in (make_pipeline(linear), SVC(), XGBClassifier(booster="gblinear")):
        with pytest.raises(ModelError, match="scaler_applies"):
            parse_contract(content(unclear, scaler))
        assert parse_contract(content(unclear, scaler, scaler_applies=True)).scaler is scaler
        assert parse_contract(content(unclear, scaler, scaler_applies=False)).scaler is None


def test_metadata_overrules_the_kind_of_model(content: Content, scaled_linear: Any) -> None:
    linear, scaler = scaled_linear
    assert parse_contract(content(linear, scaler, scaler_applies=False)).scaler is None
    assert parse_contract(content(None, scaler, scaler_applies=True)).scaler is scaler
    with pytest.raises(ModelError, match="scaler_applies"):
        parse_contract(content(linear, scaler, scaler_applies="yes"))


def test_a_scaler_that_scales_nothing_is_refused(content: Content) -> None:
    with pytest.raises(ModelError, match="no transform"):
        parse_contract(content(None, object()))
