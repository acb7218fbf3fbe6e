"""A few questions at once under a budget: all are answered by its end, well or not.

For the point of care, where somebody waits: no batches, no second attempts beyond the settings', and a server that does not
answer in time costs no more than the time.
"""

import threading
from collections.abc import Sequence

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
        asked = [_Asked(self._direct, url, self._page_size) for url in urls]
        for one in asked:
            one.start()
        for one in asked:
            one.join(self._budget.left)
        if any(one.is_alive() for one in asked):
            self._budget.end()
            for one in asked:
                one.join(_LAST_WORDS / len(asked))
        return [one.answer() for one in asked]


class _Asked(threading.Thread):
    """One question under way. A daemon: a host name that nobody resolves must not hold up the process's end."""

    def __init__(self, direct: Direct, url: str, page_size: int) -> None:
        super().__init__(name="fhir-bounded", daemon=True)
        self._direct, self._url, self._page_size = direct, url, page_size
        self._answer: Answer | None = None
        self._defect: BaseException | None = None

    def run(self) -> None:
        try:
            self._answer = self._direct.ask(parse_question(self._url, self._page_size))
        except (FhirFatalError, FhirTemporaryError) as error:
            self._answer = Answer(error.status or 0, error=error)
        except BaseException as defect:  # noqa: BLE001 - raised anew in the thread that asked
            self._defect = defect

    def answer(self) -> Answer:
        if self._defect is not None:
            raise self._defect
        return self._answer or Answer(0, error=FhirTemporaryError("no answer within the time for this call"))
