"""How gunicorn runs the sidecar: each option that is not gunicorn's default, and why."""

import gc
import importlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from cds_hooks.serving.clients import Limits
from cds_hooks.serving.worker import LoopWorker
from cds_hooks.settings import Settings, SettingsError
from screening.errors import ScreeningError

WARM = ("cds_hooks.app", "joblib", "pandas", "sklearn.ensemble", "xgboost")
"""Imported once before the workers are forked: they share the memory, and a worker that takes a dead one's place serves
in a fraction of a second instead of after seconds of imports.

Modules only, and no preloaded application: a thread, an open SQLite database and OpenMP's pool do not survive a fork, and
a model that the parent had loaded would be in its memory for ever, though the workers have long taken up its successor.
"""


def options(settings: Settings) -> dict[str, Any]:
    """Return gunicorn's options."""
    return {
        "bind": settings.bind,
        "workers": settings.workers,
        "worker_class": type("SidecarWorker", (LoopWorker,), {"limits": limits(settings)}),
        # Requests of a worker that may wait at a time, for a FHIR server mostly. Those that need not are answered one by
        # one, for they share a core.
        "threads": 8,
        # EHRs' HTTP libraries and proxies keep a connection for 60 s mostly: theirs must end first, or a request meets a
        # closing connection. Idle ones cost no thread, and give way where there are too many.
        "keepalive": 75,
        # A request that runs longer than any fetching is given up with its worker, and another takes its place.
        "timeout": 30 + math.ceil(settings.fetch_seconds),
        # Below the 10 s after which `docker stop` kills.
        "graceful_timeout": 8,
        # The heartbeat must not wait for a disk.
        "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 - gunicorn unlinks it at once
        # Nobody in between may say what path was asked for, or by what scheme: CDS_BASE_URL tells the public address.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        # The same reading of a request wherever it runs, whether or not the C parser happens to be installed.
        "http_parser": "python",
        # No socket to command the server by.
        "control_socket_disable": True,
        "proc_name": "cds-hooks",
        # No access log: the application writes a line for each request, without what may be of a patient.
        "child_exit": _child_exit(settings),
    }


def limits(settings: Settings) -> Limits:
    """Return what a client can cost a worker."""
    # With a worker's files, so many connections stay below 1,024 descriptors, the limit of many systems.
    return Limits(connections=500, max_body=settings.max_body_bytes)


class Sidecar(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with these options, and no others from a file or the environment.

    Parameters
    ----------
    options
        gunicorn's options by name.
    load
        Makes the WSGI application, in each worker.
    warm
        Modules to import before the workers are forked.
    """

    def __init__(self, options: dict[str, Any], load: Callable[[], Any], warm: Sequence[str] = ()) -> None:
        self._options, self._load, self._warm = options, load, warm
        super().__init__()

    def load_config(self) -> None:
        """Set the options."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until a signal ends it."""
        for module in self._warm:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # a collection in a worker would copy the pages that it shares
        super().run()

    def load(self) -> Any:
        """Return the application; where its settings or its model are unfit, say why in one line and end everything."""
        try:
            return self._load()
        except ScreeningError as error:
            self.cfg.logger_class(self.cfg).critical("the sidecar does not start: %s", error)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


def begin_figures(settings: Settings) -> None:
    """Let this run's figures begin at nothing, in the folder that the workers share.

    prometheus_client looks for the variable when it is imported, and the parent process imports it for all.

    Raises
    ------
    SettingsError
        The state folder cannot be made or written.
    """
    folder = _figures(settings)
    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)  # first: a parent is made with the usual mode
        for old in folder.glob("*.db"):
            old.unlink()
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"CDS_STATE: {settings.state} cannot be made or written: {error.strerror}") from None
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def application() -> Any:
    """Return `cds_hooks.wsgi:application`."""
    return importlib.import_module("cds_hooks.wsgi").application


def _figures(settings: Settings) -> Path:
    return settings.state / "metrics"


def _child_exit(settings: Settings) -> Callable[[Any, LoopWorker], None]:
    def left(arbiter: Any, worker: LoopWorker) -> None:  # noqa: ARG001 - the form of gunicorn's hook
        worker.loads.leave(worker.age)
        # Imported only now: where figures are kept is decided at its import, which `begin_figures` must come before.
        importlib.import_module("prometheus_client.multiprocess").mark_process_dead(worker.pid, str(_figures(settings)))

    return left
