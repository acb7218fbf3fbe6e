"""What a model answers must be the row's alone, the fast path's, and the column's of the positive class."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.model.conftest import NAMES, labels, rows

from screening.errors import ModelError
from screening.model.estimator import Estimator
from screening.model.questions import probe_rows


def estimator(model: Any, scaler: Any = None, positive_class: Any = None) -> Estimator:
    return Estimator(model, NAMES, scaler=scaler, positive_class=positive_class, probe=probe_rows(NAMES, {}))


def linear_pipeline() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix = rows(300, missing=0.1)
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression()).fit(
        matrix, labels(matrix)
    )


def boosted_pipeline(**imputer: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from xgboost import XGBClassifier

    matrix = rows(300, missing=0.1)
    model = make_pipeline(SimpleImputer(strategy="median", **imputer), XGBClassifier(n_estimators=20, max_depth=3))
    return model.fit(matrix, labels(matrix))


@pytest.mark.parametrize("kind", ["boosted", "forest", "pipeline", "linear", "calibrated"])
def test_a_row_is_answered_alike_alone_among_others_and_in_any_order(
    kind: str, boosted: Any, forest: Any, scaled_linear: Any
) -> None:
    from sklearn.calibration import CalibratedClassifierCV

    matrix = rows(300)
    models: dict[str, Any] = {
        "boosted": lambda: estimator(boosted),
        "forest": lambda: estimator(forest),
        "pipeline": lambda: estimator(boosted_pipeline()),
        "linear": lambda: estimator(*scaled_linear),
        "calibrated": lambda: estimator(CalibratedClassifierCV(linear_pipeline(), cv=3).fit(matrix, labels(matrix))),
    }
    asked = models[kind]()
    many = rows(1000 if kind in ("boosted", "forest", "pipeline") else 60, seed=9)
    together = asked.probabilities(many)
    order = np.random.default_rng(4).permutation(len(many))
    assert together.dtype == np.float64
    assert (asked.probabilities(many[order]) == together[order]).all()
    assert [asked.probabilities(many[i : i + 1])[0] for i in range(0, len(many), 7)] == together[::7].tolist()
    assert len(set(together.tolist())) > 10


def test_the_fast_path_is_predict_proba(boosted: Any) -> None:
    matrix = rows(1000, seed=5, missing=0.2)
    assert np.abs(estimator(boosted).probabilities(matrix) - boosted.predict_proba(matrix)[:, 1]).max() < 1e-6


def test_early_stopping_counts_in_the_fast_path() -> None:
    from xgboost import XGBClassifier

    matrix, held = rows(400), rows(100, seed=8)
    model = XGBClassifier(n_estimators=200, max_depth=2, early_stopping_rounds=3, random_state=0)
    model.fit(matrix, labels(matrix), eval_set=[(held, 1 - labels(held))], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    asked = estimator(model)
    assert np.abs(asked.probabilities(held) - model.predict_proba(held)[:, 1]).max() < 1e-6
    shares = asked.contributions(held)
    assert shares is not None
    margin = np.log(asked.probabilities(held) / (1 - asked.probabilities(held)))
    assert np.ptp(margin - shares.sum(axis=1)) < 1e-4


def test_another_number_for_missing_is_kept() -> None:
    from xgboost import XGBClassifier

    matrix = rows(300, missing=0.2)
    model = XGBClassifier(n_estimators=10, missing=-1.0).fit(np.nan_to_num(matrix, nan=-1.0), labels(matrix))
    asked, row = estimator(model), np.array([[120.0, -1.0, 2.0, 60.0, -1.0]])
    assert asked.probabilities(row)[0] == pytest.approx(model.predict_proba(row)[0, 1], abs=1e-6)


@pytest.mark.parametrize("kind", ["classifier", "booster", "pipeline", "passthrough", "named"])
def test_contributions_add_up_to_the_margin(kind: str, boosted: Any) -> None:
    from sklearn.pipeline import Pipeline
    from xgboost import XGBClassifier

    frame = pd.DataFrame(rows(300), columns=NAMES)
    model = {
        "classifier": lambda: boosted,
        "booster": lambda: boosted.get_booster(),
        "pipeline": boosted_pipeline,
        "passthrough": lambda: Pipeline([("same", "passthrough"), ("none", None), ("model", boosted)]),
        "named": lambda: XGBClassifier(n_estimators=20, max_depth=3).fit(frame, labels(frame.to_numpy())),
    }[kind]()
    asked, matrix = estimator(model), rows(200, seed=6, missing=0.2)
    shares, found = asked.contributions(matrix), asked.probabilities(matrix)
    assert shares is not None
    assert shares.shape == (200, 5)
    assert shares.dtype == np.float64
    # the constant is what is left, and it is the same for every row
    assert np.ptp(np.log(found / (1 - found)) - shares.sum(axis=1)) < 1e-4
    assert np.abs(shares[:, 0]).mean() > np.abs(shares[:, 4]).mean()
    order = np.random.default_rng(1).permutation(200)
    again = asked.contributions(matrix[order])
    assert again is not None
    assert (again == shares[order]).all()


@pytest.mark.parametrize(
    "kind", ["classifier", "booster", "pipeline", "dart", "other missing", "stopped early", "forest"]
)
def test_both_at_once_are_the_two_bit_for_bit(kind: str, boosted: Any, forest: Any) -> None:
    from xgboost import XGBClassifier

    learned, held = rows(300), rows(100, seed=8)
    model = {
        "classifier": lambda: boosted,
        "booster": lambda: boosted.get_booster(),
        "pipeline": boosted_pipeline,
        "dart": lambda: XGBClassifier(n_estimators=20, booster="dart", rate_drop=0.3).fit(learned, labels(learned)),
        "other missing": lambda: XGBClassifier(n_estimators=20, missing=60.0).fit(learned, labels(learned)),
        "stopped early": lambda: XGBClassifier(n_estimators=200, early_stopping_rounds=3).fit(
            learned, labels(learned), eval_set=[(held, 1 - labels(held))], verbose=False
        ),
        "forest": lambda: forest,
    }[kind]()
    asked, matrix = estimator(model), rows(400, seed=9, missing=0.0 if kind == "forest" else 0.2)
    matrix[::7, 3] = 60.0
    found, shares = asked.both(matrix)
    assert found.tobytes() == asked.probabilities(matrix).tobytes()
    apart = asked.contributions(matrix)
    if kind == "forest":
        assert shares is None
        assert apart is None
    else:
        assert shares is not None
        assert apart is not None
        assert shares.tobytes() == apart.tobytes()
    for i in range(0, 400, 40):
        one, of_one = asked.both(matrix[i : i + 1])
        assert one[0] == found[i]
        assert of_one is None or (shares is not None and of_one.tobytes() == shares[i : i + 1].tobytes())
    assert len(asked.both(matrix[:0])[0]) == 0


def test_other_models_give_no_contributions(forest: Any, scaled_linear: Any) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from xgboost import XGBClassifier

    matrix = rows(300)
    turned = make_pipeline(FunctionTransformer(lambda x: x[:, ::-1]), XGBClassifier(n_estimators=5))
    straight = XGBClassifier(n_estimators=5, booster="gblinear").fit(matrix, labels(matrix))
    for model in (
        forest,
        linear_pipeline(),
        turned.fit(matrix, labels(matrix)),
        straight,
        boosted_pipeline(add_indicator=True),
    ):
        asked = estimator(model)
        assert asked.contributions(matrix) is None
        assert asked.probabilities(matrix[:3]) == pytest.approx(model.predict_proba(matrix[:3])[:, 1], abs=1e-6)
    assert estimator(*scaled_linear).contributions(matrix) is None


def test_nothing_is_asked_about_no_rows(boosted: Any, forest: Any) -> None:
    empty = np.empty((0, 5))
    assert estimator(forest).probabilities(empty).shape == (0,)
    assert estimator(boosted).probabilities(empty).shape == (0,)
    shares = estimator(boosted).contributions(empty)
    assert shares is not None
    assert shares.shape == (0, 5)


def test_the_scaler_comes_before_the_model(scaled_linear: Any) -> None:
    model, scaler = scaled_linear
    matrix = rows(50, seed=7)
    right = model.predict_proba(scaler.transform(matrix))[:, 1]
    assert estimator(model, scaler).probabilities(matrix) == pytest.approx(right, abs=1e-12)
    assert np.abs(model.predict_proba(matrix)[:, 1] - right).max() > 0.3  # F34: what a forgotten scaler does


def test_every_part_is_set_to_one_thread(forest: Any) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier
    from sklearn.pipeline import make_pipeline
    from xgboost import XGBClassifier

    matrix = rows(200)
    many = RandomForestClassifier(n_estimators=3, n_jobs=-1)
    vote = VotingClassifier([("a", many), ("b", XGBClassifier(n_estimators=3, n_jobs=2))], voting="soft", n_jobs=2)
    model = make_pipeline(CalibratedClassifierCV(vote, cv=2, n_jobs=None)).fit(matrix, labels(matrix))
    estimator(model)
    inner = model[-1].calibrated_classifiers_[0].estimator
    assert (model[-1].n_jobs, inner.n_jobs) == (1, 1)
    assert [part.n_jobs for part in inner.estimators_] == [1, 1]
    assert forest.n_jobs in (1, 2)
    estimator(forest)
    assert forest.n_jobs == 1


def test_a_loaded_booster_is_set_to_one_thread() -> None:
    import json

    from xgboost import XGBClassifier

    matrix = rows(100)
    booster = XGBClassifier(n_estimators=2, n_jobs=2).fit(matrix, labels(matrix)).get_booster()
    booster.set_param({"nthread": 2})
    estimator(booster)
    assert json.loads(booster.save_config())["learner"]["generic_param"]["nthread"] == "1"


def test_names_reach_a_model_that_was_fitted_with_names() -> None:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = pd.DataFrame(rows(200), columns=NAMES)
    pick = ColumnTransformer([("two", StandardScaler(), ["heart_rate", "wbc"])])
    model = make_pipeline(pick, LogisticRegression()).fit(frame, labels(frame.to_numpy()))
    found = estimator(model).probabilities(frame.to_numpy())
    assert found == pytest.approx(model.predict_proba(frame)[:, 1], abs=1e-12)


class Answering:
    """A model of the user's own."""

    def __init__(self, answer: Any, classes: Any = None) -> None:
        self.answer = answer
        if classes is not None:
            self.classes_ = classes

    def predict_proba(self, rows: Any) -> Any:
        return self.answer(rows)


