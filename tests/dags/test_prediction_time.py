"""Which prediction time a run has."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from screening.errors import FatalError
from screening_airflow.run_operators import prediction_time

END, AFTER = datetime(2026, 3, 1, 2, tzinfo=UTC), datetime(2026, 3, 5, 12, tzinfo=UTC)


def context(kind: str, given: Any = None, end: datetime | None = END) -> Any:
    run = SimpleNamespace(run_type=kind, data_interval_end=end, run_after=AFTER)
    return {"dag_run": run, "params": {"prediction_time": given}}


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("scheduled", None, END),
        ("backfill", None, END),
        ("manual", None, AFTER),  # whatever logical date the form was given
        ("manual", "latest", None),
        ("manual", "2026-02-01T03:00:00+01:00", datetime(2026, 2, 1, 2, tzinfo=UTC)),
        ("manual", " 2026-02-01T02:00:00Z ", datetime(2026, 2, 1, 2, tzinfo=UTC)),
    ],
)
def test_the_prediction_time_of_a_run(kind: str, given: Any, expected: datetime | None) -> None:
    assert prediction_time(context(kind, given)) == expected


@pytest.mark.parametrize(
    ("kind", "given", "end", "words"),
    [
        ("backfill", "latest", END, "leave prediction_time empty"),
        ("scheduled", "2026-02-01T02:00:00Z", END, "leave prediction_time empty"),
        ("scheduled", None, None, "no data interval"),
        ("manual", "yesterday", END, "ISO time"),
        ("manual", "2026-02-01T02:00:00", END, "no zone"),
    ],
)
def test_what_is_no_prediction_time_is_refused(kind: str, given: Any, end: datetime | None, words: str) -> None:
    with pytest.raises(FatalError, match=words):
        prediction_time(context(kind, given, end))
