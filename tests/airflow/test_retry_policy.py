"""The shipped retry policy, seen from the task runner: how a task ends, when it is tried again, and why."""

from __future__ import annotations

import math
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_voice_agents.bases.retry_policy import (
    DELAY_LIMIT,
    REASON_LIMIT,
    PolicyRetries,
    VoiceAgentsRetryPolicy,
)
from airflow_voice_agents.transport.errors import (
    Conflict,
    ConnectionSettingsError,
    DeadlineExceeded,
    Forbidden,
    GuardRefused,
    InputError,
    ItemsFailed,
    ItemsFailedPermanently,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    StateMoved,
    Unauthorized,
)
from support.airflow_runner import AirflowRunner, Outcome
from support.airflow_versions import NATIVE, AirflowException

asked_by_airflow = pytest.mark.skipif(not NATIVE, reason="Airflow asks no retry policy before 3.3")


class Raise(PolicyRetries, BaseOperator):
    def __init__(self, *, error: BaseException, cause: BaseException | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error
        self.cause = cause

    def execute(self, context: Any) -> None:
        if self.cause is None:
            raise self.error
        raise self.error from self.cause


def outcome_of(error: BaseException, cause: BaseException | None = None, retries: int = 3) -> Outcome:
    policy = VoiceAgentsRetryPolicy()
    task = Raise(task_id="raise", error=error, cause=cause, retries=retries, retry_policy=policy)
    return AirflowRunner().run(task)


@pytest.mark.parametrize(
    "error",
    [
        InputError("batch holds +44 twice"),
        ConnectionSettingsError("connection 'polyai_default': region is missing"),
        GuardRefused("live needs confirm_live=True"),
        StateMoved("opening_hours moved"),
        ItemsFailedPermanently("2 of 3 failed"),
        Unauthorized("refused", status=401),
        Forbidden("refused", status=403),
        NotFound("no such agent", status=404),
        Conflict("imported elsewhere", status=409),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_retry_can_mend_fails_on_the_first_try_and_says_why(error: Exception) -> None:
    outcome = outcome_of(error)

    assert outcome.state == "failed"
    assert f"No retry can mend this: {error}" in outcome.log


@asked_by_airflow
def test_a_rate_limit_is_retried_after_the_time_that_the_server_named() -> None:
    outcome = outcome_of(RateLimited("too many requests", status=429, retry_after=17.5))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", 17.5)
    assert "too many requests" in str(outcome.retry_reason)


@asked_by_airflow
def test_any_error_with_a_waiting_time_is_retried_after_it() -> None:
    outcome = outcome_of(ServerError("overloaded", status=503, retry_after=9))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", 9)


def test_a_rate_limit_without_a_time_waits_as_the_task_is_told() -> None:
    outcome = outcome_of(RateLimited("too many requests", status=429))

    assert (outcome.state, outcome.retry_delay, outcome.retry_reason) == ("up_for_retry", None, None)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_a_senseless_waiting_time_is_ignored(seconds: float) -> None:
    outcome = outcome_of(RateLimited("too many requests", retry_after=seconds))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", None)
    assert "evaluation failed" not in outcome.log


@asked_by_airflow
def test_a_waiting_time_is_capped_at_a_day() -> None:
    outcome = outcome_of(RateLimited("too many requests", retry_after=1e300))

    assert outcome.retry_delay == DELAY_LIMIT.total_seconds()


@asked_by_airflow
def test_an_unknown_outcome_is_retried_and_the_reason_says_that_state_is_read_back() -> None:
    outcome = outcome_of(OutcomeUnknown("time-out after sending", operation="import phone numbers"))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", None)
    assert "reads the state back first" in str(outcome.retry_reason)
    assert "import phone numbers" in str(outcome.retry_reason)


@pytest.mark.parametrize(
    "error", [ItemsFailed("1 of 3 failed"), ServerError("failed"), DeadlineExceeded("30 s passed")]
)
def test_what_a_retry_may_mend_follows_the_tasks_own_settings(error: Exception) -> None:
    outcome = outcome_of(error)

    assert (outcome.state, outcome.retry_delay, outcome.retry_reason) == ("up_for_retry", None, None)


@pytest.mark.parametrize("error", [ValueError("a bug"), AirflowException("something else"), SystemExit(1)])
def test_foreign_errors_are_left_to_airflow(error: BaseException) -> None:
    assert outcome_of(error).state == "up_for_retry"
    assert outcome_of(error, retries=0).state == "failed"


def test_the_policy_cannot_extend_the_number_of_tries() -> None:
    assert outcome_of(RateLimited("too many requests", retry_after=1), retries=0).state == "failed"


def test_a_permanent_cause_behind_an_airflow_exception_fails_at_once() -> None:
    outcome = outcome_of(AirflowException("the sensor gave up"), cause=Unauthorized("refused"))

    assert outcome.state == "failed"
    assert "No retry can mend this" in outcome.log


@asked_by_airflow
def test_a_waiting_time_is_found_behind_a_report_of_failed_items() -> None:
    outcome = outcome_of(ItemsFailed("1 of 3 failed"), cause=RateLimited("slow down", retry_after=4))

    assert (outcome.state, outcome.retry_delay) == ("up_for_retry", 4)


def test_the_outer_error_decides_whether_it_is_permanent() -> None:
    assert outcome_of(ItemsFailed("1 of 3 failed"), cause=NotFound("gone")).state == "up_for_retry"


def test_an_error_that_was_only_being_handled_decides_nothing() -> None:
    error = ValueError("a bug")
    error.__context__ = Unauthorized("refused")

    assert outcome_of(error).state == "up_for_retry"


def test_a_circle_of_causes_ends() -> None:
    error, cause = ItemsFailed("outer"), ItemsFailed("inner")
    cause.__cause__ = error

    assert outcome_of(error, cause=cause).state == "up_for_retry"


@asked_by_airflow
def test_a_reason_fits_what_airflow_keeps() -> None:
    outcome = outcome_of(OutcomeUnknown("x" * 2000))

    assert len(str(outcome.retry_reason)) == REASON_LIMIT
    assert str(outcome.retry_reason).endswith("…")
