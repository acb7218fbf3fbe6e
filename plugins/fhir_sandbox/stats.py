"""What was asked of the sandbox, in numbers."""

import threading
from collections import Counter
from typing import Any


class Stats:
    """Counts of requests, of the entries within Bundles, of faults and of connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Begin to count anew; requests under way go on counting as such."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._entries: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()
            self._connections = 0
            self._peak = self._in_flight

    def request(self, method: str, kind: str) -> None:
        """Count a request below the FHIR base."""
        with self._lock:
            self._requests[f"{method} {kind}"] += 1

    def entry(self, method: str, kind: str) -> None:
        """Count an entry of a Bundle that is about to be carried out."""
        with self._lock:
            self._entries[f"{method} {kind}"] += 1

    def fault(self, action: str) -> None:
        """Count an answer that was broken on purpose."""
        with self._lock:
            self._faults[action] += 1

    def connection(self) -> None:
        """Count a connection that a client opened."""
        with self._lock:
            self._connections += 1

    def enter(self) -> None:
        """Note that a request is under way."""
        with self._lock:
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)

    def leave(self) -> None:
        """Note that a request is done."""
        with self._lock:
            self._in_flight -= 1

    def to_json(self) -> dict[str, Any]:
        """Give the counts since the last reset.

        Returns
        -------
        dict
            `requests` and `entries` by "METHOD kind" (`GET search`, `POST transaction`, `PUT conditional_update`),
            `faults` by action, `connections` opened, and `peak_in_flight`, the most requests under way at once.
        """
        with self._lock:
            return {
                "requests": dict(self._requests),
                "entries": dict(self._entries),
                "faults": dict(self._faults),
                "connections": self._connections,
                "peak_in_flight": self._peak,
            }
