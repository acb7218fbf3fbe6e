"""The log as lines on standard error, each written by one call of the system and without a lock.

`logging.StreamHandler` holds its lock while it writes. The thread that writes gives the interpreter away meanwhile, and
until it has it back every other thread with something to log waits behind it: a twentieth of all that a worker could answer.
The system keeps lines of one `write` apart, as it must with several workers anyway.
"""

import logging
import os
import time
from contextlib import suppress
from functools import lru_cache

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
            self._put(self.format(record))
        except Exception:  # noqa: BLE001 - whatever a record is made of: `handleError` tells, and the call goes on
            self.handleError(record)

    def write(self, severity: int, name: str, words: str) -> None:
        """Write a line as `emit` would, without a record: to make one takes longer than all else about a line."""
        now = time.time()
        second = int(now)
        line = f"{_clock(second)},{int((now - second) * 1000):03d} {logging.getLevelName(severity)} {name} {words}"
        with suppress(OSError):
            self._put(line)

    def _put(self, line: str) -> None:
        left = (line + "\n").encode("utf-8", "backslashreplace")
        while left:
            left = left[os.write(self._descriptor, left) :]


def say(log: logging.Logger, severity: int, words: str) -> None:
    """Log ready words: by a line alone where that is all that would become of a record."""
    if not log.isEnabledFor(severity):
        return
    handlers = log.root.handlers
    if len(handlers) == 1 and isinstance(handlers[0], LineHandler) and not log.handlers:
        handlers[0].write(severity, log.name, words)
    else:
        log.log(severity, "%s", words)


@lru_cache(maxsize=1)
def _clock(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