def both(positive: Any) -> Any:
    return np.column_stack([1 - positive, positive])


def test_a_model_that_looks_at_the_other_rows_cannot() -> None:
    """F3: a batch median inside the model has only one row to look at."""
    model = Answering(lambda rows: both((rows[:, 0] >= np.median(rows[:, 0])).astype(float)))
    assert estimator(model).probabilities(rows(9)).tolist() == [1.0] * 9


@pytest.mark.parametrize(
    "answer", [lambda r: r[:, 0], lambda r: np.ones((len(r), 3)) / 3, lambda r: [["a", "b"]] * len(r)]
)
def test_an_answer_of_another_shape_is_refused(answer: Any) -> None:
    with pytest.raises(ModelError, match="predict_proba answers with shape"):
        estimator(Answering(answer)).probabilities(rows(1))


@pytest.mark.parametrize(
    ("classes", "wanted", "column"),
    [
        (None, None, 1),
        ([0, 1], None, 1),
        ([False, True], None, 1),
        ([-1, 1], None, 1),
        ([0, 1], 0, 0),
        ([1, 2], 2, 1),
        (["ill", "well"], "ill", 0),
    ],
)
def test_the_positive_class_is_found(classes: Any, wanted: Any, column: int) -> None:
    answer = [0.9, 0.1]
    model = Answering(lambda r: np.array([answer] * len(r)), None if classes is None else np.array(classes))
    assert estimator(model, positive_class=wanted).probabilities(rows(2)).tolist() == [answer[column]] * 2


