"""CH-61, CH-66: how long keys are kept, when they are looked for again, and how seldom."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.cds_hooks.bearer.conftest import Clock
from tests.unit.cds_hooks.bearer.issuer import EC_KEY, RSA_KEY

from cds_hooks.bearer import CannotVerify, Unauthorized
from cds_hooks.bearer import keys as module
from cds_hooks.bearer.key_set import KeySet, KeySetError
from cds_hooks.bearer.keys import Keys

OLD = {("old", "ES384"): EC_KEY.public_key()}
NEW = {("new", "RS384"): RSA_KEY.public_key()}


class Source:
    """A source that a test turns off, changes and holds up."""

    def __init__(self) -> None:
        self.answer: KeySet | None = KeySet(OLD, fresh=100)
        self.looks = self.ended = 0
        self.open = threading.Event()
        self.open.set()

    def __call__(self) -> KeySet:
        self.looks += 1
        answer = self.answer
        self.open.wait(10)
        self.ended += 1
        if answer is None:
            raise KeySetError("down")
        return answer


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture(params=[False, True], ids=["here", "aside"])
def keys(source: Source, clock: Clock, request: pytest.FixtureRequest) -> Keys:
    return Keys("ehr", source, clock, pause=30, aside=request.param)


@pytest.fixture
def aside(source: Source, clock: Clock) -> Keys:
    return Keys("ehr", source, clock, pause=30, aside=True)


def found(keys: Keys, kid: str = "old", alg: str = "ES384") -> str:
    try:
        keys.find(kid, alg)
    except (Unauthorized, CannotVerify) as refusal:
        return str(refusal.status)
    return "key"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def idle(keys: Keys) -> bool:
    return keys._look is None


def test_ch66_a_fresh_set_is_not_looked_for_again(keys: Keys, source: Source, clock: Clock) -> None:
    for _ in range(5):
        assert keys.find("old", "ES384") == EC_KEY.public_key()
        clock.now += 15
    assert source.looks == 1


def test_ch62_a_key_is_good_for_its_own_algorithm_alone(keys: Keys) -> None:
    assert found(keys, "old", "RS384") == "401"
    assert found(keys, "old", "ES384") == "key"


def test_ch61_an_unknown_key_is_one_look_in_a_while(keys: Keys, source: Source, clock: Clock) -> None:
    source.answer = KeySet(OLD, fresh=10_000)
    found(keys)
    for _ in range(90):
        clock.now += 1
        assert found(keys, "new", "RS384") == "401"
    assert source.looks == 1 + 3
    source.answer = KeySet(NEW, fresh=10_000)
    clock.now += 30
    assert (found(keys, "new", "RS384"), found(keys)) == ("key", "401")


def test_ch66_a_set_is_looked_for_ahead_of_its_end_and_no_call_waits(aside: Keys, source: Source, clock: Clock) -> None:
    found(aside)
    source.open.clear()
    clock.now += 79
    assert found(aside) == "key"
    assert source.looks == 1
    clock.now += 1
    source.answer = KeySet({**OLD, **NEW}, fresh=100)
    for _ in range(5):
        assert found(aside) == "key"
    until(lambda: source.looks == 2)
    source.open.set()
    until(lambda: idle(aside))
    clock.now += 79
    assert found(aside, "new", "RS384") == "key"
    assert source.looks == 2


def test_ch66_a_removed_key_is_refused_as_soon_as_the_set_is_not_fresh(
    keys: Keys, source: Source, clock: Clock
) -> None:
    found(keys)
    source.answer = KeySet(NEW, fresh=100)
    clock.now += 100
    assert found(keys) == "401"


def test_ch66_keys_of_a_source_that_is_down_serve_for_an_hour(
    keys: Keys, source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    found(keys)
    source.answer = None
    clock.now += 100
    assert found(keys) == "key"
    until(lambda: idle(keys))
    assert found(keys, "new", "RS384") == "503"
    assert source.looks == 2
    clock.now += 3599
    assert found(keys) == "key"
    until(lambda: idle(keys))
    clock.now += 1
    assert found(keys) == "503"
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == ["keys of ehr: down"] * 2
    source.answer = KeySet(OLD, fresh=100)
    clock.now += 30
    assert found(keys) == "key"


def test_ch66_no_call_waits_for_a_source_that_is_known_to_be_down(aside: Keys, source: Source, clock: Clock) -> None:
    found(aside)
    source.answer = None
    clock.now += 100
    found(aside)
    until(lambda: idle(aside))
    source.open.clear()
    clock.now += 30
    began = time.monotonic()
    assert found(aside) == "key"
    assert time.monotonic() - began < 1
    until(lambda: source.looks == 3)
    source.open.set()


def test_ch66_a_source_that_was_never_reached(keys: Keys, source: Source, clock: Clock) -> None:
    source.answer = None
    for _ in range(29):
        assert found(keys) == "503"
        clock.now += 1
    assert source.looks == 1


def test_ch66_calls_that_come_together_look_once(aside: Keys, source: Source) -> None:
    source.open.clear()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(found, aside) for _ in range(8)]
        until(lambda: source.looks == 1)
        source.open.set()
    assert [call.result() for call in calls] == ["key"] * 8
    assert source.looks == 1


def test_ch66_one_look_at_a_time_however_short_the_pause(
    source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.05)
    keys = Keys("ehr", source, clock, pause=5, aside=True)
    source.open.clear()
    for _ in range(3):
        assert found(keys) == "503"
        clock.now += 9
    assert source.looks == 1
    source.open.set()
    until(lambda: idle(keys))


def test_ch66_a_look_that_does_not_end_is_given_up(
    aside: Keys, source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.05)
    source.open.clear()
    assert found(aside) == "503"
    clock.now += 29
    assert found(aside) == "503"
    assert source.looks == 1
    clock.now += 1
    source.answer = KeySet(NEW, fresh=100)
    assert found(aside, "new", "RS384") == "503"
    until(lambda: source.looks == 2)
    monkeypatch.setattr(module, "FETCH_SECONDS", 5)
    source.open.set()
    assert found(aside, "new", "RS384") == "key"  # what the first look brings so late no longer counts
    until(lambda: source.ended == 2)
    assert found(aside, "new", "RS384") == "key"


def test_ch66_a_clock_that_is_set_back_makes_no_set_last(keys: Keys, source: Source, clock: Clock) -> None:
    found(keys)
    source.answer = KeySet(NEW, fresh=100)
    clock.now -= 86_400
    assert found(keys) == "401"
    assert source.looks == 2


def test_a_defect_of_the_source_leaves_nobody_waiting(source: Source, clock: Clock) -> None:
    def broken() -> KeySet:
        raise ZeroDivisionError

    keys = Keys("ehr", broken, clock, pause=30, aside=False)
    with pytest.raises(ZeroDivisionError):
        keys.find("old", "ES384")
    assert found(keys) == "503"


def test_what_was_left_out_is_told_when_the_keys_change(
    keys: Keys, source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source.answer = KeySet(OLD, ("key a: not for signatures",), 100)
    found(keys)
    clock.now += 100
    found(keys)
    source.answer = KeySet(NEW, (), 100)
    clock.now += 100
    found(keys)
    assert caplog.messages == ["keys of ehr: 1; key a: not for signatures", "keys of ehr: 1; all used"]
