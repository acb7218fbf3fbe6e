"""The hook: from an Airflow connection of type `fhir` to the library's client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from screening.errors import FatalError, ScreeningError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from screening.fhir_client.client import FhirClient
    from screening.fhir_client.connection import FhirConnection


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
        return self._fields().base_url

    @property
    def zone(self) -> ZoneInfo | None:
        """The site's time zone, or None where the connection names none."""
        return self._fields().zone

    def get_conn(self) -> FhirClient:
        """Return a client; use it as a context manager."""
        from screening.fhir_client.client import FhirClient

        fields = self._fields()
        return FhirClient(fields.client_settings(), auth=fields.auth())

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for its CapabilityStatement."""
        try:
            with self.get_conn() as client:
                client.capabilities()
        except ScreeningError as error:
            return False, str(error)
        return True, "The server answered with a FHIR R4 CapabilityStatement"

    def _fields(self) -> FhirConnection:
        from screening.fhir_client.connection import FhirConnection

        given = self.connection
        return FhirConnection(
            f"connection {self.fhir_conn_id}",
            host=given.host,
            login=given.login,
            password=given.password,
            port=given.port,
            schema=given.schema,
            extra=given.extra,
        )
