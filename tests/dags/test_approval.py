"""A person is asked about what passed, where the run wants it so, and never about what the gate refused."""

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

from screening_airflow.approval import ApproveModelOperator


class Task:
    """A task instance, for which the gate said this."""

    def __init__(self, *, accepted: bool) -> None:
        self.verdict = {"accepted": accepted, "brief": "passed", "reasons": ["positives: 3"], "report": "report.html"}

    def xcom_pull(self, *, task_ids: str) -> Any:
        """Return what the gate returned."""
        assert task_ids == "gate"
        return self.verdict


@pytest.mark.parametrize(
    ("accepted", "wanted", "asked"),
    [(True, True, True), (True, False, False), (False, True, None), (False, False, None)],
)
def test_who_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, accepted: bool, wanted: bool, asked: bool | None
) -> None:
    monkeypatch.setenv("SCREENING_REPORTS", str(tmp_path))
    monkeypatch.setattr(ApprovalOperator, "execute", lambda *_: "asked")
    with DAG("training_sepsis", schedule=None):
        task = ApproveModelOperator(task_id="approve")
    context: Any = {"ti": Task(accepted=accepted), "params": {"approval": wanted}, "run_id": "r"}
    if asked is None:
        with pytest.raises(AirflowSkipException, match="the gate refused the model"):
            task.execute(context)
    else:
        assert task.execute(context) == ("asked" if asked else None)


def test_the_person_reads_the_brief_and_may_only_approve_or_reject() -> None:
    task = ApproveModelOperator(task_id="approve")
    assert "xcom_pull(task_ids='gate')['brief']" in task.body
    assert "body" in task.template_fields
    assert task.options == ["Approve", "Reject"]
