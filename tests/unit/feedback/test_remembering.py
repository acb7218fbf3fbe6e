"""Cards are written in rounds, many to a transaction, and none is left behind at the end."""

import time
from collections.abc import Callable

from tests.unit.feedback.cards import issued

from screening.feedback.entries import IssuedCard
from screening.feedback.remembering import Remembering


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_cards_that_come_while_others_are_written_wait_for_the_next_round() -> None:
    rounds: list[list[int]] = [[]]

    def write(cards: list[IssuedCard]) -> None:
        rounds[-1].append(len(cards))
        if sum(map(sum, rounds)) < 50:
            remembering.remember(issued())  # one comes for each that is written

    remembering = Remembering(write, every=0.01, notice=lambda _waiting, _lost: rounds.append([]))
    remembering.remember(issued())
    until(lambda: sum(map(sum, rounds)) >= 50)
    remembering.close()
    assert all(len(sizes) <= 1 for sizes in rounds)


def test_the_last_round_writes_what_came_during_it() -> None:
    written: list[IssuedCard] = []

    def write(cards: list[IssuedCard]) -> None:
        written.extend(cards)
        if len(written) < 5:
            remembering.remember(issued())

    remembering = Remembering(write, every=60)
    remembering.remember(issued())
    remembering.close()
    assert len(written) == 5
    assert (remembering.lost, remembering.waiting) == (0, 0)
