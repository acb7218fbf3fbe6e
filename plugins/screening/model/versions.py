"""Which library versions run here, and how they differ from those that a model was fitted with."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

DISTRIBUTIONS = {
    "numpy": ("numpy",),
    "sklearn": ("scikit-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),  # the CPU wheel has a name of its own
    "joblib": ("joblib",),
}


def installed() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a model rests on; one that is absent is left out."""
    found = {"python": platform.python_version()}
    for name, distributions in DISTRIBUTIONS.items():
        for distribution in distributions:
            try:
                found[name] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


def differences(fitted: Any) -> tuple[str, ...]:
    """Return one sentence naming the libraries whose version differs, or nothing.

    Parameters
    ----------
    fitted
        Library name → version, as stored with the model. Anything else cannot be compared and says nothing. Of Python
        the first two parts count.
    """
    if not isinstance(fitted, Mapping):
        return ()
    here = installed()
    changed = [
        f"{name} {then} → {here.get(name, 'absent')}"
        for name, then in sorted(fitted.items())
        if name in (*DISTRIBUTIONS, "python") and _parts(name, str(then)) != _parts(name, here.get(name, ""))
    ]
    return (f"fitted with other versions than run here: {', '.join(changed)}",) if changed else ()


def _parts(name: str, version: str) -> list[str]:
    return version.split(".")[:2] if name == "python" else version.split(".")
