"""Create many resources, each exactly once: run twice, retried or cut off, there is one of each.

Two ways. Where the server declares `conditionalCreate`, it looks itself (`If-None-Exist`), in batches; every repeat is
safe. Where it does not, or refuses, we search first and create with a plain POST; after a POST whose answer was lost we
search again before the next. The second way has a race: two clients that write the same identifier in the same moment
both find nothing and both create, and so does one whose lost POST is not yet visible to the server's search. The next
run then finds two and says so (412).
"""

import logging
from collections.abc import Callable, Sequence

from screening.errors import FhirFatalError, FhirTemporaryError
from screening.fhir_client.batching import Batches
from screening.fhir_client.bundles import batch_of_creates
from screening.fhir_client.capabilities import Capabilities
from screening.fhir_client.creation import Creation, creations
from screening.fhir_client.exchange import Answer, Reply, Request, Resource
from screening.fhir_client.reads import Reads
from screening.fhir_client.transport import Transport
from screening.fhir_client.workers import Breaker, Workers

logger = logging.getLogger(__name__)

_BATCHED = "creates"
_WRITTEN = (200, 201)
# An entry with one of these is sent once more on its own: they may mean the batch.
_NOT_IN_BATCH = frozenset({401, 403, 404, 405, 501})
# These may mean "no conditional create here"; a plain POST tells.
_NOT_CONDITIONAL = frozenset({400, 405, 501})


