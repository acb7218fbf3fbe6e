"""Send a request over one pooled session, as often as the retry rules allow, and read what comes back.

The transport raises nothing for what a server does: every end is a `Reply`. What it means is said in `faults`.
"""

import copy
import logging
import math
import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import requests

from screening.errors import FhirFatalError, FhirTemporaryError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.auth import Auth
from screening.fhir_client.budget import Budget
from screening.fhir_client.content import codes_of_body, resource_of
from screening.fhir_client.exchange import FHIR_JSON, Fault, Reply, Request
from screening.fhir_client.faults import error_of
from screening.fhir_client.retry import RetryPolicy
from screening.fhir_client.settings import ClientSettings
from screening.fhir_client.wire import WIRE_ERRORS, fault_of, open_session, read_body, undeclared
from screening.fhir_client.wire_log import no_urls_logged

logger = logging.getLogger(__name__)

_VERBATIM = re.compile(r"[!-~]+")


class _Tally:
    """Counts over threads."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.count += 1


class Transport:
    """The one way out to the server; used by several threads at once.

    Attributes
    ----------
    address
        The server's base URL.
    policy
        The retry rules.
    budget
        What the requests of one call may use together; None where each is bounded by the settings alone.
    """

    budget: Budget | None = None

    def __init__(
        self,
        settings: ClientSettings,
        auth: Auth,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float],
    ) -> None:
        self.address = ServerAddress(settings.base_url)
        self.policy = RetryPolicy(settings, clock, random)
        self._settings = settings
        self._auth = auth
        self._sleep = sleep
        self._sent = _Tally()
        self._session = open_session(settings.concurrency)

    @property
    def requests_sent(self) -> int:
        """HTTP requests that left, repeats included; a connection that was never made sent none."""
        return self._sent.count

    def within(self, budget: Budget, auth: Auth | None = None, below: str = "") -> "Transport":
        """Return the same way out under a budget.

        Parameters
        ----------
        auth
            Credentials in place of this transport's own.
        below
            Path below this transport's base URL.
        """
        other = copy.copy(self)
        other.budget = budget
        other._auth = auth or self._auth
        other.address = ServerAddress(self.address.base + below)
        return other

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def pause(self, attempt: int) -> None:
        """Sleep as after the n-th failed attempt."""
        self._sleep(self.policy.pause(attempt))

    def send(self, request: Request, failed: Reply | None = None) -> Reply:
        """Send a request until it gets a reply that no repeat would better.

        Parameters
        ----------
        failed
            A temporary reply that this request already got elsewhere, as an entry of a batch: it counts as the first
            attempt, and the wait comes first.
        """
        reply = failed or self._attempt(request)
        attempt, waited, doubtful = 1, 0.0, False
        while (wait := self.policy.wait(request, reply, attempt=attempt, waited=waited)) is not None:
            if self.budget and wait >= self.budget.left:
                break
            doubtful = doubtful or reply.maybe_done
            logger.warning(
                "%s: %s; attempt %d of %d, next in %.1f s",
                request.name,
                reply.summary,
                attempt,
                self._settings.attempts,
                wait,
            )
            self._sleep(wait)
            reply = self._attempt(request)
            attempt += 1
            waited += wait
        return replace(reply, attempts=attempt, doubtful=doubtful)

    def error(self, request: Request, reply: Reply) -> FhirFatalError | FhirTemporaryError:
        """Make the error of a reply that is not `ok`."""
        return error_of(request, reply, self.address, self.policy.clock())

    def fetch(self, request: Request) -> Reply:
        """Send a request and give its reply if it is of use.

        Raises
        ------
        FhirTemporaryError
            The retries ran out.
        FhirFatalError
            The server refused, or its answer is no FHIR (FhirNotFhir).
        """
        reply = self.send(request)
        if not reply.ok:
            raise self.error(request, reply)
        return reply

    def _attempt(self, request: Request) -> Reply:
        """Send once, and once more with fresh credentials where the first were refused."""
        reply, headers = self._once(request)
        if reply.status == 401 and self._auth.invalidate(headers):
            reply, _ = self._once(request)
        return reply

    def _once(self, request: Request) -> tuple[Reply, dict[str, str]]:
        headers = {
            "Accept": FHIR_JSON,
            "Accept-Encoding": "gzip, deflate",
            "Cache-Control": "no-cache",
            "User-Agent": self._settings.user_agent,
            **request.headers,
        }
        self._auth(headers)
        prepared = requests.Request(request.method, request.url, headers=headers, data=request.body).prepare()
        if _VERBATIM.fullmatch(request.url):
            prepared.url = request.url  # a next link goes out as the server wrote it
        with no_urls_logged(), self.budget.in_charge() if self.budget else nullcontext():
            reply = self._wire(request, prepared)
        if reply.fault not in (Fault.UNREACHABLE, Fault.NOT_BEGUN):
            self._sent.add()
        return reply, headers

    def _wire(self, request: Request, prepared: requests.PreparedRequest) -> Reply:
        # requests' exceptions carry the URL with its query: none leaves this method, not even as a context.
        settings = self._settings
        left = self.budget.left if self.budget else math.inf
        if left <= 0:
            return Reply(fault=Fault.NOT_BEGUN)
        try:
            response = self._session.send(
                prepared,
                stream=True,
                timeout=(min(settings.connect_timeout, left), min(settings.read_timeout, left)),
                verify=settings.verify,
                allow_redirects=False,
            )
        except WIRE_ERRORS as error:
            return Reply(fault=self._fault(error))
        with response:
            if settings.json_only and undeclared(request, response):
                return Reply(response.status_code, response.headers, fault=Fault.NOT_JSON)
            try:
                body = read_body(response, settings.max_response_bytes, self.budget)
            except WIRE_ERRORS as error:
                body = b""
                if 200 <= response.status_code < 300:
                    return Reply(response.status_code, response.headers, fault=self._fault(error))
        return _reply(request, response, body)

    def _fault(self, error: Exception) -> Fault:
        """Tell what happened; a connection that the budget's end cut did not break, its time was up."""
        fault = fault_of(error)
        return Fault.TIMEOUT if fault is Fault.DROPPED and self.budget and self.budget.over else fault


def _reply(request: Request, response: requests.Response, body: bytes | None) -> Reply:
    status, headers = response.status_code, response.headers
    if not 200 <= status < 300:
        return Reply(status, headers, codes=codes_of_body(body or b""))
    if body is None:
        return Reply(status, headers, fault=Fault.TOO_LARGE)
    if not body and not request.wants_body:
        return Reply(status, headers)
    resource, fault = resource_of(body, announced_empty=headers.get("Content-Length") == "0")
    return Reply(status, headers, resource, fault)
