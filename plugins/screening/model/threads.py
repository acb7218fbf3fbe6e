"""One thread for every model: tasks share the cores already, and sums of many threads differ in the last bit."""

from typing import Any

from screening.model.kinds import is_booster

SETTINGS = ("n_jobs", "nthread", "thread_count")


def single_threaded(model: Any) -> None:
    """Set the number of threads to one, in place, on a model and on every estimator inside it."""
    seen: set[int] = set()
    todo = [model]
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple | set):
            todo.extend(part)
        elif isinstance(part, dict):
            todo.extend(part.values())
        elif is_booster(part):
            part.set_param({"nthread": 1})  # a loaded one does not heed n_jobs
        elif part is model or _is_estimator(part):
            for name in SETTINGS:
                if getattr(part, name, 1) != 1:
                    setattr(part, name, 1)
            todo.extend(getattr(part, "__dict__", {}).values())


def _is_estimator(part: Any) -> bool:
    # scikit-learn's _CalibratedClassifier holds an estimator without being one
    return not isinstance(part, type) and (hasattr(part, "get_params") or type(part).__module__.startswith("sklearn."))
