"""What the running sandbox consists of, and what can be switched while it runs."""

import time
from collections.abc import Callable

from fhir_sandbox.behaviour import Behaviour
from fhir_sandbox.calls import Call, Context, Interruption
from fhir_sandbox.cursors import Cursors
from fhir_sandbox.faults import FaultPlan, Faults, Strike
from fhir_sandbox.rate_limit import RateLimiter
from fhir_sandbox.refusals import Refusal
from fhir_sandbox.routes import Route
from fhir_sandbox.stats import Stats
from fhir_sandbox.store import Store


class Sandbox:
    """The state of one sandbox.

    Parameters
    ----------
    clock
        Seconds that only go up; next links and the rate limit go by it.
    sleep
        Waits for seconds: latency.
    """

    def __init__(
        self,
        store: Store,
        behaviour: Behaviour,
        faults: Faults,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.stats = Stats()
        self.cursors = Cursors(clock)
        self._clock = clock
        self._sleep = sleep
        self.behaviour = behaviour
        self.faults = faults

    @property
    def behaviour(self) -> Behaviour:
        """The switches; setting them begins a new window of the rate limit."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self.limiter = RateLimiter(self._clock)
        self._behaviour = behaviour

    @property
    def faults(self) -> Faults:
        """The faults; setting them begins their rules and their dice anew."""
        return self.plan.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.plan = FaultPlan(faults)

    def strike(self, method: str, address: str) -> Strike:
        """Decide what strikes a request, and wait as long as it says."""
        strike = self.plan.strike(method, address)
        self._wait(strike)
        return strike

    def context(self, base: str, path: str) -> Context:
        """Give what an interaction needs.

        Parameters
        ----------
        base, path
            The FHIR base as a whole URL, and its path alone.
        """
        behaviour = self.behaviour
        root = base if behaviour.next_link_style == "absolute" else path
        return Context(behaviour, self.cursors, base, root, self._on_entry)

    def _on_entry(self, call: Call, route: Route) -> Interruption | None:
        self.stats.entry(call.method, route.stated(call.if_none_exist))
        address = f"/{call.path}?{call.query}" if call.query else f"/{call.path}"
        strike = self.plan.strike_entry(call.method, address)
        self._wait(strike)
        if strike.action is None:
            return None
        self.stats.fault(strike.action)
        refusal = Refusal(strike.status, "transient", "this answer was broken on purpose", headers=strike.headers)
        return Interruption(refusal, strike.commit)

    def _wait(self, strike: Strike) -> None:
        if strike.delay_ms:
            self._sleep(strike.delay_ms / 1000)
