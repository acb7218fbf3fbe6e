"""Threads take turns: the loop is one thread's at a time, and nobody waits for one that waits."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable

import pytest

from cds_hooks.serving import turns as module
from cds_hooks.serving.turns import Turns

Task = Callable[[Turns], None]


class Loop:
    """A loop like a worker's: rounds that do a task each, until there is none."""

    def __init__(self, threads: int, *tasks: Task) -> None:
        self.tasks = deque(tasks)
        self.log: list[str] = []
        self.inside = self.most = 0
        self.turns = Turns(threads, self.round)

    def round(self) -> bool:
        self.inside += 1
        self.most = max(self.most, self.inside)
        task = self.tasks.popleft() if self.tasks and self.turns.spare else None
        if task is None:
            time.sleep(0.001)
        self.inside -= 1
        if task is not None:
            with self.turns.lending():
                task(self.turns)
            if not self.turns.mine:
                self.turns.come_back()
        return "end" not in self.log

    def ends(self, _: Turns) -> None:
        self.log.append("end")


def run(loop: Loop) -> None:
    threads = threading.active_count()
    loop.turns.run()
    deadline = time.monotonic() + 5
    while threading.active_count() > threads:
        assert time.monotonic() < deadline, "a thread did not end"
        time.sleep(0.002)


def test_short_work_stays_within_one_turn() -> None:
    who: list[int] = []
    loop = Loop(3, *[lambda _: who.append(threading.get_ident())] * 50)
    loop.tasks.append(loop.ends)
    run(loop)
    assert len(who) == 50
    assert len(set(who)) == 1
    assert loop.most == 1


def test_who_hands_on_waits_beside_the_loop() -> None:
    gone, back = threading.Event(), threading.Event()

    def waits(turns: Turns) -> None:
        assert turns.mine
        turns.hand_on()
        assert not turns.mine
        turns.hand_on()  # twice says nothing more
        gone.set()
        assert back.wait(5)
        loop.log.append("waited")

    def goes_on(_: Turns) -> None:
        assert gone.wait(5)
        loop.log.append("went on")
        back.set()

    loop = Loop(3, waits, goes_on, lambda turns: loop.ends(turns))
    run(loop)
    assert loop.log[0] == "went on"
    assert sorted(loop.log) == ["end", "waited", "went on"]
    assert loop.most == 1


def test_who_takes_long_loses_the_turn_unasked() -> None:
    other = threading.Event()

    def hangs(turns: Turns) -> None:
        assert other.wait(5), "the loop stood still"
        loop.log.append(f"mine: {turns.mine}")

    def helps(_: Turns) -> None:
        loop.log.append("went on")
        other.set()

    loop = Loop(3, hangs, helps, lambda turns: loop.ends(turns))
    run(loop)
    assert loop.log[0] == "went on"
    assert sorted(loop.log) == ["end", "mine: False", "went on"]
    assert loop.most == 1


def test_the_last_thread_begins_nothing_that_could_take_long() -> None:
    release = threading.Event()
    begun: list[int] = []

    def waits(turns: Turns) -> None:
        begun.append(1)
        turns.hand_on()
        assert release.wait(5)

    loop = Loop(4, *[waits] * 6)
    watched = threading.Thread(target=run, args=(loop,))
    watched.start()
    deadline = time.monotonic() + 5
    while len(begun) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(0.05)
    assert len(begun) == 3  # of four threads, and the fourth goes on with the loop
    assert not loop.turns.spare
    loop.tasks.append(loop.ends)
    release.set()
    watched.join(5)
    assert len(begun) == 6
    assert loop.most == 1


@pytest.mark.parametrize("away", [False, True])
def test_what_the_work_raises_ends_all(away: bool) -> None:
    def fails(turns: Turns) -> None:
        if away:
            turns.hand_on()
        raise RuntimeError("broken")

    loop = Loop(3, fails)
    with pytest.raises(RuntimeError, match="broken"):
        run(loop)


def test_nobody_wakes_where_there_is_nothing_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    monkeypatch.setattr(Turns, "_watch", lambda self, now: looks.append(now))
    loop = Loop(2)
    watched = threading.Thread(target=run, args=(loop,))
    watched.start()
    time.sleep(10 * module.PATIENCE)
    assert looks == []
    loop.tasks.append(loop.ends)
    watched.join(5)


def test_a_signal_is_handled_while_the_threads_work() -> None:
    """As gunicorn sets it up: no system call of the main thread is interrupted, and the loop hears of the signal."""
    loop = Loop(2)
    before = signal.signal(signal.SIGTERM, lambda *_: loop.log.append("end"))
    signal.siginterrupt(signal.SIGTERM, False)

    def told() -> None:
        time.sleep(0.1)
        signal.raise_signal(signal.SIGTERM)  # in this thread, as the system may choose
        loop.turns.stir()

    teller = threading.Thread(target=told)
    teller.start()
    try:
        began = time.monotonic()
        run(loop)
        assert time.monotonic() - began < 2
    finally:
        teller.join()
        signal.signal(signal.SIGTERM, before)
