"""Who is asked for what a call lacks, with which credentials: the EHR's FHIR server, our own connection, or nobody.

Connections are kept open from call to call; a token is not: it lives as long as the call and goes to that one server only.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from cds_hooks.fetching import reasons
from cds_hooks.fetching.allowed import AllowedServers
from cds_hooks.fetching.same_person import contradiction
from cds_hooks.fetching.scopes import Grant, Interaction, Scopes, wanted
from cds_hooks.settings import Settings
from cds_hooks.waiting import will_wait
from screening.errors import FhirFatalError
from screening.fhir_client.auth import Auth, BearerAuth
from screening.fhir_client.budget import Budget
from screening.fhir_client.client import FhirClient
from screening.fhir_client.connection import FhirConnection
from screening.fhir_client.exchange import Answer
from screening.fhir_client.settings import ClientSettings
from screening.queries import query_of_patient
from screening.readers.fhir_fields import text

log = logging.getLogger(__name__)

MAX_BYTES = 5 * 2**20
"""Of all answers that one call fetches."""
MAX_PAGES = 5
"""Of one search."""
_CONNECTIONS = 32
CONNECTION_NAME = "CDS_FHIR_CONN"


class Authorization(Protocol):
    """The `fhirAuthorization` of a call."""

    @property
    def access_token(self) -> str:
        """In no repr."""

    @property
    def scope(self) -> Collection[str]:
        """SMART scopes."""

    @property
    def patient(self) -> str | None:
        """Whose data the `patient/` scopes are about, where the EHR says so."""


class Call(Protocol):
    """What a hook's call says of its FHIR server."""

    @property
    def patient_id(self) -> str:
        """`context.patientId`."""

    @property
    def fhir_server(self) -> str | None:
        """As sent: a stranger's text."""

    @property
    def authorization(self) -> Authorization | None:
        """None where the server is open to us, or the call brings none."""


@dataclass(frozen=True, slots=True)
class Source:
    """A server that this call may ask.

    Attributes
    ----------
    base_url
        What absolute references to this server begin with.
    scopes
        None where nothing is to be checked: our own connection, or a server that is open.
    own
        Whether it is our own connection, which may mean others than the EHR by its patients' ids.
    """

    base_url: str
    scopes: Scopes | None
    own: bool
    _client: FhirClient = field(repr=False)
    _auth: Auth | None = field(default=None, repr=False)
    _below: str = field(default="", repr=False)

    def lacks(self, resource_type: str, interaction: Interaction) -> str | None:
        """Say which scope is missing; None where this may be asked."""
        if self.scopes is None or self.scopes.grant(resource_type, interaction) is not Grant.NONE:
            return None
        return reasons.lacks(wanted(resource_type, interaction))

    def why_not(self, answer: Answer, resource_type: str, interaction: Interaction) -> str | None:
        """Say why an answer is of no use; None where it is.

        An empty one under a scope with a query is of none: "there is no such value" and "it is not for you" look alike.
        """
        words = reasons.words_of(answer)
        if words or answer.resources or self.scopes is None:
            return words
        if self.scopes.grant(resource_type, interaction) is Grant.FULL:
            return None
        return reasons.restricted(wanted(resource_type, interaction))

    def get_each(
        self, urls: Sequence[str], budget: Budget, *, patient: Mapping[str, Any] | None = None
    ) -> list[Answer] | str:
        """Ask relative URLs, all at once.

        Parameters
        ----------
        patient
            The Patient that the EHR sent, if it did. Our own server is asked for its own one of that id besides.

        Returns
        -------
        list of Answer
            One for each URL; or the words why none may be used: our own server means another person by the id, or it does
            not tell.
        """
        will_wait()
        client = self._client.within(budget, auth=self._auth, below=self._below)
        if not self.own or patient is None:
            return client.get_each(urls)
        *answers, ours = client.get_each([*urls, query_of_patient(text(patient.get("id")))])
        words = self.why_not(ours, "Patient", Interaction.READ)
        if words is not None:
            return reasons.not_known_to_be_the_same(words)
        fields = contradiction(patient, ours.resources[0])
        if fields is None:
            return answers
        log.error("%s has somebody else under the id of an EHR's patient: do they share their ids?", self.base_url)
        return reasons.somebody_else(fields)


