"""Figures for Prometheus: calls, answers by kind, and how long they took. No label holds anything of a patient.

Several workers write into one folder, and whichever is asked adds them up; a single process keeps its own.
"""

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """What is counted; one for each app.

    Parameters
    ----------
    shared
        The folder of all workers' figures: what `PROMETHEUS_MULTIPROC_DIR` was when prometheus_client was first imported;
        None where there is one process.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        self.calls = Counter(
            "cds_hooks_calls", "Calls of a service by HTTP status", ["service", "status"], registry=self._registry
        )
        self.answers = Counter(
            "cds_hooks_answers",
            "Answers of 200 by kind (risk, low, not_computed, earlier, …), risk level and version of the model in force",
            ["service", "kind", "level", "model_version"],
            registry=self._registry,
        )
        self.fetched = Counter(
            "cds_hooks_fetched_keys", "Prefetch keys fetched because they were not sent", ["service"],
            registry=self._registry,
        )  # fmt: skip
        self.feedback = Counter(
            "cds_hooks_feedback",
            "Feedback entries acknowledged, by outcome; repeats among them are kept once",
            ["service", "outcome"],
            registry=self._registry,
        )
        self.cards_lost = Counter(
            "cds_hooks_cards_not_remembered",
            "Cards whose link to their model is lost: feedback on them counts as of unknown cards",
            registry=self._registry,
        )
        self.cards_waiting = Gauge(
            "cds_hooks_cards_waiting", "Cards that are not written to the feedback database yet",
            multiprocess_mode="livesum", registry=self._registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "cds_hooks_call_seconds", "Duration of a call", ["service"], registry=self._registry, buckets=_SECONDS
        )

    def remembered(self, waiting: int, lost: int) -> None:
        """Take up how many cards wait to be remembered, and how many more will not be."""
        self.cards_waiting.set(waiting)
        if lost:
            self.cards_lost.inc(lost)

    def lost(self) -> int:
        """Return how many cards were not remembered, by all workers since the sidecar began."""
        return int(self._all().get_sample_value("cds_hooks_cards_not_remembered_total") or 0)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._all())

    def _all(self) -> CollectorRegistry:
        if self._shared is None:
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._shared))  # type: ignore[no-untyped-call]
        return registry
