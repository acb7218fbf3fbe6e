"""Said by a call that is about to wait for somebody else, so that other calls go on meanwhile.

Who serves the sidecar may want to know: our own workers answer calls one after the other, and another thread goes on where
one waits. Under another server nobody asks, and nothing happens.
"""

import threading
from collections.abc import Callable

_here = threading.local()


def tell(somebody: Callable[[], None]) -> None:
    """Have somebody told of the waits of this thread's calls."""
    _here.told = somebody


def will_wait() -> None:
    """Say that this call is about to wait: for a server, a disk, or a model to be loaded."""
    told: Callable[[], None] | None = getattr(_here, "told", None)
    if told is not None:
        told()
