"""A process that keeps feedback: `adding.py URL FIRST COUNT [die]` prints each card's number once it is acknowledged."""

import os
import signal
import sys

from tests.unit.feedback.cards import GIVEN, SERVICE, answer

from screening.feedback.store import FeedbackStore

url, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = FeedbackStore(url, wait_seconds=30)
for number in range(first, first + count):
    store.add(SERVICE, [answer(number)], GIVEN)
    os.write(1, f"{number}\n".encode())
if sys.argv[4:] == ["die"]:
    os.kill(os.getpid(), signal.SIGKILL)
