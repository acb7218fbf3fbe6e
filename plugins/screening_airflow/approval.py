"""The question to a person whether a model is published, and what the answer means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from screening.errors import FatalError
from screening_airflow import run_files

if TYPE_CHECKING:
    from airflow.sdk import Context

ASKED = "asked.md"
"""File in the run's reports with what a person was asked."""


class ApproveModelOperator(ApprovalOperator):
    """
    Wait for a person where the run asks for one; skip what follows where the gate refused or the person rejects.

    Airflow keeps the first question of a run: where the gate is cleared afterwards, a person would be shown the old figures
    and approve another model. So what was asked is kept among the reports, and another question is refused.
    """

    def __init__(self, **kwargs: Any) -> None:
        gate = "ti.xcom_pull(task_ids='gate')"
        super().__init__(
            subject="Publish the new model?",
            body=f"{{{{ {gate}['brief'] }}}}\nThe whole report, with its pictures: `{{{{ {gate}['report'] }}}}`",
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Return at once where no approval is asked for."""
        verdict = context["ti"].xcom_pull(task_ids="gate")
        if not verdict["accepted"]:
            raise AirflowSkipException(
                f"the gate refused the model; nothing is published, and {verdict['report']} has the figures:\n"
                + "\n".join(verdict["reasons"])
            )
        if not context["params"]["approval"]:
            self.log.info("no approval was asked for")
            return None
        asked = run_files.reports(self.dag_id, context["run_id"]) / ASKED
        if asked.exists() and asked.read_text(encoding="utf-8") != self.body:
            raise AirflowFailException(
                "this run asked about an earlier verdict of the gate, and Airflow would show that one again: start a new run"
            )
        run_files.write_text(asked, str(self.body))
        return super().execute(context)


def refuse_unapproved(answer: Mapping[str, Any] | None, *, wanted: bool) -> None:
    """
    Refuse to publish where an approval is wanted and there is none: rejected, or the task was marked a success by hand.

    :raises FatalError: as said.
    """
    if wanted and (not answer or answer["chosen_options"] != [ApproveModelOperator.APPROVE]):
        raise FatalError(
            "this run wants an approval and has none: nothing is published; start a new run to be asked again"
        )


def approver(answer: Mapping[str, Any] | None) -> str | None:
    """Return the name of whoever approved, or None where nobody was asked."""
    if not answer:
        return None
    user = answer["responded_by_user"] or {}
    return str(user.get("name") or user.get("id") or "unknown")
