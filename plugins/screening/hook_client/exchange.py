"""Call a CDS service and take what it answers, whatever that is."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
import requests
import urllib3.exceptions

from screening.errors import FhirFatalError, HookServiceError
from screening.fhir_client.address import checked_base_url
from screening.fhir_client.wire_log import no_urls_logged
from screening.hook_client.services import PATH, Service, services
from screening.hook_client.tokens import Tokens

_LARGEST = 5 * 2**20
_WIRE_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of one call.

    Attributes
    ----------
    status
        The HTTP status; None where no answer came.
    body
        The JSON; None where there is none.
    text
        The bytes as they came.
    milliseconds
        From the request to the answer's head.
    fault
        Why no answer came, in a word or two; empty where one did.
    """

    status: int | None = None
    body: Any = field(default=None, repr=False)
    text: bytes = field(default=b"", repr=False)
    milliseconds: float = 0.0
    fault: str = ""


class HookClient:
    """A CDS client of one base URL; use it in a `with` block.

    Parameters
    ----------
    base_url
        What `/cds-services` stands below.
    tokens
        Signs each call; None sends no Authorization header.
    audience
        The base URL that the service knows itself by, where that is not `base_url`, as behind a proxy.
    allow_http
        Permits plain http to another machine than this one.
    seconds
        The longest wait for an answer, and within one.

    Raises
    ------
    HookServiceError
        The base URL is none, or plain http to another machine.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokens: Tokens | None = None,
        audience: str | None = None,
        allow_http: bool = False,
        seconds: float = 10.0,
    ) -> None:
        try:
            self.base = checked_base_url(base_url, allow_http=allow_http).removesuffix(PATH)
        except FhirFatalError as error:
            raise HookServiceError(f"--url: {error}") from None
        self._tokens = tokens
        self._audience = (audience or self.base).rstrip("/").removesuffix(PATH)
        self._seconds = seconds
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc that nobody named

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._session.close()

    def discover(self) -> list[Service]:
        """Ask which services there are.

        Raises
        ------
        HookServiceError
            No answer, another status than 200, or no discovery.
        """
        answer = self._send("GET", PATH)
        if answer.status != 200:
            raise HookServiceError(
                f"{self.base}{PATH}: {answer.fault or f'HTTP {answer.status}'}: {self._advice(answer)}"
            )
        return services(answer.body)

    def _advice(self, answer: Answer) -> str:
        if answer.status is None:
            return "is the service running, and is this its base URL?"
        if answer.status == 401:
            return "it asks for a token of an EHR that it knows (--jwt-key, --iss, --kid, --audience)"
        return "is this the base URL of a CDS Hooks service?"

    def call(self, service: Service, body: dict[str, Any]) -> Answer:
        """Send one request."""
        return self._send("POST", service.url(""), body)

    def feedback(self, service: Service, body: dict[str, Any]) -> Answer:
        """Send feedback."""
        return self._send("POST", service.feedback_url(""), body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._tokens is not None:
            headers["Authorization"] = f"Bearer {self._tokens.token(self._audience + path)}"
        content = None if body is None else orjson.dumps(body)
        prepared = requests.Request(method, self.base + path, headers=headers, data=content).prepare()
        # No redirect is followed: the token was made for this endpoint, and the chart is nobody else's business.
        try:
            with (
                no_urls_logged(),
                self._session.send(prepared, stream=True, timeout=self._seconds, allow_redirects=False) as response,
            ):
                text = response.raw.read(_LARGEST + 1, decode_content=True)
        except _WIRE_ERRORS as error:
            return Answer(fault=_fault(error))
        if len(text) > _LARGEST:
            return Answer(fault="the answer is longer than 5 MiB")
        return Answer(response.status_code, _json(text), text, response.elapsed.total_seconds() * 1000)


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _fault(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted, or it speaks no TLS"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "timed out"
    if isinstance(error, requests.ConnectionError):
        return "no connection, or it broke off"
    return "the answer broke off"
