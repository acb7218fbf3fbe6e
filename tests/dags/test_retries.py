"""Which errors Airflow tries again, and after how long."""

from datetime import timedelta

import pytest
from tests.dags.conftest import ROOT

from screening.errors import FhirFatalError, FhirTemporaryError, ModelError, TemporaryError


@pytest.mark.parametrize(
    ("error", "action", "seconds"),
    [
        (ModelError("changed"), "fail", None),
        (FhirFatalError("refused", status=403), "fail", None),
        (TemporaryError("down"), "retry", 30),
        (FhirTemporaryError("busy", status=503), "retry", 30),
        (FhirTemporaryError("busy", status=429, retry_after=5), "retry", 30),
        (FhirTemporaryError("busy", status=429, retry_after=120), "retry", 120),
        (FhirTemporaryError("busy", status=503, retry_after=1e9), "retry", 3600),
        (KeyError("a defect of ours"), "default", None),
    ],
)
def test_what_a_task_does_after_an_error(error: Exception, action: str, seconds: float | None) -> None:
    """A server that asks for two minutes and is asked twice in one is a server whose patients all fail."""
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(str(ROOT / "dags")).dags["screening_sepsis"]
    for task_id in ("cohort", "batch.fetch", "batch.write"):
        decision = dag.get_task(task_id).retry_policy.evaluate(error, 1, 2)
        assert decision.action.value == action
        assert decision.retry_delay == (None if seconds is None else timedelta(seconds=seconds))
