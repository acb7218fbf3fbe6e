"""Do the same to many things, a few at a time."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from screening.errors import ScreeningError, TemporaryError

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """A fixed number of threads; a task must not call `each` itself."""

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="fhir")

    def each(self, task: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Run a task for each item and give the results in the items' order.

        The first exception ends the call: what has not begun is not begun, what is under way is waited for.
        """
        todo = list(items)
        if len(todo) == 1:
            return [task(todo[0])]
        failures: list[BaseException] = []

        def run(item: T) -> R:
            if failures:
                raise CancelledError
            try:
                return task(item)
            except BaseException as failure:
                failures.append(failure)
                raise

        futures: list[Future[R]] = [self._pool.submit(run, item) for item in todo]
        try:
            wait(futures)
        except BaseException as interrupt:
            failures.append(interrupt)
            raise
        if failures:
            raise failures[0]
        return [future.result() for future in futures]

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Breaker:
    """End a call whose questions fail one after the other as if the server were down.

    Each of them has used up its own retries by then; going on would take hours and change nothing.
    """

    LIMIT = 10

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._row = 0

    def note(self, error: ScreeningError | None) -> None:
        """Hear how one question ended.

        Raises
        ------
        TemporaryError
            The error itself, where it is the tenth temporary one without any other end in between.
        """
        with self._lock:
            self._row = self._row + 1 if isinstance(error, TemporaryError) else 0
            broken = self._row >= self.LIMIT
        if broken and error is not None:
            raise error
