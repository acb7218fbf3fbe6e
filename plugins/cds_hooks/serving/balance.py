"""How many connections each worker has: kept connections stay where they were accepted, so that is when to share them.

Without it the first worker to wake takes them all: eight EHR connections were seen on one of two workers, and the other
core idle. And when a worker is replaced, the others have its clients, and keep them, until they give some up.
"""

import mmap

_SLOTS = 64
_NOBODY = 2**32 - 1
_TOLERATED = 4
"""Connections more than the lightest worker has: to end one costs its client another, so it is not done lightly."""


class Loads:
    """Counts in memory that the workers share; made before they are forked.

    Only a hint: a count that is a moment old costs a few milliseconds, never a connection.
    """

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * _SLOTS)).cast("I")
        for slot in range(_SLOTS):
            self._counts[slot] = _NOBODY

    def tell(self, worker: int, connections: int) -> None:
        """Set the count of a worker, known by its number."""
        self._counts[worker % _SLOTS] = connections

    def leave(self, worker: int) -> None:
        """Forget a worker that takes no more connections."""
        self._counts[worker % _SLOTS] = _NOBODY

    def is_lightest(self, worker: int) -> bool:
        """Return whether no other worker has fewer connections."""
        return self._counts[worker % _SLOTS] <= min(self._counts)

    def has_too_many(self, worker: int) -> bool:
        """Return whether connections would be better served by the worker that has the fewest."""
        return self._counts[worker % _SLOTS] > min(self._counts) + _TOLERATED
