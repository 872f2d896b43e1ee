"""The retry policy: fail at once, wait as the server named, or read back and continue."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_voice_agents.airflow_compat import RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_voice_agents.transport.errors import VoiceAgentsError

REASON_LIMIT = 500
"""Characters that Airflow keeps of a reason."""

DELAY_LIMIT = timedelta(days=1)
"""The longest wait that a server may impose on a task."""


class VoiceAgentsRetryPolicy(RetryPolicy):
    """Decide by the error itself; the default policy of every operator.

    * An error that no retry can mend (bad input, a refused key, an unknown id, a guard) fails at once.
    * An error that came with a waiting time is retried after that time, at most a day.
    * A write whose outcome is unknown is retried: operators read the state back before they write.
    * Everything else follows the task's ``retries`` and ``retry_delay``.

    An error counts also when it is the declared cause (``raise ... from error``) of the one that ended
    the task. The number of tries stays the task's: no policy can extend it.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide whether and when the task is tried again.

        :param exception: what ended the task.
        :param try_number: number of the try that failed, from 1.
        :param max_tries: tries that the task may have in all.
        :param context: the task's context; not used.
        """
        from airflow_voice_agents.transport.errors import OutcomeUnknown, VoiceAgentsError

        errors = [error for error in _causes(exception) if isinstance(error, VoiceAgentsError)]
        if not errors:
            return RetryDecision.default()
        if errors[0].permanent:
            return RetryDecision.fail(_reason("No retry can mend this", errors[0]))
        for error in errors:
            if (delay := _delay(error.retry_after)) is not None:
                return RetryDecision.retry(delay, _reason("The server named the time to wait", error))
        if unknown := next((error for error in errors if isinstance(error, OutcomeUnknown)), None):
            return RetryDecision.retry(reason=_reason("The next try reads the state back first", unknown))
        return RetryDecision.default()


def _causes(exception: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    error: BaseException | None = exception
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _delay(seconds: float | None) -> timedelta | None:
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    return timedelta(seconds=min(seconds, DELAY_LIMIT.total_seconds()))


def _reason(verdict: str, error: VoiceAgentsError) -> str:
    text = f"{verdict}: {error}"
    return text if len(text) <= REASON_LIMIT else f"{text[: REASON_LIMIT - 1]}…"
