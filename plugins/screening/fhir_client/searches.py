"""A search to its end: page after page along the server's own `next` links.

`total` never ends or prolongs a search: servers leave it out, estimate it, or count what we may not see. What the last page
counts beyond all that was given is logged, and is for the caller to judge (`bundles.shortfall_of`).
"""

import logging
import threading
from collections.abc import Iterator

from screening.errors import FhirFatalError, FhirNotFhir, FhirTemporaryError
from screening.fhir_client.address import path_of
from screening.fhir_client.bundles import is_searchset, matches_of, next_link, remarks_of
from screening.fhir_client.exchange import Reply, Request, Resource
from screening.fhir_client.questions import Question
from screening.fhir_client.transport import Transport

logger = logging.getLogger(__name__)


class Searches:
    """Follow searches on one server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._told: set[tuple[str, tuple[str, ...]]] = set()
        self._lock = threading.Lock()

    def pages(self, question: Question, first: Reply | None = None) -> Iterator[Resource]:
        """Give the searchsets of a search, one a page.

        Parameters
        ----------
        first
            The first page, where it has come already.

        Raises
        ------
        FhirTemporaryError
            The retries ran out, or the server has forgotten the search between two pages.
        FhirNotFhir
            An answer is no searchset.
        FhirFatalError
            The server refused, reports an error inside the searchset, links to another server, links in a circle, or has
            more pages than the budget.
        """
        address, budget = self._transport.address, self._transport.budget
        url = question.page_url(address)
        request = question.request(address)
        page = self._checked(request, first or self._transport.fetch(request))
        seen, matches = {url}, 0
        while True:
            matches += matches_of(page)
            yield page
            link = next_link(page)
            if link is None:
                break
            url = address.next_page(link, url)
            if not link or url in seen:
                raise FhirFatalError(f"GET {path_of(url)}: the next link of a page is empty or leads in a circle")
            seen.add(url)
            if budget and len(seen) > budget.max_pages:
                # Some of the values are worse than none: a score of some looks like a score of all.
                raise FhirFatalError(f"GET {path_of(url)}: the search has more than {budget.max_pages} pages")
            page = self._next(Request("GET", url, repeatable=True, label="next page"))
        _tell_shortfall(question, page, matches)

    def _next(self, request: Request) -> Resource:
        reply = self._transport.send(request)
        if reply.status in (404, 410):
            raise FhirTemporaryError(
                f"{request.name}: {reply.status}, the server has forgotten this search; start it anew",
                status=reply.status,
            )
        if not reply.ok:
            raise self._transport.error(request, reply)
        return self._checked(request, reply)

    def _checked(self, request: Request, reply: Reply) -> Resource:
        page = reply.resource
        if page is None or not is_searchset(page):
            raise FhirNotFhir(
                f"{request.name}: {reply.status}, but the answer is no searchset Bundle of resources; "
                f"check the base URL {self._transport.address.base}",
                status=reply.status,
            )
        errors = remarks_of(page, errors=True)
        if errors:
            raise FhirFatalError(
                f"{request.name}: {reply.status}, but the searchset reports an error ({', '.join(errors)})",
                status=reply.status,
            )
        self._tell_remarks(request, remarks_of(page, errors=False))
        return page

    def _tell_remarks(self, request: Request, codes: tuple[str, ...]) -> None:
        """Log once for each path what the server remarks: most often that it ignored a parameter."""
        with self._lock:
            new = bool(codes) and (request.name, codes) not in self._told
            self._told.add((request.name, codes))
        if new:
            logger.warning("%s: the server remarks on this search (%s)", request.name, ", ".join(codes))


def _tell_shortfall(question: Question, last: Resource, matches: int) -> None:
    total = last.get("total")
    if isinstance(total, int) and total > matches:
        logger.warning("GET %s: the server counts %d, but gave %d and no next link", question.path, total, matches)
