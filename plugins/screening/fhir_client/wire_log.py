"""Keep the HTTP library's own log lines out of the logs while it works for us.

urllib3 logs whole URLs, queries included: at DEBUG with every request, at WARNING when a header cannot be parsed. A
query may name a patient, so those lines are dropped, in the threads and for the time of our requests only.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")
_here = threading.local()


class _DropWhileOurs(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the base class's argument
        return not getattr(_here, "active", False)


_FILTER = _DropWhileOurs()


@contextmanager
def no_urls_logged() -> Iterator[None]:
    """Silence urllib3 in this thread for as long as the block lasts."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # adding it again changes nothing
    _here.active = True
    try:
        yield
    finally:
        _here.active = False
