"""One EHR's keys, kept for as long as they are fresh, looked for again ahead of time, and never more often than allowed.

| what is held | a token's key that is in it | one that is not |
|---|---|---|
| a fresh set | is used | 401, after a look at the source unless the last one was a moment ago |
| a set no longer fresh, for its source is down | is used for `KEPT` seconds more, then 503 | 503: it may be a new one |
| nothing, for the source is down | | 503 |
"""

import logging
import threading
from collections.abc import Callable

from cds_hooks.bearer.key_set import KeySet, KeySetError, PublicKey
from cds_hooks.bearer.key_sources import FETCH_SECONDS
from cds_hooks.bearer.rejections import CannotVerify, Unauthorized
from cds_hooks.waiting import will_wait

logger = logging.getLogger(__name__)

KEPT = 3600.0
"""Seconds for which keys serve after they ceased to be fresh, while their source is down."""
AHEAD = 0.8
"""The part of its fresh time after which a set is looked for again, so that no call has to wait for it."""

_LOST = 30.0  # seconds after which a look at the source that has not ended is given up


class Keys:
    """The keys of one EHR; asked by several threads at once.

    Parameters
    ----------
    name
        The EHR, for the log.
    source
        Reads the keys anew, or raises KeySetError.
    clock
        Gives Unix time in seconds.
    pause
        Seconds between two looks at the source, whoever asks for which key.
    aside
        Whether the source is looked at in a thread of its own: where it is far away.
    """

    def __init__(
        self, name: str, source: Callable[[], KeySet], clock: Callable[[], float], *, pause: float, aside: bool
    ) -> None:
        self._name, self._source, self._clock = name, source, clock
        self._pause, self._aside = pause, aside
        self._changed = threading.Condition()
        self._held: KeySet | None = None
        self._since = 0.0  # when the look began that brought what is held
        self._looked: float | None = None
        self._failed = False
        self._look: object | None = None  # the look that is under way

    def find(self, kid: str, alg: str) -> PublicKey:
        """Give the key of this name for this algorithm.

        Raises
        ------
        Unauthorized
            The EHR has no such key.
        CannotVerify
            That cannot be found out: the source is down, and what it said last is too old.
        """
        wanted = (kid, alg)
        with self._changed:
            now = self._clock()
            if self._due(wanted, now):
                self._begin(now)
            if self._look is not None and self._in_need(wanted, now):
                will_wait()
                self._changed.wait_for(lambda: self._look is None, FETCH_SECONDS)
            held = self._held
            if held is not None and wanted in held.keys and self._younger(held.fresh + KEPT, now):
                return held.keys[wanted]
            if held is not None and self._younger(held.fresh, now):
                raise Unauthorized("no such key")
        raise CannotVerify("the EHR's keys cannot be had")

    def warm(self) -> None:
        """Begin to look for the keys if that was not done yet, and do not wait for them."""
        with self._changed:
            if self._looked is None:
                self._begin(self._clock())

    def _younger(self, seconds: float, now: float) -> bool:
        return _within(now, self._since, seconds)

    def _due(self, wanted: tuple[str, str], now: float) -> bool:
        """Tell whether the source is to be looked at, and may be."""
        if self._looked is not None and _within(now, self._looked, _LOST if self._look else self._pause):
            return False
        held = self._held
        return held is None or wanted not in held.keys or not self._younger(AHEAD * held.fresh, now)

    def _in_need(self, wanted: tuple[str, str], now: float) -> bool:
        """Tell whether what is held does not do without the look that is under way."""
        held = self._held
        if held is None or wanted not in held.keys or not self._younger(held.fresh + KEPT, now):
            return True
        return not self._failed and not self._younger(held.fresh, now)

    def _begin(self, now: float) -> None:
        look = self._look = object()
        self._looked = now
        if self._aside:
            threading.Thread(target=self._go, args=(look, now), name="keys", daemon=True).start()
        else:
            self._go(look, now)

    def _go(self, look: object, now: float) -> None:
        read: KeySet | None = None
        try:
            read = self._source()
        except KeySetError as error:
            logger.error("keys of %s: %s", self._name, error)  # noqa: TRY400 - the words are ours; a trace adds nothing
        finally:
            self._end(look, read, now)

    def _end(self, look: object, read: KeySet | None, now: float) -> None:
        with self._changed:
            if self._look is not look:  # given up in the meantime
                return
            self._look, self._failed = None, read is None
            if read is not None:
                if self._held is None or read.keys.keys() != self._held.keys.keys():
                    logger.info(
                        "keys of %s: %d; %s",
                        self._name,
                        len(set(map(id, read.keys.values()))),
                        "; ".join(read.left_out) or "all used",
                    )
                self._held, self._since = read, now
            self._changed.notify_all()


def _within(now: float, since: float, seconds: float) -> bool:
    """Tell whether less than this time has passed; a clock that was set back has passed all of it."""
    return 0 <= now - since < seconds
