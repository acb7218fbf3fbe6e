"""Send a request over one pooled session, as often as the retry rules allow, and read what comes back.

The transport raises nothing for what a server does: every end is a `Reply`. What it means is said in `faults`.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from screening.errors import FhirFatalError, FhirTemporaryError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.auth import Auth
from screening.fhir_client.content import codes_of_body, resource_of
from screening.fhir_client.exchange import FHIR_JSON, Fault, Reply, Request
from screening.fhir_client.faults import error_of
from screening.fhir_client.retry import RetryPolicy
from screening.fhir_client.settings import ClientSettings
from screening.fhir_client.wire_log import no_urls_logged

logger = logging.getLogger(__name__)

_CHUNK = 64 * 1024
_VERBATIM = re.compile(r"[!-~]+")
_WIRE_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class _Session(requests.Session):
    """A session that follows no redirect: the next server might be another one, and would be given the credentials."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' signature
        return None


class Transport:
    """The one way out to the server; used by several threads at once.

    Attributes
    ----------
    address
        The server's base URL.
    policy
        The retry rules.
    """

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
        self._sent = 0
        self._lock = threading.Lock()
        self._session = _session(settings.concurrency)

    @property
    def requests_sent(self) -> int:
        """HTTP requests that left, repeats included; a connection that was never made sent none."""
        with self._lock:
            return self._sent

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
        with no_urls_logged():
            reply = self._wire(request, prepared)
        if reply.fault is not Fault.UNREACHABLE:
            with self._lock:
                self._sent += 1
        return reply, headers

    def _wire(self, request: Request, prepared: requests.PreparedRequest) -> Reply:
        # requests' exceptions carry the URL with its query: none leaves this method, not even as a context.
        settings = self._settings
        try:
            response = self._session.send(
                prepared,
                stream=True,
                timeout=(settings.connect_timeout, settings.read_timeout),
                verify=settings.verify,
                allow_redirects=False,
            )
        except _WIRE_ERRORS as error:
            return Reply(fault=fault_of(error))
        with response:
            try:
                body = _read(response, settings.max_response_bytes)
            except _WIRE_ERRORS as error:
                body = b""
                if 200 <= response.status_code < 300:
                    return Reply(response.status_code, response.headers, fault=fault_of(error))
        return _reply(request, response, body)


def _session(connections: int) -> requests.Session:
    session = _Session()
    session.trust_env = False  # no proxy, no .netrc, no CA bundle from the environment
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0, pool_block=True)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _read(response: requests.Response, limit: int) -> bytes | None:
    """Read the body; None where it is longer than the limit."""
    parcels, size = [], 0
    for parcel in response.iter_content(_CHUNK):
        size += len(parcel)
        if size > limit:
            return None
        parcels.append(parcel)
    return b"".join(parcels)


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


def fault_of(error: Exception) -> Fault:
    """Tell from an exception of the HTTP library what happened, and above all whether anything can have been sent."""
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", None) or inner
    if isinstance(error, requests.exceptions.SSLError):
        return Fault.TLS if _distrust(reason) else Fault.DROPPED
    if isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    ):
        return Fault.UNREACHABLE
    if isinstance(error, requests.exceptions.ReadTimeout) or isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return Fault.TIMEOUT
    return Fault.DROPPED


def _distrust(reason: object) -> bool:
    """Tell a certificate that is not trusted, or a port that speaks no TLS, from a handshake that merely broke."""
    inner = reason.args[0] if isinstance(reason, Exception) and reason.args else None
    if isinstance(reason, SSLCertVerificationError) or isinstance(inner, SSLCertVerificationError):
        return True
    return any(sign in str(reason) for sign in ("WRONG_VERSION_NUMBER", "ALERT"))
