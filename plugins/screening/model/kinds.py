"""What kind of thing was pickled, told by its very class: a subclass may do anything and is of no known kind.

Told by names, so that no library is imported that the model does not need.
"""

from typing import Any

TREES = {
    "sklearn.tree": ("DecisionTreeClassifier", "ExtraTreeClassifier"),
    "sklearn.ensemble": (
        "RandomForestClassifier", "ExtraTreesClassifier", "GradientBoostingClassifier", "HistGradientBoostingClassifier",
    ),
    "xgboost": ("XGBClassifier", "XGBRFClassifier", "Booster"),
    "lightgbm": ("LGBMClassifier",),
}  # fmt: skip
FORESTS = ("DecisionTreeClassifier", "ExtraTreeClassifier", "RandomForestClassifier", "ExtraTreesClassifier")
SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")


def is_kind(thing: Any, root: str, *names: str) -> bool:
    """Tell whether a thing's class is one of these names, defined anywhere in the package `root`."""
    return (type(thing).__module__ + ".").startswith(root + ".") and type(thing).__name__ in names


def is_tree_model(model: Any) -> bool:
    """Tell whether a model is a bare classifier made of trees, to which the scale of a column means nothing."""
    known = any(is_kind(model, root, *names) for root, names in TREES.items())
    return known and getattr(model, "booster", None) != "gblinear"


def is_forest(model: Any) -> bool:
    """Tell whether a model is a tree or a forest of scikit-learn: a row's answer is a mean of leaves in a fixed order."""
    return is_kind(model, "sklearn", *FORESTS)


def is_linear_model(model: Any) -> bool:
    """Tell whether a model is a bare linear classifier of scikit-learn."""
    return type(model).__module__.startswith("sklearn.linear_model.")


def is_booster(model: Any) -> bool:
    """Tell whether a model is XGBoost's own Booster, without scikit-learn's interface."""
    return is_kind(model, "xgboost", "Booster")


def maps_columns_in_place(step: Any) -> bool:
    """Tell whether a transformer maps each number by itself and keeps its column's place."""
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return True
    if is_kind(step, "sklearn", "SimpleImputer"):
        return not step.add_indicator
    return is_kind(step, "sklearn", *SCALERS)


def steps_of(model: Any) -> tuple[list[Any], Any]:
    """Return what stands before the last step of a scikit-learn Pipeline, and that step.

    Returns
    -------
    (steps, last)
        For a Pipeline whose earlier steps all map columns in place; else no steps and the model as it is.
    """
    if is_kind(model, "sklearn", "Pipeline"):
        steps = [step for _, step in model.steps]
        if all(maps_columns_in_place(step) for step in steps[:-1]):
            return [step for step in steps[:-1] if step is not None and not isinstance(step, str)], steps[-1]
    return [], model
