"""From a reply to the error it means: what failed, with which status, and what to do about it.

A message carries the method, the path, the status and R4 issue codes: no query, no diagnostics, no body.
"""

import re
from urllib.parse import urlsplit

from screening.errors import FhirFatalError, FhirGone, FhirNotFhir, FhirNotFound, FhirTemporaryError
from screening.fhir_client.address import ServerAddress
from screening.fhir_client.exchange import Fault, Reply, Request
from screening.fhir_client.retry import asked_wait

_ADVICE = {
    401: "check the credentials of the connection",
    403: "the credentials lack the right to do this",
    409: "somebody else changed it at the same time: read it anew",
    412: "its condition does not hold, most often because somebody else changed the resource: read it anew",
    413: "lower batch_entries",
}


def error_of(request: Request, reply: Reply, address: ServerAddress, now: float) -> FhirFatalError | FhirTemporaryError:
    """Make the error of a reply that is not `ok`.

    Parameters
    ----------
    now
        Unix time in seconds, against which a `Retry-After` date is measured.
    """
    if reply.temporary:
        return _temporary(request, reply, address, now)
    if reply.fault is not None:
        return _useless(request, reply, reply.fault, address)
    what = f"{request.name}: {reply.status}{_codes(reply)}"
    if reply.status is not None and 300 <= reply.status < 400:
        return FhirFatalError(
            f"{what}, a redirect{_target(reply)}; none is followed: {_REDIRECTED}", status=reply.status
        )
    if request.method != "POST" and reply.status == 404:
        return FhirNotFound(what, status=404)
    if request.method != "POST" and reply.status == 410:
        return FhirGone(what, status=410)
    advice = _ADVICE.get(reply.status or 0)
    return FhirFatalError(f"{what}; {advice}" if advice else what, status=reply.status)


_SHOWN = re.compile(r"[!-~]{1,200}")
_REDIRECTED = "set the base URL to the server's final address"


def _temporary(request: Request, reply: Reply, address: ServerAddress, now: float) -> FhirTemporaryError:
    what = reply.fault.value if reply.fault else f"{reply.status}{_codes(reply)}"
    where = f" ({address.origin})" if reply.fault is Fault.UNREACHABLE else ""
    times = "" if reply.attempts == 1 else f", {reply.attempts} attempts"
    asked = asked_wait(reply, now)
    wish = "" if asked is None else f"; the server asks to wait {asked:.0f} s"
    return FhirTemporaryError(f"{request.name}: {what}{where}{times}{wish}", status=reply.status, retry_after=asked)


def _useless(request: Request, reply: Reply, fault: Fault, address: ServerAddress) -> FhirFatalError:
    if fault in (Fault.NOT_FHIR, Fault.NOT_JSON):
        return FhirNotFhir(
            f"{request.name}: {reply.status}, but {fault.value}; check the base URL {address.base}", status=reply.status
        )
    if fault is Fault.TLS:
        advice = f"check the certificate of {address.origin} and the setting verify, or whether it speaks plain http"
    else:
        advice = "lower page_size or batch_entries"
    return FhirFatalError(f"{request.name}: {fault.value}; {advice}", status=reply.status)


def _codes(reply: Reply) -> str:
    return f" ({', '.join(reply.codes)})" if reply.codes else ""


def _target(reply: Reply) -> str:
    """Name where a redirect leads, without query and credentials; not where it could write a log of its own."""
    try:
        parts = urlsplit(reply.headers.get("Location", ""))
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    target = f"{parts.scheme}://{host}{port}{parts.path}" if host else parts.path
    return f" to {target}" if _SHOWN.fullmatch(target) else ""
