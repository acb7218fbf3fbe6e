"""How a setting's text becomes what it means; a ValueError says what the text should have been, and never repeats it."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from screening.errors import FatalError, FhirFatalError
from screening.feedback.engines import checked, make_engine
from screening.fhir_client.settings import check_authorities
from screening.strict_yaml import duration

HOOKS = ("patient-view", "encounter-start")
"""The hooks that a service can be listed for: https://cds-hooks.hl7.org/hooks/"""


def choice(*known: str) -> Callable[[str], str]:
    """Take one of these words."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be {' or '.join(known)}")
        return text

    return read


def yes_no(text: str) -> bool:
    """Read a switch."""
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def number(low: float, high: float, kind: type[int] | type[float]) -> Callable[[str], float]:
    """Take a number of these bounds."""

    def read(text: str) -> float:
        try:
            found = kind(text)
        except ValueError:
            found = kind(low - 1)
        if not low <= found <= high:
            raise ValueError(f"must be {'a whole number' if kind is int else 'a number'} from {low} to {high}")
        return found

    return read


def existing(text: str) -> Path:
    """Read a path that must be there."""
    path = Path(text)
    if not path.exists():
        raise ValueError("names no file or folder that is there")
    return path


def authorities(text: str) -> Path:
    """Read a file of certificates of authorities (PEM)."""
    path = Path(text)
    try:
        check_authorities(path)
    except FhirFatalError:
        path = Path()
    if not path.is_file():
        raise ValueError("must be a file of certificates in PEM that can be read")
    return path


def folder(text: str) -> Path:
    """Read a folder that is there or can be made."""
    path = Path(text)
    if not path.is_dir() and any(one.exists() and not one.is_dir() for one in (path, *path.parents)):
        raise ValueError("must be a folder, and what is there is a file")
    return path


def database(text: str) -> str:
    """Read SQLAlchemy's URL of a database, whose driver must be installed; nothing is connected to."""
    try:
        make_engine(checked(text), 1.0).dispose()
    except FatalError as error:
        raise ValueError(str(error)) from None
    return text


def bind(text: str) -> str:
    """Read HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:8091")
    return text


def url(text: str) -> str:
    """Read an absolute URL, without its trailing slash."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in text:
        raise ValueError("must be an absolute http(s) URL without query, fragment and credentials")
    return text.rstrip("/")


def origins(text: str) -> tuple[str, ...]:
    """Read origins of browser clients, with commas between."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in found:
        if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", origin):
            raise ValueError("must be origins such as https://ehr.example.org, with commas between; * is none")
    return found


def hooks(text: str) -> tuple[str, ...]:
    """Read names of hooks, with commas between."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found or len(set(found)) < len(found) or not set(found) <= set(HOOKS):
        raise ValueError(f"must name some of {', '.join(HOOKS)}, with commas between")
    return found


def zone(text: str) -> ZoneInfo:
    """Read the name of a time zone."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone of the IANA list, such as America/New_York") from None


def span(text: str) -> timedelta:
    """Read a duration such as 24h."""
    found = duration(text)
    if not isinstance(found, timedelta):
        raise ValueError("must be a duration such as 24h")  # noqa: TRY004 - a sentence for the one who set it
    return found
