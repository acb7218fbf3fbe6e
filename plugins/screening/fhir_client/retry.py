"""Whether a request is sent again, and after how many seconds.

| what came back | GET, PUT, conditional POST, batch of these | plain POST |
|---|---|---|
| connection refused, no such host, connect timeout | again | again |
| 429 | again | again |
| 408, 5xx but 501 and 505, timeout, broken or cut-off answer | again | never: it may have been carried out |
| all else | no | no |
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from screening.fhir_client.exchange import Reply, Request
from screening.fhir_client.settings import ClientSettings

_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")
_PARAMETER = re.compile(r";\s*([a-z]+)\s*=\s*(\d{1,9})(?=\s*(?:;|$))")


def asked_wait(reply: Reply, now: float) -> float | None:
    """Read how many seconds the server asks us to wait.

    `Retry-After` holds seconds or an HTTP date (RFC 9110, section 10.2.3). On a 429 without it, the `RateLimit` field
    of the IETF draft tells (Medplum): `"policy";r=0;t=7`, a list, where r is what remains and t the seconds until it is
    filled up again; of several used-up quotas the longest counts.

    Parameters
    ----------
    now
        Unix time in seconds.

    Returns
    -------
    float or None
        None where the server asks for nothing that can be read.
    """
    if not reply.temporary:
        return None
    text = reply.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if text:
        date = _http_date(text)
        if date is not None:
            return max(0.0, date - now)
    return _quota_reset(reply.headers.get("RateLimit", "")) if reply.status == 429 else None


def _http_date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _quota_reset(field: str) -> float | None:
    resets = []
    for item in field.split(","):
        parameters = dict(_PARAMETER.findall(item.strip()))
        if "t" in parameters and int(parameters.get("r", "1")) == 0:
            resets.append(float(parameters["t"]))
    return max(resets, default=None)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The rules of the table above, within the settings' attempts and budget of seconds.

    Attributes
    ----------
    clock
        Gives Unix time in seconds; read only to measure a `Retry-After` date.
    random
        Gives a number from 0 to 1.
    """

    settings: ClientSettings
    clock: Callable[[], float]
    random: Callable[[], float]

    def wait(self, request: Request, reply: Reply, *, attempt: int, waited: float) -> float | None:
        """Decide on the next attempt.

        Parameters
        ----------
        attempt
            How many attempts were made.
        waited
            Seconds slept for this request so far.

        Returns
        -------
        float or None
            Seconds to wait before the next attempt; None to give up.
        """
        if not reply.temporary or attempt >= self.settings.attempts:
            return None
        if reply.maybe_done and not request.repeatable:
            return None
        left = self.settings.max_wait - waited
        asked = asked_wait(reply, self.clock())
        if asked is None:
            return min(self.pause(attempt), max(0.0, left))
        # A little more than asked, so that all who were told the same second do not come back in the same one.
        return None if asked > left else min(asked + self.random() * self.settings.backoff, left)

    def pause(self, attempt: int) -> float:
        """Give the seconds to wait after the n-th attempt where the server asks for nothing: full jitter."""
        highest = min(self.settings.backoff_cap, self.settings.backoff * 2.0 ** min(attempt - 1, 60))
        return self.random() * highest
