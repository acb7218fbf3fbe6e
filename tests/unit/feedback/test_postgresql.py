"""A server keeps what a file keeps, and the report reads it from there."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.postgres import postgres
from tests.unit.feedback.cards import GIVEN, SERVICE, answer, issued

from screening.feedback.pruning import prune
from screening.feedback.report import make_report
from screening.feedback.store import FeedbackStore


def test_postgresql_keeps_the_same() -> None:
    with postgres() as server:
        url = f"postgresql+psycopg://postgres:{server.password}@127.0.0.1:{server.port}/postgres"
        with ThreadPoolExecutor(4) as threads:  # they race for the tables and for the same rows
            stores = [FeedbackStore(url) for _ in range(4)]
            entries = [answer(1, "accepted"), answer(2, comment="é\u2028"), answer(3)]
            added = list(threads.map(lambda one: one.add(SERVICE, entries, GIVEN), stores))
        stores[0].remember(issued(1))
        stores[0].remember(issued(2))
        for one in stores:
            one.close()
        assert sum(one.stored for one in added) == 3
        found = make_report(url, comments=True)
        stores[1].remember(issued(4))
        stores[1].close()
        assert prune(url, GIVEN + timedelta(days=1)) == (1, 2)
        assert (make_report(url).pruned, make_report(url).total.issued) == (1, 2)
        assert server.password not in stores[0].name
        with stores[0]._database._engine_made().connect() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            stored = connection.exec_driver_sql("SELECT probability, issued_at FROM cds_issued LIMIT 1").one()
        stores[0].close()
    assert tuple(stored) == (0.1 + 0.2, GIVEN)
    assert (found.total.issued, found.total.answered, found.unknown) == (2, 2, {"overridden": 1})
    assert [comment.text for comment in found.comments or ()] == ["é\u2028"]