class Creates:
    """Write to one server.

    Parameters
    ----------
    attempts
        Plain POSTs of one resource at most, each after a search.
    """

    def __init__(
        self,
        transport: Transport,
        batches: Batches,
        reads: Reads,
        workers: Workers,
        capabilities: Callable[[], Capabilities],
        attempts: int,
    ) -> None:
        self._transport = transport
        self._batches = batches
        self._reads = reads
        self._workers = workers
        self._capabilities = capabilities
        self._attempts = attempts
        self._refused: set[str] = set()

    def create_each(self, resources: Sequence[Resource], if_none_exist: Sequence[str]) -> list[Answer]:
        """Create each of these unless it exists; see `client.FhirClient.create_each`."""
        wanted = creations(resources, if_none_exist)
        unique: dict[tuple[str, str], Creation] = {}
        for creation in wanted:
            unique.setdefault(creation.key, creation)
        answers = dict(zip(unique, self._created(list(unique.values())), strict=True))
        return [answers[creation.key] for creation in wanted]

    def _created(self, wanted: list[Creation]) -> list[Answer]:
        if not wanted:
            return []
        known = self._capabilities()
        trusted = [
            place
            for place, creation in enumerate(wanted)
            if known.conditional_create(creation.type) and creation.type not in self._refused
        ]
        answers: dict[int, Answer] = {}
        refused: set[int] = set()
        for place, reply in zip(trusted, self._conditionally([wanted[place] for place in trusted]), strict=True):
            if reply.status in _NOT_CONDITIONAL:
                refused.add(place)
            else:
                answers[place] = self._judged(wanted[place], reply, conditional=True)
        rest = [place for place in range(len(wanted)) if place not in answers]
        for place, answer in zip(rest, self._after_search([wanted[place] for place in rest]), strict=True):
            answers[place] = answer
            if place in refused and answer.error is None:
                self._remember(wanted[place].type)
        return self._with_bodies(wanted, [answers[place] for place in range(len(wanted))])

    def _remember(self, resource_type: str) -> None:
        if resource_type not in self._refused:
            self._refused.add(resource_type)
            logger.warning("%s: no conditional create on this server; searching before each create", resource_type)

    def _request(self, creation: Creation, *, conditional: bool) -> Request:
        return creation.request(self._transport.address, conditional=conditional)

    def _conditionally(self, wanted: list[Creation]) -> list[Reply]:
        """Send conditional creates in batches, and singly what a batch left open."""

        def send(chunk: Sequence[Creation]) -> list[Reply | None]:
            bundle = batch_of_creates([item.resource for item in chunk], [item.condition for item in chunk])
            return self._batches.send(_BATCHED, bundle)

        breaker = Breaker()

        def finish(pair: tuple[Creation, Reply | None]) -> Reply:
            creation, reply = pair
            if reply is None or reply.temporary or reply.status in _NOT_IN_BATCH or _says_nothing(reply):
                reply = self._singly(creation, reply)
            breaker.note(
                self._transport.error(self._request(creation, conditional=True), reply) if reply.temporary else None
            )
            return reply

        replies = [reply for some in self._workers.each(send, self._batches.chunks(wanted)) for reply in some]
        return self._workers.each(finish, list(zip(wanted, replies, strict=True)))

    def _singly(self, creation: Creation, batched: Reply | None) -> Reply:
        request = self._request(creation, conditional=True)
        reply = self._transport.send(request, failed=batched if batched and batched.temporary else None)
        if reply.for_all:
            raise self._transport.error(request, reply)
        if batched is not None and batched.status in _NOT_IN_BATCH and reply.ok:
            self._batches.stop(_BATCHED, f"{request.name}: {batched.status} in a batch, {reply.status} alone")
        return reply

    def _judged(self, creation: Creation, reply: Reply, *, conditional: bool) -> Answer:
        request = self._request(creation, conditional=conditional)
        if reply.ok and reply.status in _WRITTEN:
            return creation.answer(request, reply)
        if conditional and reply.status == 412:
            return Answer(412, error=creation.several(request))
        if reply.ok:
            what = f"{request.name}: {reply.status}, which says neither created (201) nor existing (200)"
            return Answer(reply.status or 0, error=FhirFatalError(what, status=reply.status))
        return Answer(reply.status or 0, error=self._transport.error(request, reply))

    def _after_search(self, wanted: list[Creation]) -> list[Answer]:
        found = self._reads.get_each([creation.search for creation in wanted])
        breaker = Breaker()

        def finish(pair: tuple[Creation, Answer]) -> Answer:
            answer = self._posted(*pair)
            breaker.note(answer.error)
            return answer

        return self._workers.each(finish, list(zip(wanted, found, strict=True)))

    def _posted(self, creation: Creation, found: Answer) -> Answer:
        """Create with a plain POST unless the search found it; search again after each POST without an answer."""
        request = self._request(creation, conditional=False)
        attempt = 1
        while (existing := creation.existing(request, found)) is None:
            reply = self._transport.send(request)
            if reply.for_all:
                raise self._transport.error(request, reply)
            if not reply.maybe_done or attempt == self._attempts:
                return self._judged(creation, reply, conditional=False)
            logger.warning("%s: %s; searching for it before another", request.name, reply.summary)
            self._transport.pause(attempt)
            attempt += 1
            found = self._reads.ask(creation.search)
        return existing

    def _with_bodies(self, wanted: list[Creation], answers: list[Answer]) -> list[Answer]:
        """Fetch what a server wrote without showing it."""
        bare = [place for place, answer in enumerate(answers) if answer.error is None and not answer.resources]
        fetched = self._reads.get_each([answers[place].location or wanted[place].search for place in bare])
        for place, found in zip(bare, fetched, strict=True):
            answers[place] = self._completed(wanted[place], answers[place], found)
        return answers

    def _completed(self, creation: Creation, answer: Answer, found: Answer) -> Answer:
        request = self._request(creation, conditional=True)
        body = creation.existing(request, found)
        if body is None or body.error is not None:
            unseen = FhirTemporaryError(
                f"{request.name}: {answer.status}, but what was written is not found afterwards"
            )
            return Answer(answer.status, error=body.error if body else unseen, location=answer.location)
        return Answer(answer.status, body.resources, etag=found.etag or body.etag, location=body.location)


def _says_nothing(reply: Reply) -> bool:
    """Tell an entry without a status, or with one that is neither an error nor 200 or 201."""
    return reply.status is None or (reply.ok and reply.status not in _WRITTEN)
