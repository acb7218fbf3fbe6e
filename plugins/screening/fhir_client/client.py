"""The FHIR R4 client: what the rest of the library calls."""

import random as _random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from screening.errors import FhirNotFhir
from screening.fhir_client.auth import Auth, NoAuth
from screening.fhir_client.batching import Batches
from screening.fhir_client.bounded import BoundedReads
from screening.fhir_client.budget import Budget
from screening.fhir_client.bundles import resources_of
from screening.fhir_client.capabilities import Capabilities, capabilities_of
from screening.fhir_client.creates import Creates
from screening.fhir_client.direct import checked_read
from screening.fhir_client.exchange import Answer, Request, Resource
from screening.fhir_client.questions import read_question, search_question
from screening.fhir_client.reads import Reads
from screening.fhir_client.searches import Searches
from screening.fhir_client.settings import ClientSettings
from screening.fhir_client.transactions import transact
from screening.fhir_client.transport import Transport
from screening.fhir_client.updates import update
from screening.fhir_client.workers import Workers

_NO_AUTH = NoAuth()


class FhirClient:
    """One FHIR server over one pool of connections; a context manager, to be shared by threads.

    Every method raises FhirTemporaryError where the server cannot be reached or stays busy through all retries, and
    FhirFatalError where it does not know us (401), whatever else it does.

    Parameters
    ----------
    settings
        Where the server is and how patient to be.
    auth
        Credentials; none by default.
    clock
        Gives Unix time in seconds; read only to measure a `Retry-After` date.
    sleep
        Waits that many seconds.
    random
        Gives a number from 0 to 1, for the jitter of the pauses.
    """

    def __init__(
        self,
        settings: ClientSettings,
        auth: Auth = _NO_AUTH,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.settings = settings
        self._transport = Transport(settings, auth, clock=clock, sleep=sleep, random=random)
        self._workers = Workers(settings.concurrency)
        self._searches = Searches(self._transport)
        batches = Batches(self._transport, settings.batch_entries)
        self._reads = Reads(self._transport, batches, self._searches, self._workers, settings.page_size)
        self._creates = Creates(
            self._transport, batches, self._reads, self._workers, self.capabilities, settings.attempts
        )
        self._capabilities: Capabilities | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FhirClient({self.settings.base_url!r})"

    def close(self) -> None:
        """End the threads and close the connections."""
        self._workers.close()
        self._transport.close()

    @property
    def requests_sent(self) -> int:
        """HTTP requests that left so far, repeats included."""
        return self._transport.requests_sent

    def read(self, resource_type: str, resource_id: str) -> Resource:
        """Read one resource.

        Raises
        ------
        FhirNotFound, FhirGone
            404, 410.
        FhirFatalError
            Not a type and an id, refused, or answered with another resource.
        """
        question = read_question(resource_type, resource_id)
        request = question.request(self._transport.address)
        return checked_read(question, request, self._transport.fetch(request))

    def search(self, resource_type: str, params: Sequence[tuple[str, str]]) -> Iterator[Resource]:
        """Give the resources of a search, matches and includes, over all its pages.

        Parameters
        ----------
        params
            Names and values, not yet percent-encoded; `_count` is the settings' page size unless given.

        Raises
        ------
        FhirFatalError
            Refused; an error inside a searchset; a `next` link out of this server or in a circle. FhirNotFhir where an
            answer is no searchset.
        """
        for page in self.search_pages(resource_type, params):
            yield from resources_of(page)

    def search_pages(self, resource_type: str, params: Sequence[tuple[str, str]]) -> Iterator[Resource]:
        """Give the searchset Bundles of a search as the server sent them, checked as `search` checks them."""
        return self._searches.pages(search_question(resource_type, params, self.settings.page_size))

    def get_each(self, urls: Sequence[str]) -> list[Answer]:
        """Read and search many URLs, in batches where the server takes them.

        Parameters
        ----------
        urls
            Relative to the base and percent-encoded: `Patient/x`, `Observation?patient=x`. A search brings all its
            pages; `_count` is the settings' page size unless given.

        Returns
        -------
        list of Answer
            In the order of the URLs. An answer with an error has no resources, and spoils no other.

        Raises
        ------
        FhirTemporaryError
            The server is away, or ten questions in a row ended temporarily.
        """
        return self._reads.get_each(urls)

    def within(self, budget: Budget, *, auth: Auth | None = None, below: str = "") -> BoundedReads:
        """Read under a budget of seconds, bytes and pages, over this client's pool of connections.

        Parameters
        ----------
        budget
            Of one call; several readers may share it.
        auth
            Credentials of this call in place of the client's.
        below
            Path below the base URL, such as `/tenant-a`; a `next` link is then followed below it alone.
        """
        return BoundedReads(self._transport.within(budget, auth, below), budget, self.settings.page_size)

    def create_each(self, resources: Sequence[Resource], if_none_exist: Sequence[str]) -> list[Answer]:
        """Create each resource unless one with its identifier exists; safe to be called again with the same.

        Parameters
        ----------
        if_none_exist
            For each resource the query that finds it, percent-encoded where it must be: `identifier=SYSTEM|VALUE`.
            Where two are equal, the first resource is written and both get its answer.

        Returns
        -------
        list of Answer
            In the order of the resources: 201 created, 200 existing, with the resource as the server holds it and its
            `Type/id` in `location`; 412 with an error where several exist.

        Raises
        ------
        FhirTemporaryError
            The server is away, or ten resources in a row ended temporarily. Some may have been written.
        FhirFatalError
            The server's metadata is not FHIR R4.
        ValueError
            The arguments do not fit together; see `creation.creations`.
        """
        return self._creates.create_each(resources, if_none_exist)

    def update(self, resource: Resource, if_match: str) -> Answer:
        """Replace a resource, if it still is in the version given.

        Parameters
        ----------
        resource
            With its `id`.
        if_match
            The version id or the ETag that was read.

        Returns
        -------
        Answer
            With the new version; 412 with an error where somebody else changed it meanwhile.
        """
        return update(self._transport, self._reads, resource, if_match)

    def transact(self, bundle: Resource) -> list[Answer]:
        """Send a transaction or batch Bundle of writes.

        Returns
        -------
        list of Answer
            One an entry, in the Bundle's order, each looked at: a server may run a transaction as a batch.

        Raises
        ------
        FhirFatalError
            The Bundle as a whole was refused.
        """
        return transact(self._transport, bundle)

    def capabilities(self) -> Capabilities:
        """Read what the server declares, once in this client's life.

        Raises
        ------
        FhirNotFhir
            There is no CapabilityStatement under this base URL.
        FhirFatalError
            The server speaks neither R4 nor R4B.
        """
        with self._lock:
            if self._capabilities is None:
                self._capabilities = self._fetch_capabilities()
            return self._capabilities

    def _fetch_capabilities(self) -> Capabilities:
        address = self._transport.address
        request = Request("GET", address.url("metadata"), repeatable=True)
        reply = self._transport.send(request)
        if reply.status in (404, 410):
            raise FhirNotFhir(
                f"{request.name}: {reply.status}; there is no FHIR server at the base URL {address.base}",
                status=reply.status,
            )
        if not reply.ok or reply.resource is None:
            raise self._transport.error(request, reply)
        return capabilities_of(reply.resource, address)
