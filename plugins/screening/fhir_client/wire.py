"""The HTTP library as we use it: its session, the body of an answer within bounds, and what its exceptions mean."""

from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError

import requests
import urllib3.exceptions

from screening.fhir_client.budget import Budget
from screening.fhir_client.content import is_json_type
from screening.fhir_client.exchange import Fault, Request
from screening.fhir_client.interruptible import InterruptibleAdapter

WIRE_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_CHUNK = 64 * 1024


class _Session(requests.Session):
    """A session that follows no redirect: the next server might be another one, and would be given the credentials."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' signature
        return None


def open_session(connections: int) -> requests.Session:
    """Make a session that takes nothing from the environment and keeps no cookies."""
    session = _Session()
    session.trust_env = False  # no proxy, no .netrc, no CA bundle from the environment
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = InterruptibleAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0, pool_block=True)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def undeclared(request: Request, response: requests.Response) -> bool:
    """Tell a 2xx answer whose body is not declared as FHIR in JSON."""
    if not request.wants_body or not 200 <= response.status_code < 300:
        return False
    return not is_json_type(response.headers.get("Content-Type", ""))


def read_body(response: requests.Response, limit: int, budget: Budget | None) -> bytes | None:
    """Read the body; None where it is longer than the limit, or than what the budget has left."""
    parcels, size = [], 0
    for parcel in response.iter_content(_CHUNK):
        size += len(parcel)
        if size > limit or (budget and not budget.take(len(parcel))):
            return None
        parcels.append(parcel)
    return b"".join(parcels)


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
