"""From the fields of a connection to the client's settings and credentials: docs/connection.md tells every field.

An Airflow connection has these fields, and so has the JSON that the sidecar is given in place of one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from screening.errors import FatalError, FhirFatalError
from screening.fhir_client.auth import Auth, BasicAuth, BearerAuth, NoAuth
from screening.fhir_client.settings import ClientSettings

CONN_TYPE = "fhir"
CLIENT_OPTIONS = (
    "allow_http",
    "verify",
    "page_size",
    "batch_entries",
    "concurrency",
    "attempts",
    "connect_timeout",
    "read_timeout",
)
"""The extras that are options of the client; `zone` is the other one that there is."""
_DESCRIBING = ("conn_type", "description")


@dataclass(frozen=True, slots=True)
class FhirConnection:
    """A connection as it was written; what it means is checked when asked for.

    Attributes
    ----------
    name
        How messages call it: `connection fhir_default`.
    host
        The base URL with its scheme; it is never rewritten.
    login, password
        A password without a login is a bearer token; with a login both are HTTP Basic. In no repr.
    port, schema
        Refused: both belong into the host.
    extra
        A JSON object, as such or as its text: the client's options, and `zone`.
    """

    name: str
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    port: int | None = None
    schema: str | None = None
    extra: str | Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def from_json(cls, text: str, name: str) -> Self:
        """Read the JSON form of Airflow's `AIRFLOW_CONN_…`.

        Raises
        ------
        FatalError
            No JSON object, of another `conn_type`, or with a field that a connection has none of. No value is repeated.
        """
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise FatalError(
                f'{name}: is no JSON object: write it like {{"conn_type": "fhir", "host": "https://fhir.example.org/r4"}}'
            )
        if given.get("conn_type", CONN_TYPE) != CONN_TYPE:
            raise FatalError(f"{name}: conn_type must be {CONN_TYPE}")
        known = [one.name for one in fields(cls) if one.name != "name"]
        if unknown := sorted(given.keys() - {*known, *_DESCRIBING}):
            raise FatalError(f"{name}: unknown field {', '.join(unknown)}; known: {', '.join((*known, *_DESCRIBING))}")
        texts = ("host", "login", "password", "schema")
        if odd := [key for key in texts if not isinstance(given.get(key), str | None)]:
            raise FatalError(f"{name}: {', '.join(odd)} must be text")
        return cls(name, **{key: value for key, value in given.items() if key in known})

    @property
    def base_url(self) -> str:
        """The base URL without a trailing slash."""
        host = (self.host or "").rstrip("/")
        if "://" not in host:
            raise FatalError(
                f"{self.name}: the host must be the FHIR base URL with its scheme, such as https://fhir.example.org/r4"
            )
        if self.port or self.schema:
            raise FatalError(f"{self.name}: write port and path into the host, and leave port and schema empty")
        return host

    @property
    def zone(self) -> ZoneInfo | None:
        """The site's time zone, or None where the connection names none."""
        name = self._extras().get("zone")
        if not name:
            return None
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, TypeError, AttributeError, OSError):  # a number, a path, a folder
            raise FatalError(
                f"{self.name}: zone {name!r} is no time zone of the IANA list, such as America/New_York"
            ) from None

    def client_settings(self) -> ClientSettings:
        """Return where the server is and how patient to be.

        Raises
        ------
        FatalError
            The host or an option cannot be meant.
        """
        options = {key: value for key, value in self._extras().items() if key != "zone" and value not in (None, "")}
        base_url = self.base_url
        try:
            return ClientSettings(base_url=base_url, **options)
        except FhirFatalError as error:
            raise FatalError(f"{self.name}: {error}") from None

    def auth(self) -> Auth:
        """Return the credentials.

        Raises
        ------
        FatalError
            A login without a password, or what no header can carry.
        """
        if self.login and not self.password:
            raise FatalError(
                f"{self.name}: a login without a password: give both for HTTP Basic, only a password for a bearer token"
            )
        try:
            if self.login and self.password:
                return BasicAuth(self.login, self.password)
            return BearerAuth(self.password) if self.password else NoAuth()
        except FhirFatalError as error:
            raise FatalError(f"{self.name}: {error}") from None

    def _extras(self) -> dict[str, Any]:
        extras: Any = self.extra or {}
        if isinstance(extras, str):
            try:  # Airflow would log what it cannot read and go on without
                extras = json.loads(extras)
            except ValueError:
                extras = None
        if not isinstance(extras, Mapping):
            raise FatalError(f'{self.name}: the extra is no JSON object: write it like {{"zone": "Europe/Berlin"}}')
        if unknown := sorted(extras.keys() - {*CLIENT_OPTIONS, "zone"}):
            known = ", ".join((*CLIENT_OPTIONS, "zone"))
            raise FatalError(f"{self.name}: unknown extra {', '.join(unknown)}; known: {known}")
        return dict(extras)