class Sources:
    """The servers of this site; made once and shared by threads.

    Parameters
    ----------
    settings, servers, strangers, allow_http, verify
        As of `fetcher.Fetcher`.

    Raises
    ------
    FatalError
        A server or the own connection that cannot be meant.

    Attributes
    ----------
    zone
        Of the own connection, None where it names none or there is none.
    """

    def __init__(
        self,
        settings: Settings,
        servers: Iterable[tuple[str | None, str]],
        *,
        strangers: Collection[str] = (),
        allow_http: bool = False,
        verify: bool | str = True,
    ) -> None:
        self._fetch_from = settings.fetch_from
        self._strangers = frozenset(strangers)
        self._allowed = AllowedServers(servers, allow_http=allow_http)
        self._ehrs = {
            url: FhirClient(at_point_of_care(ClientSettings(url, verify=verify, allow_http=allow_http), settings))
            for url in self._allowed.base_urls
        }
        self.zone: ZoneInfo | None = None
        self._own: FhirClient | None = None
        if settings.fhir_conn:
            connection = FhirConnection.from_json(settings.fhir_conn, CONNECTION_NAME)
            self.zone = connection.zone
            self._own = FhirClient(at_point_of_care(connection.client_settings(), settings), connection.auth())

    def close(self) -> None:
        """Close all connections."""
        for client in (*self._ehrs.values(), self._own):
            if client is not None:
                client.close()

    def of_data(self, call: Call, patient_id: str, iss: str | None) -> Source | str:
        """Return whom to ask for the patient's data, or the words why nobody."""
        if self._fetch_from == "nowhere":
            return reasons.SWITCHED_OFF
        if self._fetch_from == "own" and self._own is not None:
            return self._ours(self._own, iss)
        return self._of_ehr(call, patient_id, iss)

    def of_screenings(self, call: Call, patient_id: str, iss: str | None) -> Source | str:
        """Return whom to ask for earlier screenings: our own connection if there is one, for they are written there."""
        if self._own is not None:
            return self._ours(self._own, iss)
        return self.of_data(call, patient_id, iss)

    def _ours(self, client: FhirClient, iss: str | None) -> Source | str:
        if iss in self._strangers:
            return reasons.OTHER_IDS
        return Source(client.settings.base_url, None, own=True, _client=client)

    def _of_ehr(self, call: Call, patient_id: str, iss: str | None) -> Source | str:
        if call.fhir_server is None:
            return reasons.NO_SERVER
        place = self._allowed.find(call.fhir_server, iss)
        if place is None:
            return reasons.NOT_ALLOWED
        client, given = self._ehrs[place.listed], call.authorization
        if given is None:
            return Source(place.base_url, None, False, client, None, place.below)
        auth = _bearer(given)
        if auth is None:
            return reasons.NO_TOKEN
        scopes = Scopes.of(given.scope, of_patient=(given.patient or call.patient_id) == patient_id)
        return Source(place.base_url, scopes, False, client, auth, place.below)


def at_point_of_care(settings: ClientSettings, ours: Settings) -> ClientSettings:
    """Return how a server is asked while somebody waits: one attempt, no batches, and nothing but FHIR in JSON."""
    return replace(
        settings,
        attempts=1,
        batch_entries=1,
        concurrency=_CONNECTIONS,
        connect_timeout=min(settings.connect_timeout, ours.fetch_seconds),
        read_timeout=min(settings.read_timeout, ours.fetch_seconds),
        max_response_bytes=MAX_BYTES,
        json_only=True,
    )


def _bearer(given: Authorization) -> Auth | None:
    try:
        return BearerAuth(given.access_token)
    except FhirFatalError:
        return None
