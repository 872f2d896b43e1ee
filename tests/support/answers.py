"""People's answers to a task that waits for them, in the in-memory Airflow."""

from __future__ import annotations

import datetime as dt
from typing import Any

from airflow.sdk.execution_time import comms

from support.airflow_runner import AirflowRunner, Outcome, _through_json
from support.airflow_versions import NATIVE, message, read_kwargs, stored_kwargs

WAITING = "awaiting_input" if NATIVE else "deferred"
"""State of a task that waits for an answer."""

EVENT = {
    "params_input": {},
    "responded_by_user": {"id": "7", "name": "Mara"},
    "responded_at": dt.datetime(2026, 12, 1, tzinfo=dt.UTC),
    "timedout": False,
}
TIMED_OUT = {"error": "The response timeout has passed without a response.", "error_type": "timeout"}


def question(outcome: Outcome) -> comms.CreateHITLDetailPayload:
    """Return what a task asks."""
    (asked,) = questions(outcome)
    return asked


def questions(outcome: Outcome) -> list[comms.CreateHITLDetailPayload]:
    """Return everything that a task asks."""
    return [message for message in outcome.sent if isinstance(message, comms.CreateHITLDetailPayload)]


def patience(outcome: Outcome) -> dt.timedelta:
    """Return how long a task waits for an answer, as far as whole hours tell."""
    if NATIVE:
        return dt.timedelta(hours=round(outcome.report.timeout / dt.timedelta(hours=1)))
    assert outcome.deferred is not None
    until = read_kwargs(outcome.deferred.trigger_kwargs)["timeout_datetime"]
    return dt.timedelta(hours=round((until - dt.datetime.now(dt.UTC)) / dt.timedelta(hours=1)))


def answer(runner: AirflowRunner, task: Any, outcome: Outcome, option: str) -> Outcome:
    """Let a waiting task go on with an answer, as Airflow hands it on."""
    return go_on(runner, task, outcome, {**EVENT, "chosen_options": [option]})


def go_on(runner: AirflowRunner, task: Any, outcome: Outcome, event: dict[str, Any]) -> Outcome:
    """Let a waiting task go on with any event."""
    parked = outcome.report
    kind = message("AwaitInputTask") if NATIVE else comms.DeferTask
    assert isinstance(parked, kind), f"the task does not wait, it ended {outcome.state}"
    kwargs = _through_json(stored_kwargs({**read_kwargs(parked.next_kwargs), "event": event}))
    return runner._attempt(task, 1, -1, next_method=parked.next_method, next_kwargs=kwargs)
