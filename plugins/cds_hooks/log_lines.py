"""The log as lines on standard error, each written by one call of the system and without a lock.

`logging.StreamHandler` holds its lock while it writes. The thread that writes gives the interpreter away meanwhile, and
until it has it back every other thread with something to log waits behind it: a twentieth of all that a worker could answer.
The system keeps lines of one `write` apart, as it must with several workers anyway.
"""

import logging
import os

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class LineHandler(logging.Handler):
    """Writes records to a file descriptor.

    Parameters
    ----------
    descriptor
        Standard error, unless given.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.setFormatter(logging.Formatter(FORMAT))

    def createLock(self) -> None:  # noqa: N802 - the library's name
        """Make none."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a disk that is full or a reader that is gone must not fail the call that is told of."""
        try:
            left = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            while left:
                left = left[os.write(self._descriptor, left) :]
        except Exception:  # noqa: BLE001 - as the library's own handlers do
            self.handleError(record)
