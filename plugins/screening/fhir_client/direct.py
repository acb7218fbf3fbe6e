"""One read or search, asked directly, with an outcome of its own."""

from screening.errors import FhirFatalError, FhirTemporaryError
from screening.fhir_client.bundles import resources_of, shortfall_of
from screening.fhir_client.exchange import Answer, Reply, Request, Resource
from screening.fhir_client.questions import Kind, Question, etag_of
from screening.fhir_client.searches import Searches
from screening.fhir_client.transport import Transport


class Direct:
    """Ask one server one question at a time, each in the thread that asks."""

    def __init__(self, transport: Transport, searches: Searches) -> None:
        self._transport = transport
        self._searches = searches

    def ask(self, question: Question, failed: Reply | None = None) -> Answer:
        """Ask a question; see `answer`, and `transport.Transport.send` for `failed`."""
        return self.answer(question, self._transport.send(question.request(self._transport.address), failed=failed))

    def answer(self, question: Question, reply: Reply) -> Answer:
        """Turn the reply to a question into its answer, fetching the further pages of a search.

        Raises
        ------
        FhirTemporaryError, FhirFatalError
            Every other question would end the same way: the server is away, or does not know us.
        """
        request = question.request(self._transport.address)
        status = reply.status or 0
        if not reply.ok:
            error = self._transport.error(request, reply)
            if reply.for_all:
                raise error
            return Answer(status, error=error)
        if question.kind is Kind.READ:
            try:
                resource = checked_read(question, request, reply)
            except FhirFatalError as wrong:
                return Answer(status, error=wrong)
            return Answer(status, [resource], etag=etag_of(reply))
        try:
            pages = list(self._searches.pages(question, reply))
        except (FhirFatalError, FhirTemporaryError) as failure:
            # Half a search is worse than none: a score from some of the values looks like a score from all.
            return Answer(failure.status or status, error=failure)
        if missing := shortfall_of(pages):
            return Answer(status, error=_incomplete(request, status, missing))
        return Answer(status, [resource for page in pages for resource in resources_of(page)])


def _incomplete(request: Request, status: int, missing: int) -> FhirFatalError:
    return FhirFatalError(
        f"{request.name}: {status}, but the server counts {missing} more than it gave, and links no next page; "
        "find out whether it cuts its answers, or hides some from these credentials",
        status=status,
    )


def checked_read(question: Question, request: Request, reply: Reply) -> Resource:
    """Give the resource that a read brought.

    Raises
    ------
    FhirFatalError
        It is another resource than was asked for.
    """
    if reply.resource is None or not question.is_answered_by(reply.resource):
        raise FhirFatalError(
            f"{request.name}: {reply.status}, but the answer is another resource than this one", status=reply.status
        )
    return reply.resource
