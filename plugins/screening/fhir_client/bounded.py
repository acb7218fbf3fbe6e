"""A few questions at once under a budget: all are answered by its end, well or not.

For the point of care, where somebody waits: no batches, no second attempts beyond the settings', and a server that does not
answer in time costs no more than the time.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from screening.errors import FhirFatalError, FhirTemporaryError
from screening.fhir_client.budget import Budget
from screening.fhir_client.direct import Direct
from screening.fhir_client.exchange import Answer
from screening.fhir_client.questions import parse_question
from screening.fhir_client.searches import Searches
from screening.fhir_client.transport import Transport

# Seconds for the threads to say that their connections were cut. One that still waits for a host's name is left behind.
_LAST_WORDS = 0.1


class BoundedReads:
    """Ask one server under a budget; see `client.FhirClient.within`."""

    def __init__(self, transport: Transport, budget: Budget, page_size: int) -> None:
        self._direct = Direct(transport, Searches(transport))
        self._budget = budget
        self._page_size = page_size

    def get_each(self, urls: Sequence[str]) -> list[Answer]:
        """Ask all of these relative URLs at once, each in a thread of its own.

        Returns
        -------
        list of Answer
            In the order of the URLs, each with an outcome of its own, whatever became of the others. What has no answer at
            the budget's end has a FhirTemporaryError.
        """
        if not urls:
            return []
        pool = ThreadPoolExecutor(len(urls), thread_name_prefix="fhir-bounded")
        asked = [pool.submit(self._ask, url) for url in urls]
        pool.shutdown(wait=False)
        if wait(asked, timeout=self._budget.left).not_done:
            self._budget.end()
            wait(asked, timeout=_LAST_WORDS)
        return [one.result() if one.done() else _late() for one in asked]

    def _ask(self, url: str) -> Answer:
        try:
            return self._direct.ask(parse_question(url, self._page_size))
        except (FhirFatalError, FhirTemporaryError) as error:
            return Answer(error.status or 0, error=error)


def _late() -> Answer:
    return Answer(0, error=FhirTemporaryError("no answer within the time for this call"))
