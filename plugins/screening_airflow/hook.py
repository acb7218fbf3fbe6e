"""The hook: from an Airflow connection of type `fhir` to the library's client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow.sdk import BaseHook

from screening.errors import FatalError, ScreeningError

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
            self._connection = self.get_connection(self.fhir_conn_id)
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
        except (ZoneInfoNotFoundError, ValueError):
            raise FatalError(
                f"connection {self.fhir_conn_id}: zone {name!r} is no time zone of the IANA list"
            ) from None

    def get_conn(self) -> FhirClient:
        """Return a client; use it as a context manager."""
        from screening.fhir_client.client import FhirClient
        from screening.fhir_client.settings import ClientSettings

        options = {key: value for key, value in self._extras().items() if key != "zone" and value not in (None, "")}
        return FhirClient(ClientSettings(base_url=self.base_url, **options), auth=self._auth())

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its CapabilityStatement."""
        try:
            with self.get_conn() as client:
                client.capabilities()
        except ScreeningError as error:
            return False, str(error)
        return True, "The server answered with a FHIR R4 CapabilityStatement"

    def _extras(self) -> dict[str, Any]:
        extras: dict[str, Any] = self.connection.extra_dejson
        if unknown := sorted(extras.keys() - {*CLIENT_OPTIONS, "zone"}):
            known = ", ".join((*CLIENT_OPTIONS, "zone"))
            raise FatalError(f"connection {self.fhir_conn_id}: unknown extra {', '.join(unknown)}; known: {known}")
        return extras

    def _auth(self) -> Auth:
        from screening.fhir_client.auth import BasicAuth, BearerAuth, NoAuth

        login, password = self.connection.login, self.connection.password
        if login and not password:
            raise FatalError(f"connection {self.fhir_conn_id}: a login without a password")
        if login:
            return BasicAuth(login, password)
        return BearerAuth(password) if password else NoAuth()
