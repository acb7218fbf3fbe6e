"""The sidecar within another ASGI server, Airflow's API server: made at its first call, a request handed over as a whole.

Nothing heavy is imported before that call, for whoever loads the plugin loads this module. Airflow's login does not stand
before it: an EHR has none, so the sidecar's own check of tokens is all there is.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cds_hooks.refusals import Refusal, operation_outcome
from cds_hooks.settings import Settings, SettingsError, from_environment
from screening.errors import ScreeningError

PREFIX = "/cds"
REQUEST_SECONDS = 10.0
"""For a body to arrive."""
THREADS = 8
"""Calls that are answered at a time."""

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """The sidecar as an ASGI application, and the bytes of the longest body that it takes."""

    app: App
    max_body: int


def make() -> Made:
    """Make the sidecar by the `CDS_…` variables.

    Raises
    ------
    ScreeningError
        A setting or a model is unfit.
    """
    settings = mounted_settings(from_environment())
    from a2wsgi import WSGIMiddleware

    from cds_hooks.app import create_app

    application: Any = create_app(settings)
    app: Any = WSGIMiddleware(application, workers=THREADS)
    return Made(app, settings.max_body_bytes)


def mounted_settings(settings: Settings) -> Settings:
    """Return the settings where they fit a server of which `bind` says nothing.

    Raises
    ------
    SettingsError
        Its public address is not said, or it would answer whoever reaches that server.
    """
    if not settings.base_url.endswith(PREFIX):
        raise SettingsError(f"CDS_BASE_URL must be the API server's public address followed by {PREFIX}")
    if settings.auth == "off" and not settings.allow_public_without_auth:
        raise SettingsError(
            "CDS_AUTH=off within Airflow's API server, whose login does not guard it: set CDS_AUTH=required, or say "
            "CDS_ALLOW_PUBLIC_WITHOUT_AUTH=true where the network itself keeps strangers out"
        )
    return settings


class Mounted:
    """An ASGI application that makes the sidecar when it is first called.

    One that cannot be made answers 503 and is tried again at the next call: it must not keep Airflow from starting.
    """

    def __init__(self, make: Callable[[], Made] = make) -> None:
        self._make = make
        self._made: Made | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        try:
            made = await self._ready()
            body = await _whole_body(scope, receive, made.max_body)
        except Refusal as refusal:
            await _answer(refusal, send)
            return
        await made.app(*_whole_request(scope, body, receive), send)

    async def _ready(self) -> Made:
        async with self._making:
            if self._made is None:
                try:
                    self._made = await asyncio.to_thread(self._make)
                except ScreeningError as error:
                    log.critical("the sidecar cannot be served: %s", error)
                    raise Refusal(503, "This service is not set up; its server's log tells why.") from error
            return self._made


async def _whole_body(scope: Message, receive: Receive, limit: int) -> bytes | None:
    """Return the body, which a thread must not wait for; None for one that is too long, of which no more is read."""
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > limit:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False) and message["type"] == "http.request"
                if len(body) > limit:
                    return None
    except TimeoutError:
        raise Refusal(408, "The request did not arrive as a whole in time.") from None
    return bytes(body)


def _whole_request(scope: Message, body: bytes | None, receive: Receive) -> tuple[Message, Receive]:
    """Return the request with its body at hand; one too long comes without, and is refused by its Content-Length."""
    headers = [
        (name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")
    ]
    length = 2**62 if body is None else len(body)
    if length or any(name == b"content-length" for name, _ in scope["headers"]):
        headers.append((b"content-length", str(length).encode()))
    rest = [{"type": "http.request", "body": body or b"", "more_body": False}]

    async def at_hand() -> Message:
        return rest.pop() if rest else await receive()

    return {**scope, "headers": headers}, at_hand


async def _answer(refusal: Refusal, send: Send) -> None:
    body = json.dumps(operation_outcome(refusal.status, refusal.text, refusal.diagnostics)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
