"""Is the process alive, and does every service have a model that can be trusted? For load balancers and operators."""

from typing import Any

from cds_hooks.screens import Screens
from cds_hooks.settings import Settings

MANY_WAITING = 1_000
"""Cards that are not written yet: more than a worker's busiest seconds leave."""


def feedback_warnings(*, failing: bool, waiting: int, lost: int) -> list[str]:
    """Return what is wrong with the keeping of feedback, a sentence each; calls of services are answered all the same.

    Parameters
    ----------
    failing
        Whether the last call of the database failed.
    waiting
        Cards of this worker that are not written yet.
    lost
        Cards that were given up.
    """
    wait = f"{waiting} cards wait to be remembered"
    told = {
        f"the feedback database cannot be used: calls of feedback are refused, and {wait}": failing,
        f"the feedback database is slow: {wait}": not failing and waiting > MANY_WAITING,
        f"{lost} cards were not remembered: feedback on them counts as of unknown cards": lost > 0,
    }
    return [sentence for sentence, holds in told.items() if holds]


def readiness(screens: Screens, settings: Settings) -> tuple[bool, dict[str, Any]]:
    """Return whether every service can answer, and what each answers with.

    Returns
    -------
    bool, dict
        The dict has `status` (`ready` or `not ready`) and `services`: id → `ready`, model `name`, `version`, `sha256`, its
        `warnings`, and the `problem` of one that is not ready: without the folders of this machine, which the log has, for
        whoever reaches the port may ask.
    """
    services: dict[str, Any] = {}
    for key, screen in screens.items():
        screen.refresh()
        state = screen.state
        if isinstance(state, str):
            services[key] = {"ready": False, "problem": without_folders(state, settings)}
            continue
        bundle = state.bundle
        services[key] = {
            "ready": True,
            "schema": {"name": screen.schema.name, "version": screen.schema.version},
            "model": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        }
        if bundle.warnings:
            services[key]["warnings"] = list(bundle.warnings)
    ready = all(one["ready"] for one in services.values())
    return ready, {"status": "ready" if ready else "not ready", "services": services}


def without_folders(words: str, settings: Settings) -> str:
    """Return what is wrong with a model as a stranger may read it."""
    folders = {settings.models: "the registry"}
    if settings.model_file is not None:
        folders[settings.model_file.parent] = "its folder"
    # The longer first, for one may lie in the other. A relative one tells nothing, and may be a word like any other.
    for folder in sorted((one for one in folders if one.is_absolute() and one.name), key=str, reverse=True):
        words = words.replace(f"{folder}/", "").replace(str(folder), folders[folder])
    return words
