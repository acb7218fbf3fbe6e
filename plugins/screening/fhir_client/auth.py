"""Who we are to the server: nobody, a fixed bearer token, or a user with a password.

A scheme that fetches its tokens fits the same protocol: it adds the header, and forgets the token that was refused.
"""

import base64
import re
from collections.abc import Mapping, MutableMapping
from typing import Protocol

from screening.errors import FhirFatalError

_TOKEN = re.compile(r"[!-~]+")


class Auth(Protocol):
    """Credentials for every request; called from several threads at once."""

    def __call__(self, headers: MutableMapping[str, str]) -> None:
        """Add the credential's headers to those of a request about to be sent."""

    def invalidate(self, refused: Mapping[str, str]) -> bool:
        """Hear of a 401.

        Parameters
        ----------
        refused
            The headers of the request that the server refused, so that a token which another thread has renewed in
            the meantime is not thrown away too.

        Returns
        -------
        bool
            True where calling again gives another credential: the request is then sent once more.
        """


class NoAuth:
    """Nobody: the server is open, or a proxy in front of it does the asking."""

    def __call__(self, headers: MutableMapping[str, str]) -> None:
        """Add nothing."""

    def invalidate(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the protocol's argument
        """Have nothing else to offer."""
        return False

    def __repr__(self) -> str:
        return "NoAuth()"


class _Masked(str):
    """A header's value that no repr shows: not that of the headers it stands in, nor a debugger's of a frame's variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class _FixedHeader:
    """One `Authorization` header for the client's life; its value is in no repr."""

    def __init__(self, value: str) -> None:
        self._value = _Masked(value)

    def __call__(self, headers: MutableMapping[str, str]) -> None:
        """Add the `Authorization` header."""
        headers["Authorization"] = self._value

    def invalidate(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the protocol's argument
        """Have nothing else to offer."""
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class BearerAuth(_FixedHeader):
    """A bearer token that somebody else keeps fresh.

    Raises
    ------
    FhirFatalError
        The token is empty or has characters that no header may carry.
    """

    def __init__(self, token: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise FhirFatalError("bearer token: empty, or with spaces, line ends or non-ASCII characters")
        super().__init__(f"Bearer {token}")


class BasicAuth(_FixedHeader):
    """HTTP Basic (RFC 7617), in UTF-8.

    Raises
    ------
    FhirFatalError
        The user is empty or has a colon, which Basic cannot carry.
    """

    def __init__(self, user: str, password: str) -> None:
        if not user or ":" in user:
            raise FhirFatalError("basic authentication: the user must not be empty and must not contain a colon")
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        super().__init__(f"Basic {credentials}")
