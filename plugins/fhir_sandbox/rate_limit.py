"""A limit of requests in each window of time."""

import math
import threading
from collections.abc import Callable

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.refusals import Refusal


class RateLimiter:
    """Counts requests in windows that begin with the first request after the last one's end.

    Parameters
    ----------
    clock
        Seconds that only go up.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._start = -math.inf
        self._used = 0

    def admit(self, behaviour: Behaviour) -> dict[str, str]:
        """Count one request and give the headers that tell what is left; none without a limit.

        Raises
        ------
        Refusal
            429 with the header `RateLimit: "fhirInteractions";r=0;t=N` if the window's requests are used up; N is the
            seconds until the next window, rounded up.
        """
        limit = behaviour.rate_limit
        if limit is None:
            return {}
        with self._lock:
            now = self._clock()
            if now - self._start >= behaviour.rate_window_s:
                self._start, self._used = now, 0
            wait = math.ceil(self._start + behaviour.rate_window_s - now)
            admitted = self._used < limit
            self._used += admitted
            left = max(limit - self._used, 0)
        headers = {"RateLimit": f'"fhirInteractions";r={left};t={wait}'}
        if admitted:
            return headers
        if behaviour.retry_after:
            headers["Retry-After"] = str(wait)
        raise Refusal(429, "throttled", "Too many requests", headers=headers)
