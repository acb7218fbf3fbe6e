"""Send a batch, and remember what this server does not take in batches."""

import logging
import threading
from collections.abc import Sequence
from typing import TypeVar

import orjson

from screening.fhir_client.bundles import replies_of_batch
from screening.fhir_client.exchange import FHIR_JSON, Fault, Reply, Request, Resource
from screening.fhir_client.transport import Transport

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The size or the work was too much, or one entry broke it: each entry on its own may do. 413 and TOO_LARGE are final
# as answers go, the others come after all retries.
_BROKEN_STATUS = frozenset({413, 500, 504})
_BROKEN_FAULTS = frozenset({Fault.TIMEOUT, Fault.DROPPED, Fault.TRUNCATED, Fault.TOO_LARGE})


class Batches:
    """Batches to one server; what was refused once is not tried again in this client's life.

    Parameters
    ----------
    entries
        Entries of one batch at most; 1 means no batches.
    """

    def __init__(self, transport: Transport, entries: int) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._stopped: set[str] = set()
        self.entries = entries

    def takes(self, what: str) -> bool:
        """Tell whether batches of this sort ("reads", "searches", "creates") are still worth trying."""
        return self.entries > 1 and what not in self._stopped

    def chunks(self, items: Sequence[T]) -> list[Sequence[T]]:
        """Cut into pieces of a batch's size, in order."""
        return [items[start : start + self.entries] for start in range(0, len(items), self.entries)]

    def stop(self, what: str, why: str) -> None:
        """Remember that this server does not take this sort in batches."""
        with self._lock:
            new = what not in self._stopped
            self._stopped.add(what)
        if new:
            logger.warning("%s; %s go one by one from now on", why, what)

    def send(self, what: str, bundle: Resource) -> list[Reply | None]:
        """Send a batch whose entries may be repeated without harm.

        Returns
        -------
        list
            One reply an entry; None for each that is to be asked on its own.

        Raises
        ------
        FhirTemporaryError
            The server is away or throttles: asking singly would not help.
        FhirFatalError
            The server does not know us.
        """
        count = len(bundle["entry"])
        alone: list[Reply | None] = [None] * count
        if count < 2 or not self.takes(what):
            return alone
        headers = {"Content-Type": FHIR_JSON, "Prefer": "return=representation"}
        request = Request(
            "POST",
            self._transport.address.base,
            orjson.dumps(bundle),
            headers,
            repeatable=True,
            label=f"batch of {count}",
        )
        reply = self._transport.send(request)
        if reply.ok:
            replies = replies_of_batch(reply, count)
            if replies is not None:
                return list(replies)
            self.stop(what, f"{request.name}: the answer is no batch-response of as many entries")
        elif reply.status in _BROKEN_STATUS or reply.fault in _BROKEN_FAULTS:
            logger.warning("%s: %s; its entries go one by one", request.name, reply.summary)
        elif reply.temporary or reply.for_all:
            raise self._transport.error(request, reply)
        else:
            self.stop(what, f"{request.name}: {reply.summary}")
        return alone
