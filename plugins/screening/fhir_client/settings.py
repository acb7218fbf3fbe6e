"""What the FHIR client is told: where the server is, how patient to be, how much to ask at once."""

import math
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from screening.errors import FhirFatalError
from screening.fhir_client.address import checked_base_url

# name: (lowest, highest) allowed value; times in seconds
_NUMBERS: dict[str, tuple[float, float]] = {
    "connect_timeout": (0.001, 600),
    "read_timeout": (0.001, 3600),
    "backoff": (0, 600),
    "backoff_cap": (0, 3600),
    "max_wait": (0, 24 * 3600),
}
_COUNTS: dict[str, tuple[int, int]] = {
    "attempts": (1, 100),
    "page_size": (1, 10_000),
    "batch_entries": (1, 500),
    "concurrency": (1, 64),
    "max_response_bytes": (1024, 2**40),
}
_HEADER_TEXT = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How to reach one FHIR server; checked when made, its base URL kept without a trailing slash.

    Attributes
    ----------
    base_url
        `http` or `https`, as the server is really reached: the scheme is never rewritten.
    connect_timeout, read_timeout
        Seconds for the connection, and between two parcels of an answer.
    attempts
        How often one request is sent at most, the first time included.
    backoff, backoff_cap
        Seconds: the n-th pause is random between 0 and `min(backoff_cap, backoff * 2**(n-1))`.
    max_wait
        Seconds that one request may sleep in all; a server that asks for more is given up on, as a temporary error.
    page_size
        The `_count` of searches that bring none of their own; servers clamp it silently.
    batch_entries
        Entries of one `batch` Bundle; 1 means no batches at all.
    concurrency
        Requests under way at once, and connections held open.
    verify
        True: certifi's certificate authorities; a path: that CA bundle (PEM) or folder; False: no check.
    allow_http
        True permits plain http to a machine other than this one.
    user_agent
        Sent with every request.
    max_response_bytes
        A longer answer, after decompression, is refused.
    json_only
        Whether an answer must be declared as `application/fhir+json` or `application/json`.

    Raises
    ------
    FhirFatalError
        A value out of its bounds, or a base URL that is refused (see `address.checked_base_url`).
    """

    base_url: str
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    attempts: int = 5
    backoff: float = 0.5
    backoff_cap: float = 20.0
    max_wait: float = 60.0
    page_size: int = 1000
    batch_entries: int = 50
    concurrency: int = 4
    verify: bool | str = True
    allow_http: bool = False
    user_agent: str = "airflow-risk-screening"
    max_response_bytes: int = 256 * 2**20
    json_only: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in _NUMBERS.items():
            _check(name, getattr(self, name), low, high, (int, float))
        for name, (least, most) in _COUNTS.items():
            _check(name, getattr(self, name), least, most, (int,))
        if isinstance(self.verify, str):
            check_authorities(Path(self.verify))
        if not _HEADER_TEXT.fullmatch(self.user_agent):
            raise FhirFatalError("user_agent: must be printable ASCII")
        object.__setattr__(self, "base_url", checked_base_url(self.base_url, allow_http=self.allow_http))


def check_authorities(path: Path) -> None:
    """Load a CA bundle once: the HTTP library would report a bad one as a broken connection, with every request.

    Raises
    ------
    FhirFatalError
        It is neither a file of certificates in PEM nor a folder.
    """
    try:
        ssl.create_default_context(cafile=None if path.is_dir() else path)
    except OSError:
        raise FhirFatalError(f"verify: {path} is neither a CA bundle in PEM nor a folder of such") from None


def _check(name: str, value: object, low: float, high: float, kinds: tuple[type, ...]) -> None:
    number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)  # type: ignore[arg-type]
    if not number or not low <= value <= high:  # type: ignore[operator]
        whole = "a whole number" if kinds == (int,) else "a number"
        raise FhirFatalError(f"{name}: must be {whole} from {low} to {high}")
