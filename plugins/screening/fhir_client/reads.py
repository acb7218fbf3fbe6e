"""Many reads and searches at once, in batches where the server takes them, each with an outcome of its own."""

from collections.abc import Sequence

from screening.errors import FhirFatalError
from screening.fhir_client.batching import Batches
from screening.fhir_client.bundles import batch_of_gets, is_searchset
from screening.fhir_client.direct import Direct
from screening.fhir_client.exchange import Answer, Reply
from screening.fhir_client.questions import Kind, Question, parse_question
from screening.fhir_client.searches import Searches
from screening.fhir_client.transport import Transport
from screening.fhir_client.workers import Breaker, Workers

# Statuses with which servers say "not in a batch" as well as what the status says: a direct GET tells which.
_DOUBTED = {
    Kind.READ: frozenset({400, 401, 403, 405, 422, 501}),
    Kind.SEARCH: frozenset({400, 401, 403, 404, 405, 422, 501}),
}


class Reads:
    """Ask one server many questions.

    Parameters
    ----------
    page_size
        The `_count` of searches that bring none.
    """

    def __init__(
        self, transport: Transport, batches: Batches, searches: Searches, workers: Workers, page_size: int
    ) -> None:
        self._transport = transport
        self._batches = batches
        self._direct = Direct(transport, searches)
        self._workers = workers
        self._page_size = page_size

    def get_each(self, urls: Sequence[str]) -> list[Answer]:
        """Ask all of these relative URLs; see `client.FhirClient.get_each`."""
        asked: dict[int, Question] = {}
        answers: dict[int, Answer] = {}
        for place, url in enumerate(urls):
            try:
                asked[place] = parse_question(url, self._page_size)
            except FhirFatalError as error:
                answers[place] = Answer(0, error=FhirFatalError(f"GET, question {place + 1}: {error}"))
        replies = self._in_batches(asked)
        breaker = Breaker()

        def finish(place: int) -> Answer:
            answer = self._finished(asked[place], replies.get(place))
            breaker.note(answer.error)
            return answer

        answers.update(zip(asked, self._workers.each(finish, asked), strict=True))
        return [answers[place] for place in range(len(urls))]

    def ask(self, url: str) -> Answer:
        """Ask one relative URL directly, in this thread."""
        return self._direct.ask(parse_question(url, self._page_size))

    def _in_batches(self, asked: dict[int, Question]) -> dict[int, Reply]:
        """Ask what may go in batches; a question without a reply afterwards is to be asked directly."""
        # Servers that refuse searches in a batch may take reads (Google): the two never share one.
        chunks = [
            chunk
            for kind in Kind
            for chunk in self._batches.chunks([place for place, question in asked.items() if question.kind is kind])
        ]

        def send(chunk: Sequence[int]) -> list[Reply | None]:
            kind = asked[chunk[0]].kind
            return self._batches.send(kind.value, batch_of_gets([asked[place].relative for place in chunk]))

        replies = self._workers.each(send, chunks)
        return {
            place: reply
            for chunk, some in zip(chunks, replies, strict=True)
            for place, reply in zip(chunk, some, strict=True)
            if reply is not None and reply.status is not None
        }

    def _finished(self, question: Question, reply: Reply | None) -> Answer:
        """Turn a batch entry's reply into an answer, asking directly where it is missing, temporary or doubted."""
        if reply is None:
            return self._direct.ask(question)
        if reply.temporary:
            return self._direct.ask(question, failed=reply)
        if not _doubted(question, reply):
            return self._direct.answer(question, reply)
        answer = self._direct.ask(question)
        if answer.error is None:
            name = question.request(self._transport.address).name
            self._batches.stop(question.kind.value, f"{name}: {reply.status} in a batch, {answer.status} alone")
        return answer


def _doubted(question: Question, reply: Reply) -> bool:
    """Tell an entry's reply that a direct GET has to confirm."""
    if not reply.ok:
        return reply.status in _DOUBTED[question.kind]
    if question.kind is Kind.READ:
        return not question.is_answered_by(reply.resource)
    return not is_searchset(reply.resource)
