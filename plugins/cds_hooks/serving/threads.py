"""The threads that answer: a whole request in, a whole response out."""

import contextlib
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from gunicorn.http import wsgi

from cds_hooks.serving import answers
from cds_hooks.serving.connection import Connection


class Outgoing:
    """Stands for the socket while a response is made: collects its parts, so that they leave whole and in one packet."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Take a part."""
        self.parts.append(data)


class Threads:
    """A fixed number of them, with a queue before and one behind.

    Parameters
    ----------
    application
        The WSGI application.
    cfg, log
        gunicorn's configuration and log.
    closing
        Tells whether connections end with their present answer.
    """

    def __init__(self, application: Any, cfg: Any, log: Any, closing: Callable[[], bool]) -> None:
        self._application, self._cfg, self._log, self._closing = application, cfg, log, closing
        self._requests: SimpleQueue[tuple[Connection, Any]] = SimpleQueue()
        self._answered: SimpleQueue[Connection] = SimpleQueue()
        self.ready, self._wake = os.pipe()
        for end in (self.ready, self._wake):
            os.set_blocking(end, False)
        for _ in range(cfg.threads):  # daemons: none may keep a worker from ending
            threading.Thread(target=self._run, daemon=True).start()

    def put(self, connection: Connection, request: Any) -> None:
        """Have a request answered."""
        self._requests.put((connection, request))

    def answered(self) -> Iterator[Connection]:
        """Yield the connections whose answer was sent, or as much of it as the client took; `ready` tells of them."""
        read_up(self.ready)
        while not self._answered.empty():
            yield self._answered.get()

    def _run(self) -> None:
        while True:
            connection, request = self._requests.get()
            connection.send(self._answer(connection, request))
            self._answered.put(connection)
            with contextlib.suppress(BlockingIOError):  # full of wake-ups already
                os.write(self._wake, b".")

    def _answer(self, connection: Connection, request: Any) -> bytes:
        """Return the application's whole response; of one that fails halfway nothing has left."""
        outgoing = Outgoing()
        try:
            response, environ = wsgi.create(
                request, outgoing, connection.peer, connection.server, self._cfg, answers.Response
            )
            environ["wsgi.multithread"] = True
            parts = self._application(environ, response.start_response)
            if self._closing():
                response.force_close()
            try:
                for part in parts:
                    response.write(part)
                response.close()
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is answered, as a failure
            where = "".join(traceback.format_tb(error.__traceback__))  # without its text, which may hold what was sent
            self._log.error("the application failed with %s:\n%s", type(error).__name__, where)
            connection.keep = False
            return answers.closing(answers.FAILED)
        connection.keep = not response.should_close()
        return b"".join(outgoing.parts)


def read_up(descriptor: int) -> None:
    """Empty a pipe that only wakes."""
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4096)
