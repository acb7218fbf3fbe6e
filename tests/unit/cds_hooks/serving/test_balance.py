"""Kept connections are shared out between the workers."""

from cds_hooks.serving.balance import Loads


def test_the_worker_with_fewer_connections_takes_the_next() -> None:
    loads = Loads()
    loads.tell(1, 0)
    assert loads.is_lightest(1)
    loads.tell(2, 0)
    taken = {1: 0, 2: 0}
    for _ in range(8):
        worker = next(one for one in taken if loads.is_lightest(one))
        taken[worker] += 1
        loads.tell(worker, taken[worker])
    assert taken == {1: 4, 2: 4}


def test_nobody_waits_for_a_worker_that_is_gone() -> None:
    loads = Loads()
    loads.tell(1, 5)
    loads.tell(2, 0)
    assert not loads.is_lightest(1)
    loads.leave(2)
    assert loads.is_lightest(1)


def test_a_worker_gives_up_connections_to_one_that_has_come_in_another_s_place() -> None:
    loads = Loads()
    loads.tell(1, 8)
    assert not loads.has_too_many(1)
    loads.tell(2, 0)
    assert loads.has_too_many(1)
    loads.tell(1, 5)
    loads.tell(2, 3)
    assert not loads.has_too_many(1)
