"""What a next link stands for: the search, and the key behind which the page begins."""

import base64
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_sandbox.query import Query
from fhir_sandbox.refusals import Refusal

_MOST = 50_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """The next page of a search.

    Attributes
    ----------
    after
        Key of the last resource already given.
    total
        `Bundle.total` of the first page, or None if that gave none.
    """

    query: Query
    after: tuple[Any, int]
    total: int | None


class Cursors:
    """The next links that were given out, by their token; they die with the process.

    A token may be used again: a client that lost a page asks for it once more.

    Parameters
    ----------
    clock
        Seconds that only go up.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._given: OrderedDict[str, tuple[float, Cursor]] = OrderedDict()

    def give(self, cursor: Cursor) -> str:
        """Keep a cursor and give its token, which is opaque and ends in `==`: clients must not take links apart."""
        token = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()
        with self._lock:
            self._given[token] = (self._clock(), cursor)
            if len(self._given) > _MOST:
                self._given.popitem(last=False)
        return token

    def find(self, token: str, resource_type: str, ttl_s: float) -> Cursor:
        """Give the cursor of a token.

        Raises
        ------
        Refusal
            410 if it is older than `ttl_s` seconds, 400 if it was never given out for this type (or was forgotten).
        """
        with self._lock:
            found = self._given.get(token)
        if found is None or found[1].query.type != resource_type:
            raise Refusal(400, "value", "the next link is not one that this server gave out")
        if self._clock() - found[0] > ttl_s:
            raise Refusal(410, "expired", "the next link has expired: repeat the search from its first page")
        return found[1]
