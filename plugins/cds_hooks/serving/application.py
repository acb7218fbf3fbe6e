"""Asks the application: a whole request in, a whole response out."""

import traceback
from collections.abc import Callable
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


class Application:
    """The WSGI application, as the loop asks it.

    Parameters
    ----------
    wsgi_application
        The application itself.
    cfg, log
        gunicorn's configuration and log.
    closing
        Tells whether connections end with their present answer.
    """

    def __init__(self, wsgi_application: Any, cfg: Any, log: Any, closing: Callable[[], bool]) -> None:
        self._application, self._cfg, self._log, self._closing = wsgi_application, cfg, log, closing

    def answer(self, connection: Connection, request: Any) -> bytes:
        """Return the application's whole response; of one that fails halfway nothing has left.

        Sets `connection.keep`.
        """
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
