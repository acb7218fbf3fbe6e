"""The sandbox as a running server, for tests and for the command line."""

import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fhir_sandbox.app import BASE_PATH, create_app
from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.faults import Faults
from fhir_sandbox.state import Sandbox
from fhir_sandbox.stats import Stats
from fhir_sandbox.store import Store
from fhir_sandbox.wire import WireServer


class SandboxServer:
    """A sandbox that listens, in a thread of its own, from `start` (or `with`) to `stop`.

    Parameters
    ----------
    db
        The SQLite file; None keeps the resources in a temporary folder that `stop` deletes.
    behaviour, faults
        None for the defaults.
    port
        0 is any free one.

    Raises
    ------
    ValueError
        If the port is none, or the file is of another version of the sandbox.
    OSError
        If it cannot listen there.

    Attributes
    ----------
    store
        The resources, to look into past HTTP.
    stats
        What was asked.
    """

    def __init__(
        self,
        db: Path | None = None,
        *,
        behaviour: Behaviour | None = None,
        faults: Faults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if not 0 <= port <= 65535:
            raise ValueError("port must be from 0 to 65535")
        self.store = Store(db)
        app = create_app(self.store, behaviour, faults)
        self._sandbox: Sandbox = app.extensions["fhir_sandbox"]
        self.stats: Stats = self._sandbox.stats
        self._host = host
        try:
            self._wire = WireServer((host, port), app, self.stats.connection)
        except OSError:
            self.store.close()
            raise
        self._thread = threading.Thread(target=self._wire.serve_forever, args=(0.05,), name="fhir-sandbox", daemon=True)

    @property
    def root_url(self) -> str:
        """What `/fhir` and `/_sandbox` stand below."""
        return f"http://{self._host}:{self._wire.port}"

    @property
    def base_url(self) -> str:
        """The FHIR base URL."""
        return self.root_url + BASE_PATH

    @property
    def behaviour(self) -> Behaviour:
        """The switches; set it to switch."""
        return self._sandbox.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._sandbox.behaviour = behaviour

    @property
    def faults(self) -> Faults:
        """The faults; set it to switch, and to begin rules and dice anew."""
        return self._sandbox.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._sandbox.faults = faults

    def load(self, resources: Iterable[dict[str, Any]]) -> int:
        """Store resources directly, past HTTP and past all switches; see `Store.load`."""
        return self.store.load(resources, self.base_url)

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Let requests under way finish, then close the server and the store."""
        if self._thread.is_alive():
            self._wire.stop()
            self._thread.join()
        else:
            self._wire.server_close()
        self.store.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
