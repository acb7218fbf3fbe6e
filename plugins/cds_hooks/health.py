"""Is the process alive, and does every service have a model that can be trusted? For load balancers and operators."""

from typing import Any

from cds_hooks.screens import Screens


def readiness(screens: Screens) -> tuple[bool, dict[str, Any]]:
    """Return whether every service can answer, and what each answers with.

    Returns
    -------
    bool, dict
        The dict has `status` (`ready` or `not ready`) and `services`: id → `ready`, model `name`, `version`, `sha256`, its
        `warnings`, and the `problem` of one that is not ready.
    """
    services: dict[str, Any] = {}
    for key, screen in screens.items():
        screen.refresh()
        state = screen.state
        if isinstance(state, str):
            services[key] = {"ready": False, "problem": state}
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
