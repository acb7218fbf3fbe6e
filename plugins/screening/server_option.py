"""Which FHIR server a command writes to: a URL that is open to us, or a connection with its secrets, from a file or stdin.

A secret never stands in the command itself: every user of the machine can read that.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from screening.errors import FatalError

if TYPE_CHECKING:
    from screening.fhir_client.client import FhirClient

_CONNECTION = (
    "instead: a file with the server's connection as JSON (docs/connection.md), - for standard input; for servers that "
    "ask for credentials"
)


def add_server(command: ArgumentParser, option: str, text: str, *, required: bool) -> None:
    """Add the option that names the server by its URL, and those that go with it.

    Parameters
    ----------
    option
        Such as `--url`.
    text
        Its help.
    required
        Whether a server must be named, by whichever of the two options.
    """
    either = command.add_mutually_exclusive_group(required=required)
    either.add_argument(option, dest="server_url", metavar="URL", help=text)
    either.add_argument("--connection", metavar="FILE", help=_CONNECTION)
    command.add_argument("--allow-http", action="store_true", help="permit http to another host than this one")


def client_of(chosen: Namespace) -> FhirClient | None:
    """Return a client of the server that was chosen, to be closed; None where none was. Nothing is asked yet.

    Raises
    ------
    FatalError
        The URL or the connection cannot be meant, or the file not be read. No value of it is repeated.
    """
    from screening.fhir_client.client import FhirClient
    from screening.fhir_client.connection import FhirConnection
    from screening.fhir_client.settings import ClientSettings

    if chosen.server_url is not None:
        return FhirClient(ClientSettings(base_url=chosen.server_url, allow_http=chosen.allow_http))
    if chosen.allow_http:
        raise FatalError("--allow-http goes with a URL; a --connection has an extra allow_http of its own")
    if chosen.connection is None:
        return None
    connection = FhirConnection.from_json(_text(chosen.connection), "--connection")
    return FhirClient(connection.client_settings(), connection.auth())


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise FatalError(f"--connection: {file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise FatalError("--connection: cannot be read as UTF-8 text") from None
