import threading

import pytest

from screening.errors import FhirFatalError, FhirTemporaryError
from screening.fhir_client.workers import Breaker, Workers


def test_results_keep_the_items_order_though_the_last_ends_first() -> None:
    workers = Workers(2)
    second_done = threading.Event()

    def task(item: int) -> int:
        if item == 0:
            assert second_done.wait(5)
        else:
            second_done.set()
        return item * 10

    assert workers.each(task, [0, 1]) == [0, 10]
    assert workers.each(task, []) == []
    workers.close()


def test_a_single_item_needs_no_thread() -> None:
    workers = Workers(2)
    assert workers.each(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]
    workers.close()


def test_an_exception_ends_the_call_and_what_has_not_begun_is_not_begun() -> None:
    workers = Workers(1)
    begun: list[int] = []

    def task(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise FhirFatalError("no")

    with pytest.raises(FhirFatalError, match="no"):
        workers.each(task, range(1000))
    assert len(begun) < 1000
    assert workers.each(lambda item: item, [1, 2]) == [1, 2]
    workers.close()


def test_an_interrupt_keeps_what_has_not_begun_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(1)
    hold, begun = threading.Event(), []

    def task(item: int) -> None:
        begun.append(item)
        hold.wait(5)

    def interrupted(futures: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("screening.fhir_client.workers.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.each(task, range(100))
    hold.set()
    workers.close()
    assert len(begun) <= 1


def test_ten_temporary_errors_in_a_row_break_the_call() -> None:
    breaker, busy = Breaker(), FhirTemporaryError("busy")
    for _ in range(9):
        breaker.note(busy)
    with pytest.raises(FhirTemporaryError, match="busy"):
        breaker.note(busy)


@pytest.mark.parametrize("other", [None, FhirFatalError("no")])
def test_any_other_end_starts_the_count_anew(other: FhirFatalError | None) -> None:
    breaker, busy = Breaker(), FhirTemporaryError("busy")
    for _ in range(5):
        for _ in range(9):
            breaker.note(busy)
        breaker.note(other)