@pytest.mark.parametrize(
    ("classes", "wanted"),
    [([1, 2], None), (["ill", "well"], None), ([0, 1, 2], None), ([0, 1], 2), ([1, 0], None), ([1], 1)],
)
def test_classes_that_do_not_tell_are_refused(classes: Any, wanted: Any) -> None:
    with pytest.raises(ModelError, match=r"classes are|positive_class"):
        estimator(Answering(lambda r: both(r[:, 0]), classes), positive_class=wanted)


def test_the_probability_of_class_0_is_not_taken_by_the_fast_path(boosted: Any) -> None:
    matrix = rows(20)
    asked = estimator(boosted, positive_class=0)
    assert asked.probabilities(matrix) == pytest.approx(boosted.predict_proba(matrix)[:, 0], abs=1e-6)
    assert asked.contributions(matrix) is None


def test_columns_of_another_number_or_order_are_refused(forest: Any, boosted: Any, scaled_linear: Any) -> None:
    def named(names: list[str], model: Any, scaler: Any = None) -> Estimator:
        return Estimator(model, names, scaler=scaler, positive_class=None, probe=probe_rows(names, {}))

    from sklearn.tree import DecisionTreeClassifier

    frame = pd.DataFrame(rows(60), columns=NAMES)
    fitted = DecisionTreeClassifier().fit(frame, labels(frame.to_numpy()))
    with pytest.raises(ModelError, match="names and order must agree"):
        named(NAMES[::-1], fitted)
    for model in (forest, boosted, boosted.get_booster()):
        with pytest.raises(ModelError, match=r"fitted on 5 columns, .* has 4"):
            named(NAMES[:4], model)
    with pytest.raises(ModelError, match="the scaler was fitted on 5 columns"):
        named(NAMES[:4], Answering(lambda r: both(r[:, 0])), scaled_linear[1])


def test_what_cannot_answer_is_refused() -> None:
    from xgboost import XGBRegressor

    matrix = rows(50)
    with pytest.raises(ModelError, match="no predict_proba"):
        estimator(object())
    with pytest.raises(ModelError, match="binary:logistic"):
        estimator(XGBRegressor(n_estimators=2).fit(matrix, matrix[:, 0]).get_booster())
