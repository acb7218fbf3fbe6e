"""Which errors a task is tried again after, and when: temporary or fatal is a property of the library's errors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_WAIT = timedelta(hours=1)
"""Between two tries of a task, however long the server asks for."""


class RetryAfterPolicy(ExceptionRetryPolicy):
    """The rules, and no retry before the time that the server itself asked for."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide as the rules do, and wait longer where the error says so."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        asked = getattr(exception, "retry_after", None)
        if decision.retry_delay is None or asked is None:
            return decision
        return replace(decision, retry_delay=max(decision.retry_delay, min(timedelta(seconds=asked), LONGEST_WAIT)))


RETRIES = RetryAfterPolicy(
    rules=[
        RetryRule(exception="screening.errors.FatalError", action=RetryAction.FAIL, reason="a repeat cannot help"),
        RetryRule(
            exception="screening.errors.TemporaryError",
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=30),
            reason="the server may come back",
        ),
    ]
)
