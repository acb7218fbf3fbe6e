"""The hook: from an Airflow connection of type `fhir` to the library's client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from screening.errors import FatalError, FhirFatalError, ScreeningError

if TYPE_CHECKING:
    from screening.fhir_client.auth import Auth
    from screening.fhir_client.client import FhirClient

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


class FhirHook(BaseHook):
    """
    Open a FHIR R4 server.

    The connection's host is the base URL with its scheme (``https://fhir.example.org/r4``); the scheme is never rewritten.
    A password without a login is a bearer token; with a login both are HTTP Basic. Extras are the client's options and
    ``zone``, the site's time zone for times without one; an unknown extra is refused.

    :param fhir_conn_id: the connection of type ``fhir``.
    """

    conn_name_attr = "fhir_conn_id"
    default_conn_name = "fhir_default"
    conn_type = "fhir"
    hook_name = "FHIR R4"

    def __init__(self, fhir_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.fhir_conn_id = fhir_conn_id
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        """The Airflow connection, read once."""
        if self._connection is None:
            try:
                self._connection = self.get_connection(self.fhir_conn_id)
            except AirflowNotFoundException:
                raise FatalError(
                    f"there is no connection {self.fhir_conn_id}: make one of type fhir under Admin, Connections, or name "
                    "another with the run's fhir_conn_id"
                ) from None
        return self._connection

    @property
    def base_url(self) -> str:
        """The base URL without a trailing slash."""
        host = (self.connection.host or "").rstrip("/")
        if "://" not in host:
            raise FatalError(
                f"connection {self.fhir_conn_id}: the host must be the FHIR base URL with its scheme, "
                "such as https://fhir.example.org/r4"
            )
        if self.connection.port or self.connection.schema:
            raise FatalError(
                f"connection {self.fhir_conn_id}: write port and path into the host, and leave port and schema empty"
            )
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
                f"connection {self.fhir_conn_id}: zone {name!r} is no time zone of the IANA list, such as "
                "America/New_York"
            ) from None

    def get_conn(self) -> FhirClient:
        """Return a client; use it as a context manager."""
        from screening.fhir_client.client import FhirClient
        from screening.fhir_client.settings import ClientSettings

        options = {key: value for key, value in self._extras().items() if key != "zone" and value not in (None, "")}
        base_url = self.base_url
        try:
            return FhirClient(ClientSettings(base_url=base_url, **options), auth=self._auth())
        except FhirFatalError as error:
            raise FatalError(f"connection {self.fhir_conn_id}: {error}") from None

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its CapabilityStatement."""
        try:
            with self.get_conn() as client:
                client.capabilities()
        except ScreeningError as error:
            return False, str(error)
        return True, "The server answered with a FHIR R4 CapabilityStatement"

    def _extras(self) -> dict[str, Any]:
        try:  # Airflow would log what it cannot read and go on without
            extras = json.loads(self.connection.extra or "{}")
        except ValueError:
            extras = None
        if not isinstance(extras, dict):
            raise FatalError(
                f'connection {self.fhir_conn_id}: the extra is no JSON object: write it like {{"zone": "Europe/Berlin"}}'
            )
        if unknown := sorted(extras.keys() - {*CLIENT_OPTIONS, "zone"}):
            known = ", ".join((*CLIENT_OPTIONS, "zone"))
            raise FatalError(f"connection {self.fhir_conn_id}: unknown extra {', '.join(unknown)}; known: {known}")
        return extras

    def _auth(self) -> Auth:
        from screening.fhir_client.auth import BasicAuth, BearerAuth, NoAuth

        login, password = self.connection.login, self.connection.password
        if login and not password:
            raise FatalError(
                f"connection {self.fhir_conn_id}: a login without a password: give both for HTTP Basic, only a password for "
                "a bearer token"
            )
        if login:
            return BasicAuth(login, password)
        return BearerAuth(password) if password else NoAuth()
